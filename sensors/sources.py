"""Who wrote a record, what kind of device that is (sources.csv) and which source wins where two overlap."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

KINDS = ("watch", "phone", "other")


@dataclass(frozen=True, order=True)
class Source:
    """
    One app or device that writes records.

    name is what the owner called it and may hold a person's name: it serves to tell sources apart and is
    never written to a resource or a log. Software versions are left out: an update makes no new source.
    """

    name: str = field(repr=False)
    manufacturer: str = ""
    model: str = ""
    hardware: str = ""

    @property
    def kind(self) -> str:
        """watch, phone or other: the first row of sources.csv that matches."""
        return _kind(self)


def ranked(sources: Sequence[Source], priority: Sequence[str] = KINDS) -> list[Source]:
    """
    The sources, best first.

    priority  kinds or exact source names, best first; what is not listed comes last
    Equals are put in order of name and hardware, so that the result does not depend on the order of records.
    """

    def place(source: Source) -> tuple[int, Source]:
        places = [i for i, entry in enumerate(priority) if entry in (source.name, source.kind)]
        return (min(places, default=len(priority)), source)

    return sorted(sources, key=place)


@cache
def _rows() -> list[tuple[str, str, re.Pattern[str]]]:
    text = resources.files("sensors").joinpath("sources.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return [(row["kind"], row["field"], re.compile(row["pattern"], re.IGNORECASE)) for row in rows]


@cache
def _kind(source: Source) -> str:
    # Apple writes "Apple Watch" with a no-break space.
    texts = {
        "name": " ".join(source.name.split()),
        "model": source.model,
        "hardware": source.hardware,
    }
    return next((kind for kind, where, pattern in _rows() if pattern.search(texts[where])), "other")
