"""An Apple Health export of a person who does not exist, for the demonstration; the file says so itself."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

_PROLOG = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!-- HealthKit Export Version: 13 -->
<!ELEMENT HealthData (ExportDate,Me,(Record)*)>
]>
<HealthData locale="en_GB">
 <!-- SYNTHETIC DATA: no real person -->
"""
_RECORD = (
    ' <Record type="HKQuantityTypeIdentifierStepCount" sourceName="Synthetic iPhone" unit="count"'
    ' creationDate="{end}" startDate="{start}" endDate="{end}" value="{steps}"/>\n'
)
_HOURS = (8, 12, 15, 18)
_LONGEST_MINUTES = 20


def write_export(path: Path, *, days: int, last: date, steps: int, zone: ZoneInfo, seed: int = 1) -> None:
    """
    An export.zip of some days up to `last`, made the morning after.

    steps  about how many on a day
    """
    exported = datetime.combine(last + timedelta(days=1), time(7), zone)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        lines = [_PROLOG, f' <ExportDate value="{_stamp(exported)}"/>\n <Me/>\n']
        for ago in range(days - 1, -1, -1):
            lines += _walks(last - timedelta(days=ago), steps, zone, seed)
        archive.writestr("apple_health_export/export.xml", "".join([*lines, "</HealthData>\n"]))


def _walks(day: date, steps: int, zone: ZoneInfo, seed: int) -> Iterator[str]:
    dice = random.Random(f"{seed} {day}")  # noqa: S311 - no secret
    for hour in _HOURS:
        start = datetime.combine(day, time(hour, dice.randrange(30)), zone)
        end = start + timedelta(minutes=dice.randint(10, _LONGEST_MINUTES))
        count = round(steps / len(_HOURS) * dice.uniform(0.8, 1.2))
        yield _RECORD.format(start=_stamp(start), end=_stamp(end), steps=count)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S %z")
