"""
Daily summaries as FHIR R4 Observations.

FHIR R4 Observation; HL7 Physical Activity IG 1.0.1 (LOINC 41950-7, UCUM /d, effectiveDateTime is the date).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from sensors.codes import UCUM, codes
from sensors.days import ALGORITHM_VERSION, DailySteps
from sensors.plausibility import Flag

DAILY_STEPS_SYSTEM = "urn:backbridge:observation:daily-steps"
PLATFORMS = {"apple-health": "Apple Health"}


def daily_steps(days: Iterable[DailySteps], *, patient: str, device: str | None = None) -> list[dict[str, Any]]:
    """
    One Observation for each day, in the same order.

    patient  reference, e.g. Patient/abc; use the same form every time, the identifier is made from it
    device   text for device.display; by default the platform and the kinds of source counted

    The same export gives the same resources at any time: nothing in them says when they were made. A day
    without a usable total has dataAbsentReason. A day that lies in the future is left out.
    """
    return [_daily_steps(day, patient, device) for day in days if not _is_future(day)]


def daily_steps_identifier(patient: str, platform: str, date: str) -> dict[str, str]:
    """The identifier of a person's steps on a day: for conditional create and update; date is YYYY-MM-DD."""
    digest = hashlib.sha256("\n".join((patient, platform, date)).encode()).hexdigest()
    return {"system": DAILY_STEPS_SYSTEM, "value": digest[:40]}


def _is_future(day: DailySteps) -> bool:
    return day.steps is None and Flag.FUTURE in day.flags and day.preliminary


def _daily_steps(day: DailySteps, patient: str, device: str | None) -> dict[str, Any]:
    date = day.date.isoformat()
    return {
        "resourceType": "Observation",
        "identifier": [daily_steps_identifier(patient, day.platform, date)],
        "status": "preliminary" if day.preliminary else "final",
        "category": [_concept("category-activity"), _concept("category-physical-activity")],
        "code": {**_concept("steps-per-day"), "text": "Steps per day"},
        "subject": {"reference": patient},
        "effectiveDateTime": date,
        **_value(day.steps),
        "method": {
            "coding": [codes()["method-interval-priority"].coding(ALGORITHM_VERSION)],
            "text": f"Interval-priority merge of step records, version {ALGORITHM_VERSION}",
        },
        "device": {"display": device or _device(day)},
        "component": [*_quality(day), *_flags(day.flags)],
    }


def _value(steps: int | None) -> dict[str, Any]:
    if steps is None:
        return {"dataAbsentReason": _concept("absent-unknown")}
    return {"valueQuantity": _quantity("steps-per-day", steps, "steps per day")}


def _quality(day: DailySteps) -> list[dict[str, Any]]:
    always = [
        _measure("sources", day.sources, "sources"),
        _measure("conflict", day.conflict_s, "s"),
        _measure("hours", day.hours_with_records, "h"),
    ]
    if day.held_back_steps:
        always.append(_measure("held-back", day.held_back_steps, "steps"))
    if day.manual_steps:
        always.append(_measure("manual", day.manual_steps, "steps"))
    return always


def _flags(flags: Flag) -> list[dict[str, Any]]:
    return [{"code": _concept("quality-flag"), "valueCodeableConcept": _concept(flag_key(flag))} for flag in flags]


def flag_key(flag: Flag) -> str:
    """The key of a single flag in codes.csv."""
    return f"flag-{str(flag.name).lower().replace('_', '-')}"


def _measure(key: str, value: int, unit: str) -> dict[str, Any]:
    return {"code": _concept(key), "valueQuantity": _quantity(key, value, unit)}


def _quantity(key: str, value: int, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": UCUM, "code": codes()[key].unit}


def _concept(key: str) -> dict[str, Any]:
    return {"coding": [codes()[key].coding()]}


def _device(day: DailySteps) -> str:
    platform = PLATFORMS.get(day.platform, day.platform)
    return f"{platform} ({', '.join(day.source_kinds)})" if day.source_kinds else platform
