"""Daily steps as they are stored: an import changes only the days that say something new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.access import AccessContext
from gateway.store.changes import Change
from gateway.store.store import Store
from gateway.work.records import created, every, says_the_same, updated
from recommender.canonical import LOINC, STEPS_PER_DAY

JSON = dict[str, Any]

_SETTLED = ("final", "amended", "corrected")


async def stored_days(store: Store, context: AccessContext, patient: str) -> dict[str, JSON]:
    """The patient's daily steps by the value of their identifier."""
    found = await every(store, context, f"Observation?subject={patient}&code={LOINC}|{STEPS_PER_DAY}")
    return {o["identifier"][0]["value"]: o for o in found if o.get("identifier")}


def day_changes(stored: dict[str, JSON], days: Sequence[JSON]) -> Iterator[Change]:
    """What an import of these days changes: new days, and days whose total is another now."""
    for day in days:
        known = stored.get(day["identifier"][0]["value"])
        if known is None:
            yield created(day)
        elif (content := _newer(known, day)) is not None:
            yield updated(known, content)


def _newer(known: JSON, day: JSON) -> JSON | None:
    """
    The new content of a known day; None where it stays as it is.

    An earlier look at a day (a preliminary total) never replaces a later one (a final or a larger total).
    """
    if says_the_same(known, day, but=("status",)):
        was_preliminary = known["status"] == "preliminary"
        return day if was_preliminary and day["status"] == "final" else None
    if day["status"] == "preliminary":
        return day if known["status"] == "preliminary" and _steps(day) > _steps(known) else None
    return {**day, "status": "amended"} if known["status"] in _SETTLED else day


def _steps(day: JSON) -> float:
    return float(day.get("valueQuantity", {}).get("value", -1))
