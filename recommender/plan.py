"""
The weekly self-management plan (docs/plan-policy.md): evidence in; a draft CarePlan with reasons out.

A proposal, never a decision: a clinician, or a policy that a clinic switched on, makes it active.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from recommender import knowledge
from recommender.burden import burden
from recommender.canonical import (
    LOINC,
    PLAN_CATEGORY,
    PLAN_CATEGORY_SYSTEM,
    RED_FLAG_REVIEW,
    SAFETY_SYSTEM,
    SCORE_SYSTEM,
    STEPS_PER_DAY,
    questionnaire,
)
from recommender.errors import NaiveTime
from recommender.evidence import MOOD_SCORE, PAIN_SCORES, PlanEvidence, read_evidence
from recommender.exercises import three_exercises
from recommender.explanations import Explanation
from recommender.history import group_weeks
from recommender.plan_activities import (
    exercise_lines,
    goal_parts,
    lessons,
    mood_advice,
    sessions_a_week,
    walk,
)
from recommender.plan_resources import Activity, Draft, transaction_entries
from recommender.policy import Policy, plan_policy
from recommender.red_flags import RedFlag
from recommender.safety import Verdict, safety
from recommender.step_goal import step_goal
from recommender.suggest import Suggest, by_lot

__all__ = ["PlanEvidence", "PlanProposal", "needs", "read_evidence", "weekly_plan"]

JSON = dict[str, Any]

_REMEMBERED_DAYS = 56


@dataclass(frozen=True)
class PlanProposal:
    """
    kind          `weekly` or `clinician-first` (advice only)
    entries       of a transaction Bundle, tied by urn:uuid: Device, Goals, CarePlan, Provenance
    explanations  every rule that fired
    red_flags     most pressing first; empty in a weekly plan
    """

    kind: str
    entries: tuple[JSON, ...]
    explanations: tuple[Explanation, ...]
    red_flags: tuple[RedFlag, ...]

    @property
    def care_plan(self) -> JSON:
        """The draft CarePlan."""
        return self._of_type("CarePlan")[0]

    @property
    def goals(self) -> list[JSON]:
        """The proposed Goals."""
        return self._of_type("Goal")

    @property
    def provenance(self) -> JSON:
        """Agent, inputs, policy and rules."""
        return self._of_type("Provenance")[0]

    def bundle(self) -> JSON:
        """The entries as a transaction Bundle."""
        return {"resourceType": "Bundle", "type": "transaction", "entry": list(self.entries)}

    def _of_type(self, kind: str) -> list[JSON]:
        return [e["resource"] for e in self.entries if e["resource"]["resourceType"] == kind]


def needs(patient: str, now: datetime) -> list[str]:
    """
    The FHIR searches, relative to the base, whose Bundles `read_evidence` wants (all pages).

    patient  `Patient/<id>`
    """
    since = (_day(now) - timedelta(days=_REMEMBERED_DAYS)).isoformat()
    answered = {"subject": patient, "status": "completed,amended"}
    scores = ",".join(f"{SCORE_SYSTEM}|{code}" for code in (*PAIN_SCORES, MOOD_SCORE))
    asked: list[tuple[str, dict[str, str]]] = [
        *(
            ("QuestionnaireResponse", answered | {"questionnaire": questionnaire(name)})
            for name in ("red-flag-screen", "goals")
        ),
        *(
            (
                "QuestionnaireResponse",
                answered | {"questionnaire": questionnaire(name), "authored": f"ge{since}"},
            )
            for name in ("weekly-check-in", "exercise-feedback")
        ),
        ("Observation", {"subject": patient, "code": f"{SAFETY_SYSTEM}|{RED_FLAG_REVIEW}"}),
        ("Observation", {"subject": patient, "code": scores, "date": f"ge{since}"}),
        ("Observation", {"subject": patient, "code": f"{LOINC}|{STEPS_PER_DAY}", "date": f"ge{since}"}),
        (
            "CarePlan",
            {"subject": patient, "category": f"{PLAN_CATEGORY_SYSTEM}|{PLAN_CATEGORY}", "date": f"ge{since}"},
        ),
    ]
    return [f"{kind}?{urlencode(parameters, safe='/,:')}" for kind, parameters in asked]


def weekly_plan(evidence: PlanEvidence, *, now: datetime, seed: int, suggest: Suggest | None = None) -> PlanProposal:
    """
    The plan for the seven days from the local day of `now`; the same input always gives the same plan.

    suggest  ranks the candidates; by lot when None, as published
    raises   NaiveTime when now has no offset
    """
    start, policy = _day(now), plan_policy()
    verdict = safety(evidence)
    if verdict.is_blocked:
        draft = _clinician_first(evidence, verdict, start, now, seed, policy)
    else:
        rank = suggest or by_lot(evidence.patient, start.isoformat(), seed)
        draft = _weekly(evidence, verdict, start, now, seed, rank, policy)
    return PlanProposal(draft.kind, tuple(transaction_entries(draft)), draft.explanations, verdict.flags)


def _day(now: datetime) -> date:
    if now.tzinfo is None:
        raise NaiveTime
    return now.date()


def _clinician_first(
    evidence: PlanEvidence, verdict: Verdict, start: date, now: datetime, seed: int, policy: Policy
) -> Draft:
    advice = [e for e in verdict.explanations if e.item.startswith("advice:")]
    return Draft(
        kind="clinician-first",
        patient=evidence.patient,
        start=start,
        now=now,
        seed=seed,
        title=knowledge.text("plan.title-clinician-first"),
        description=knowledge.text("plan.description-clinician-first"),
        activities=tuple(
            Activity("advice", knowledge.text("plan.see-clinician"), reason.text, (reason,)) for reason in advice
        ),
        goals=(),
        explanations=verdict.explanations,
        references=evidence.references,
        policy=policy,
    )


def _weekly(
    evidence: PlanEvidence,
    verdict: Verdict,
    start: date,
    now: datetime,
    seed: int,
    suggest: Suggest,
    policy: Policy,
) -> Draft:
    plan_days = policy.whole("plan.week", "days")
    now_felt = burden(evidence, start, recent_days=2 * plan_days)
    past = [plan for plan in evidence.plans if plan.start < start]
    steps = step_goal(
        evidence.step_days,
        start=start,
        previous=next((plan.steps for plan in past if plan.steps is not None), None),
        baseline=next((plan.baseline for plan in past if plan.baseline is not None), None),
        burden=now_felt,
        policy=policy,
    )
    weeks = group_weeks(evidence, start)
    chosen = three_exercises(weeks, burden=now_felt, suggest=suggest, policy=policy)
    activities = (
        walk(steps, plan_days),
        *exercise_lines(chosen, evidence, policy),
        *lessons(evidence, start, suggest, policy),
        *mood_advice(evidence, policy),
    )
    goals, goal_reasons = goal_parts(evidence, steps, sessions_a_week(evidence, policy))
    reasons = [reason for activity in activities for reason in activity.reasons]
    return Draft(
        kind="weekly",
        patient=evidence.patient,
        start=start,
        now=now,
        seed=seed,
        title=knowledge.text("plan.title", start=start.isoformat()),
        description=knowledge.text("plan.description"),
        activities=activities,
        goals=goals,
        explanations=(*verdict.explanations, *reasons, *goal_reasons),
        references=evidence.references,
        policy=policy,
        days=plan_days,
    )
