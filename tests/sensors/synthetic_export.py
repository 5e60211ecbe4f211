"""
Apple Health exports of a person who does not exist, for tests and demonstrations.

Every source is named "Synthetic ..." and the file says so in a comment. Counts of the watch and the phone
overlap as they do in life, so that the true total is known and differs from the sum and from either source.
"""

from __future__ import annotations

import random
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

DEVICES = {
    "watch": ("Synthetic Apple\N{NO-BREAK SPACE}Watch", "Apple Watch", "Watch", "Watch6,1"),
    "phone": ("Synthetic iPhone", "iPhone", "iPhone", "iPhone14,5"),
}
PROLOG = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!-- HealthKit Export Version: 13 -->
<!ELEMENT HealthData (ExportDate,Me,(Record|Correlation|Workout|ActivitySummary)*)>
<!ATTLIST HealthData
  locale CDATA #REQUIRED
>
<!ELEMENT Record ((MetadataEntry|HeartRateVariabilityMetadataList)*)>
]>
<HealthData locale="en_GB">
 <!-- SYNTHETIC DATA: no real person -->
"""
ME = ' <Me HKCharacteristicTypeIdentifierDateOfBirth="" HKCharacteristicTypeIdentifierBiologicalSex=""/>\n'


@dataclass(frozen=True)
class Bout:
    """A walk: what the watch and the phone counted, None where it was not worn or carried."""

    start: datetime
    end: datetime
    counts: dict[str, int]


def write_export(
    path: str | Path,
    *,
    days: int,
    seed: int,
    start: date,
    sources: Sequence[str] = ("watch", "phone"),
    zone: str = "Europe/London",
    heart_rates_per_day: int = 24,
) -> dict[date, int]:
    """
    Writes export.zip (when the name ends in .zip) or export.xml; the same arguments give the same records.

    sources              of watch and phone
    heart_rates_per_day  other records to read past; raise it for a large file
    returns              the true steps of each day that has any, where the watch goes before the phone
    """
    tz, truth = ZoneInfo(zone), {}
    exported = datetime.combine(start + timedelta(days=days), time(8), tz)
    with _opened(Path(path)) as file:
        file.write(f'{PROLOG} <ExportDate value="{_stamp(exported)}"/>\n{ME}'.encode())
        for day in (start + timedelta(days=i) for i in range(days)):
            rng = random.Random(f"{seed} {day}")
            bouts = [bout for bout in _walks(rng, day, tz, sources) if bout.counts]
            if bouts:
                truth[day] = sum(bout.counts.get("watch", bout.counts.get("phone", 0)) for bout in bouts)
            file.write("".join(_day(rng, day, tz, bouts, heart_rates_per_day)).encode())
        file.write(b"</HealthData>\n")
    return truth


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("apple_health_export/export_cda.xml", "<ClinicalDocument/><ClinicalDocument/>")
            with archive.open("apple_health_export/export.xml", "w", force_zip64=True) as member:
                yield member
    else:
        with path.open("wb") as file:
            yield file


def _walks(rng: random.Random, day: date, tz: ZoneInfo, sources: Sequence[str]) -> Iterator[Bout]:
    """Six to fourteen walks by day, never closer than a quarter of an hour, now and then without a device."""
    for slot in sorted(rng.sample(range(15, 44), rng.randint(6, 14))):
        start = datetime.combine(day, time(slot // 2, 30 * (slot % 2)), tz) + timedelta(minutes=rng.randint(0, 5))
        minutes = rng.randint(3, 10)
        steps = minutes * rng.randint(80, 125)
        seen = {
            "watch": rng.random() < 0.7,
            "phone": rng.random() < 0.7,
        }
        counted = {"watch": steps, "phone": round(steps * rng.uniform(0.92, 1.02))}
        counts = {name: counted[name] for name in sources if seen[name]}
        yield Bout(start, start + timedelta(minutes=minutes), counts)


def _day(rng: random.Random, day: date, tz: ZoneInfo, bouts: Sequence[Bout], heart_rates: int) -> Iterator[str]:
    for bout in bouts:
        for name, count in bout.counts.items():
            yield record("StepCount", "count", count, bout.start, bout.end, name)
    midnight = datetime.combine(day, time(0), tz)
    for i in range(heart_rates):
        at = midnight + timedelta(seconds=i * 86_400 // heart_rates)
        yield record("HeartRate", "count/min", rng.randint(55, 120), at, at, "watch", MOTION_CONTEXT)
    yield f' <ActivitySummary dateComponents="{day}" activeEnergyBurned="{rng.randint(200, 700)}"/>\n'


MOTION_CONTEXT = '  <MetadataEntry key="HKMetadataKeyHeartRateMotionContext" value="1"/>\n'
MANUAL = '  <MetadataEntry key="HKWasUserEntered" value="1"/>\n'


def record(kind: str, unit: str, value: float, start: datetime, end: datetime, source: str, inside: str = "") -> str:
    """One Record element as the Health app writes it."""
    name, label, model, hardware = DEVICES[source]
    device = (
        f"&lt;&lt;HKDevice: 0x28{start.toordinal() % 4096:06x}0&gt;, name:{label}, "
        f"manufacturer:Apple Inc., model:{model}, hardware:{hardware}, software:17.1&gt;"
    )
    head = (
        f' <Record type="HKQuantityTypeIdentifier{kind}" sourceName="{name}" sourceVersion="17.1" '
        f'device="{device}" unit="{unit}" creationDate="{_stamp(end)}" startDate="{_stamp(start)}" '
        f'endDate="{_stamp(end)}" value="{value}"'
    )
    return f"{head}>\n{inside} </Record>\n" if inside else f"{head}/>\n"


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S %z")
