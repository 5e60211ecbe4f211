"""What a clinician sees of patients: a few searches for a page of them, grouped by patient."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.web.plans import IS_WEEKLY_PLAN, Plan, plan
from gateway.web.resources import subject_id
from gateway.web.scores import CODES, Trend, is_severe_mood, trends
from gateway.web.screening import SCREENS, Screening, screening
from gateway.web.visit import ClinicVisit
from recommender.canonical import RED_FLAG_REVIEW, SAFETY_SYSTEM, SCORE_SYSTEM

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One patient as far as their consents let this organisation see."""

    trends: tuple[Trend, ...]
    plans: tuple[Plan, ...]
    screening: Screening

    @property
    def has_scores(self) -> bool:
        return any(trend.points for trend in self.trends)

    @property
    def draft(self) -> Plan | None:
        """The plan that waits for a decision."""
        return next((p for p in self.plans if p.status == "draft"), None)

    @property
    def active(self) -> Plan | None:
        return next((p for p in self.plans if p.status == "active"), None)

    @property
    def has_severe_mood(self) -> bool:
        return any(is_severe_mood(trend) for trend in self.trends)

    @property
    def urgency(self) -> int:
        """For sorting: warning signs, severe mood, a plan to review, the others."""
        if self.screening.flags or self.screening.is_unreadable:
            return 0
        if self.has_severe_mood:
            return 1
        return 2 if self.draft else 3


async def records(visit: ClinicVisit, patient_ids: Sequence[str]) -> dict[str, Record]:
    """The records of some patients by id, in four searches however many there are."""
    if not patient_ids:
        return {}
    subjects = ",".join(f"Patient/{each}" for each in patient_ids)
    codes = ",".join(f"{SCORE_SYSTEM}|{code}" for code in CODES)
    reads = visit.reads
    scores, plans, responses, reviews = await asyncio.gather(
        reads.every("Observation", subject=subjects, code=codes, _sort="-date"),
        reads.every("CarePlan", subject=subjects, category=IS_WEEKLY_PLAN, _sort="-date"),
        reads.every(
            "QuestionnaireResponse", subject=subjects, questionnaire=",".join(SCREENS), status="completed,amended"
        ),
        reads.every("Observation", subject=subjects, code=f"{SAFETY_SYSTEM}|{RED_FLAG_REVIEW}"),
    )
    return {
        each: Record(
            tuple(trends(_of(scores, each), visit.dates)),
            tuple(plan(found) for found in _of(plans, each)),
            screening(_of(responses, each), _of(reviews, each)),
        )
        for each in patient_ids
    }


def _of(found: Sequence[JSON], patient_id: str) -> list[JSON]:
    return [resource for resource in found if subject_id(resource) == patient_id]
