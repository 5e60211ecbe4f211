"""Steps by day, from Observations of LOINC 41950-7."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from gateway.web.reads import Reads
from recommender.canonical import LOINC, STEPS_PER_DAY

JSON = dict[str, Any]

CODE = f"{LOINC}|{STEPS_PER_DAY}"


@dataclass(frozen=True, slots=True)
class StepDay:
    """steps is None on a day without data."""

    day: date
    steps: int | None


async def latest_days(reads: Reads, patient: str, today: date, days: int = 28) -> list[StepDay]:
    """The last days, today last; where two totals of a day were never merged, the larger one missed less."""
    first = today - timedelta(days=days - 1)
    found = await reads.every("Observation", subject=patient, code=CODE, date=f"ge{first.isoformat()}")
    best: dict[date, int] = {}
    for day, steps in _totals(found):
        best[day] = max(best.get(day, 0), steps)
    return [StepDay(day, best.get(day)) for day in (first + timedelta(days=n) for n in range(days))]


def _totals(observations: Iterable[JSON]) -> Iterable[tuple[date, int]]:
    for observation in observations:
        text = observation.get("effectiveDateTime") or observation.get("effectivePeriod", {}).get("start", "")
        if "value" in observation.get("valueQuantity", {}) and len(text) >= len("2026-01-01"):
            yield date.fromisoformat(text[:10]), int(observation["valueQuantity"]["value"])
