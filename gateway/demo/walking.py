"""The daily steps of the invented people, as Observations like those of an import."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.demo.cast import Person
from gateway.work.records import SYNTHETIC
from sensors.days import DailySteps
from sensors.observations import daily_steps
from sensors.plausibility import Flag

JSON = dict[str, Any]

_DAYS_A_WEEK = 7
_FORGOTTEN = 0.08
_FEWEST = 350


def walked(person: Person, patient: str, first: date, last: date, begun: date, zone: ZoneInfo) -> list[JSON]:
    """An Observation for each day from first to last on which the phone was carried; `begun` is day 0 of the course."""
    days = daily_steps(_days(person, first, last, begun, zone), patient=patient, device="Synthetic phone")
    return [{**day, "meta": {"tag": [SYNTHETIC]}} for day in days]


def _days(person: Person, first: date, last: date, begun: date, zone: ZoneInfo) -> Iterator[DailySteps]:
    if not person.at("steps", 0):
        return
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        dice = person.chance("steps", (day - begun).days)
        if dice.random() < _FORGOTTEN:
            continue
        usual = person.at("steps", (day - begun).days / _DAYS_A_WEEK)
        weekend = 0.8 if day.isoweekday() > 5 else 1.05
        yield _day(day, max(_FEWEST, round(usual * weekend * dice.gauss(1, 0.22))), dice.randint(9, 15), zone)


def _day(day: date, steps: int, hours: int, zone: ZoneInfo) -> DailySteps:
    begins = datetime.combine(day, time(), zone)
    return DailySteps(
        platform="synthetic",
        date=day,
        steps=steps,
        begins_at=begins,
        ends_at=datetime.combine(day + timedelta(days=1), time(), zone),
        preliminary=False,
        source_kinds=("phone",),
        sources=1,
        conflict_s=0,
        hours_with_records=hours,
        held_back_steps=0,
        manual_steps=0,
        flags=Flag(0),
    )
