"""`checks.csv` lists the 77 behaviours by which servers were compared: each has its test here, or none yet."""

from __future__ import annotations

import csv
import re
from pathlib import Path

HERE = Path(__file__).parent


def rows() -> list[dict[str, str]]:
    return list(csv.DictReader((HERE / "checks.csv").read_text(encoding="utf-8").splitlines()))


def test_there_are_77_checks_and_each_is_listed_once() -> None:
    assert len(rows()) == 77
    assert len({(row["group"], row["check"]) for row in rows()}) == 77


def test_every_test_that_is_named_exists_and_every_test_is_named() -> None:
    sources = [path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py") if path.name != Path(__file__).name]
    written = {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.MULTILINE)}
    assert {row["test"] for row in rows() if row["test"]} == written
