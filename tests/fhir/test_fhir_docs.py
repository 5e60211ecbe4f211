"""docs/fhir-api.md says what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.fhir.outcomes import FAULT, OUTCOMES
from gateway.fhir.paths import INTERACTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "fhir-api.md").read_text(encoding="utf-8")


def test_every_interaction_has_its_heading() -> None:
    headings = set(re.findall(r"^## (\S+)$", PAGE, re.MULTILINE)) - {"Errors"}
    assert headings == {row.code for row in INTERACTIONS}


def test_every_row_of_the_error_table_is_documented() -> None:
    rows = re.findall(r"^\| (\d{3}) \| ([a-z-]+) \|", PAGE, re.MULTILINE)
    documented = {(int(status), code) for status, code in rows}
    assert {*OUTCOMES.values(), (500, FAULT.code)} <= documented
    assert documented - {*OUTCOMES.values(), (500, FAULT.code)} == {(400, "structure"), (400, "not-supported")}
