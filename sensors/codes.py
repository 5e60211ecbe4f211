"""The one table of codes that sensors writes: codes.csv, each row with its source."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

UCUM = "http://unitsofmeasure.org"


@dataclass(frozen=True)
class Code:
    """A row of codes.csv; unit is a UCUM code or empty."""

    system: str
    code: str
    display: str
    unit: str
    source: str

    def coding(self, version: str | None = None) -> dict[str, str]:
        """A FHIR Coding."""
        versioned = {"version": version} if version else {}
        return {"system": self.system, **versioned, "code": self.code, "display": self.display}


@cache
def codes() -> dict[str, Code]:
    """All rows of codes.csv by key."""
    text = resources.files("sensors").joinpath("codes.csv").read_text(encoding="utf-8")
    return {row.pop("key"): Code(**row) for row in csv.DictReader(text.splitlines())}
