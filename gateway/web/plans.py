"""A weekly plan as pages show it: steps, exercises, messages, advice, each with its reasons (FHIR R4 CarePlan)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.web.resources import codes
from recommender.canonical import (
    ACTIVITY_SYSTEM,
    EDUCATION_SYSTEM,
    EXERCISE_SYSTEM,
    PLAN_CATEGORY,
    PLAN_CATEGORY_SYSTEM,
)
from recommender.education import Message
from recommender.education import messages as catalogue_of_messages
from recommender.exercise_catalogue import Exercise, catalogue

JSON = dict[str, Any]

IS_WEEKLY_PLAN = f"{PLAN_CATEGORY_SYSTEM}|{PLAN_CATEGORY}"


@dataclass(frozen=True, slots=True)
class Line:
    """
    One activity.

    kind      steps, exercise, education or advice
    day       the day it is for; None for the whole week
    exercise  the row of the catalogue, message likewise, where it is known here
    """

    kind: str
    title: str
    description: str
    reasons: tuple[str, ...]
    day: date | None = None
    days_a_week: int | None = None
    steps: int | None = None
    exercise: Exercise | None = None
    message: Message | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """status as in FHIR: draft, active, completed, revoked ..."""

    id: str
    version: int
    status: str
    title: str
    description: str
    start: date | None
    end: date | None
    lines: tuple[Line, ...]
    goals: tuple[str, ...]

    @property
    def reference(self) -> str:
        return f"CarePlan/{self.id}"

    @property
    def steps(self) -> int | None:
        """Steps a day."""
        return next((line.steps for line in self.lines if line.steps is not None), None)

    @property
    def is_advice_only(self) -> bool:
        return not self.of("steps") and not self.of("exercise")

    def of(self, kind: str) -> list[Line]:
        return [line for line in self.lines if line.kind == kind]

    def lesson(self, day: date) -> Line | None:
        """The message of a day."""
        return next((line for line in self.of("education") if line.day == day), None)

    def covers(self, day: date) -> bool:
        return (self.start is None or self.start <= day) and (self.end is None or day <= self.end)


def plan(resource: JSON) -> Plan:
    """The view of a CarePlan."""
    period = resource.get("period", {})
    return Plan(
        id=resource["id"],
        version=int(resource["meta"]["versionId"]),
        status=resource["status"],
        title=resource.get("title", ""),
        description=resource.get("description", ""),
        start=_day(period.get("start")),
        end=_day(period.get("end")),
        lines=tuple(_line(a["detail"]) for a in resource.get("activity", ()) if "detail" in a),
        goals=tuple(str(goal.get("reference", "")) for goal in resource.get("goal", ())),
    )


def current(plans: Iterable[Plan], today: date) -> Plan | None:
    """The plan to follow today: the latest active one that covers it, else the latest active one."""
    active = sorted((p for p in plans if p.status == "active"), key=lambda p: p.start or date.min, reverse=True)
    return next((p for p in active if p.covers(today)), next(iter(active), None))


def _line(detail: JSON) -> Line:
    code = detail.get("code", {})
    exercise = next((catalogue()[c] for c in codes(code, EXERCISE_SYSTEM) if c in catalogue()), None)
    known = catalogue_of_messages()
    return Line(
        kind=next(iter(codes(code, ACTIVITY_SYSTEM)), "advice"),
        title=code.get("text", ""),
        description=detail.get("description", ""),
        reasons=tuple(reason["text"] for reason in detail.get("reasonCode", ()) if "text" in reason),
        day=_day(detail.get("scheduledPeriod", {}).get("start")),
        days_a_week=detail.get("scheduledTiming", {}).get("repeat", {}).get("frequency"),
        steps=int(detail["dailyAmount"]["value"]) if "dailyAmount" in detail else None,
        exercise=exercise,
        message=next((known[c] for c in codes(code, EDUCATION_SYSTEM) if c in known), None),
    )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text[:10]) if text and len(text) >= len("2026-01-01") else None
