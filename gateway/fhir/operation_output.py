"""What operations answer with: a Parameters resource from rows (R4 section 3.2.0.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from gateway.fhir.exchange import Answer

Row = tuple[str, str, Any]
"""(name, key, value): the key is `valueBoolean` and the like, `resource`, or `part` with rows of its own."""


def parameters_answer(rows: Iterable[Row]) -> Answer:
    """200 with the Parameters resource of these rows."""
    return Answer(200, (), orjson.dumps({"resourceType": "Parameters", "parameter": [_parameter(row) for row in rows]}))


def _parameter(row: Row) -> dict[str, Any]:
    name, key, value = row
    return {"name": name, key: [_parameter(inner) for inner in value] if key == "part" else value}
