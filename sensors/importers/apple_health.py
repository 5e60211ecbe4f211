"""
Apple Health export (export.zip or export.xml) to step records, streaming.

Format: the document type definition at the top of every export ("HealthKit Export Version").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from os import PathLike
from typing import BinaryIO

from sensors.errors import DamagedExport, MalformedExport
from sensors.importers._archive import Bounds, open_export
from sensors.importers._xml import Reader
from sensors.records import StepColumns, StepRecords
from sensors.sources import Source

PLATFORM = "apple-health"
Progress = Callable[[int, int, int], None]
Moment = tuple[int, int]


@dataclass(frozen=True)
class Quantity:
    """A type of record that is read: the column it goes to, and the units it may have."""

    column: str
    units: frozenset[str]


TYPES = {
    "HKQuantityTypeIdentifierStepCount": Quantity("steps", frozenset({"count"})),
}

_MAX_SOURCES = 5_000
_MAX_COUNT = 1e9
_YEARS = range(1970, 2200)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]) ([+-][0-9]{4})", re.ASCII
)
_DEVICE_FIELD = re.compile(r"\b(manufacturer|model|hardware):([^,>]*)")


def read(
    source: str | PathLike[str] | BinaryIO,
    *,
    progress: Progress | None = None,
    keep_partial: bool = False,
    bounds: Bounds | None = None,
) -> StepRecords:
    """
    All step records of an export, in the order of the file, duplicates included.

    source        path or seekable binary file; zip or XML, told by content
    progress      called about every 256 KiB with (bytes read, bytes in all, step records so far), unpacked
    keep_partial  of a damaged export keep what could be read (then `complete` is False) instead of raising
    raises        UnreadableExport and below; a DamagedExport says how far the reading got
    A record with an unreadable or senseless date, number or unit is left out and counted in `rejected`.
    """
    with open_export(source, bounds or Bounds()) as (stream, total):
        collected = _Collector()
        reader = Reader(stream, collected.start, collected.end)
        try:
            for _ in reader.run():
                if progress:
                    progress(reader.bytes_read, total, len(collected.columns))
        except DamagedExport as damage:
            damage.bytes_read, damage.records_read = reader.bytes_read, len(collected.columns)
            if not keep_partial:
                raise
            return collected.records(complete=False)
    return collected.records(complete=True)


class _Collector:
    """
    Takes elements as they come. A record is added when its element ends, because its metadata come inside.

    Records inside a Correlation appear at top level too; both are taken, the summary counts duplicates once.
    """

    def __init__(self) -> None:
        self.columns = StepColumns()
        self._exported_at: datetime | None = None
        self._rejected = 0
        self._pending: dict[str, str] | None = None
        self._manual = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Record":
            if attributes.get("type") in TYPES:
                self._pending, self._manual = attributes, False
        elif name == "MetadataEntry":
            if self._pending is not None and attributes.get("key") == "HKWasUserEntered":
                self._manual = attributes.get("value") in ("1", "true", "YES")
        elif name == "ExportDate":
            self._exported_at = _exported_at(attributes.get("value", ""))

    def end(self, name: str) -> None:
        if name == "Record" and self._pending is not None:
            self._add(self._pending)
            self._pending = None

    def records(self, *, complete: bool) -> StepRecords:
        return self.columns.records(PLATFORM, exported_at=self._exported_at, rejected=self._rejected, complete=complete)

    def _add(self, attributes: dict[str, str]) -> None:
        start = _moment(attributes.get("startDate", ""))
        end = _moment(attributes.get("endDate", ""))
        steps = _number(attributes.get("value", ""))
        if start is None or end is None or steps is None or not _has_known_unit(attributes):
            self._rejected += 1
            return
        source = _source(attributes.get("sourceName", ""), attributes.get("device", ""))
        self.columns.add(source, start, end, steps, self._manual)
        if self.columns.sources > _MAX_SOURCES:
            raise MalformedExport("The export names more sources than a person can have.")


def _has_known_unit(attributes: dict[str, str]) -> bool:
    return attributes.get("unit", "count") in TYPES[attributes["type"]].units


def _moment(text: str) -> Moment | None:
    """(UTC milliseconds, offset in seconds) of `2016-04-15 07:27:26 +0100`; None when it is no such date."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    day, hour, minute, second, offset = match.groups()
    midnight, ahead_s = _midnight_s(day), _offset_s(offset)
    if midnight is None or ahead_s is None:
        return None
    local_s = midnight + int(hour) * 3600 + int(minute) * 60 + int(second)
    return (local_s - ahead_s) * 1000, ahead_s


@lru_cache(maxsize=4096)
def _midnight_s(day: str) -> int | None:
    try:
        parsed = date.fromisoformat(day)
    except ValueError:
        return None
    return (parsed.toordinal() - _EPOCH_DAY) * 86_400 if parsed.year in _YEARS else None


@lru_cache(maxsize=256)
def _offset_s(offset: str) -> int | None:
    """Seconds; None beyond 18 hours, which no place on earth has."""
    seconds = int(offset[1:3]) * 3600 + int(offset[3:5]) * 60
    if seconds > 18 * 3600:
        return None
    return -seconds if offset[0] == "-" else seconds


def _exported_at(text: str) -> datetime | None:
    moment = _moment(text)
    return datetime.fromtimestamp(moment[0] / 1000, UTC) if moment else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) <= _MAX_COUNT else None


@lru_cache(maxsize=4096)
def _source(name: str, device: str) -> Source:
    """The device text also holds a memory address and a software version, which change; they are left out."""
    fields = dict(_DEVICE_FIELD.findall(device))
    return Source(
        name=name,
        manufacturer=fields.get("manufacturer", ""),
        model=fields.get("model", ""),
        hardware=fields.get("hardware", ""),
    )
