"""`plan`: when the baseline is complete, or a week has been reported, a draft of the next weekly plan.

The draft is a proposal; a clinician, or the policy that a clinic has switched on, makes it active (rule 11).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from gateway.access import AccessContext
from gateway.store.errors import Gone, NotFound
from gateway.store.outbox import Work
from gateway.store.store import Store
from gateway.work.engine import engine_context
from gateway.work.plan_changes import changes_of
from gateway.work.records import every
from gateway.work.responses import COMPLETE, completed, instrument_of, patient_of
from gateway.work.workplace import Workplace
from recommender.canonical import PLAN_CATEGORY, PLAN_CATEGORY_SYSTEM, questionnaire
from recommender.errors import RecommenderError
from recommender.plan import PlanProposal, needs, read_evidence, weekly_plan

JSON = dict[str, Any]

BASELINE = ("red-flag-screen", "pain-nrs", "rmdq-24", "psfs", "phq-8", "goals")
"""Nobody gets a plan before all of these are answered."""
CHECK_IN = "weekly-check-in"

# The draw of exercises and messages differs between patients and weeks by itself; the Provenance names the seed.
SEED = 1
_OPEN = ("draft", "active", "on-hold")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why a plan is asked for: `is_week_reported` where the patient has just told how the week went."""

    patient: str
    now: datetime
    is_week_reported: bool = False

    @property
    def today(self) -> date:
        return self.now.date()


async def handle(workplace: Workplace, work: Work) -> None:
    """Plan because of a completed questionnaire."""
    context = engine_context(f"outbox-{work.id}")
    response = await completed(workplace.store, context, work)
    instrument = instrument_of(response) if response is not None else None
    if response is None or instrument not in (*BASELINE, CHECK_IN) or not patient_of(response):
        return
    occasion = Occasion(patient_of(response), workplace.now(), is_week_reported=instrument == CHECK_IN)
    await propose(workplace.store, context, occasion)


async def propose(store: Store, context: AccessContext, occasion: Occasion) -> None:
    """
    Commit the draft that this occasion calls for, if any. Asked again with nothing new it changes nothing.

    Without the grant that activation made, the engine sees no answers, so there is no plan.
    """
    patient = occasion.patient
    if not await _has_baseline(store, context, patient):
        return
    plans = await _plans(store, context, patient)
    draft = next((plan for plan in plans if plan["status"] == "draft" and _covers(plan, occasion.today)), None)
    start = date.fromisoformat(draft["period"]["start"]) if draft is not None else occasion.today
    try:
        proposal = await _proposal(store, context, patient, _moment(start, occasion.now))
    except RecommenderError as unusable:
        _log.warning("no plan could be made: %s", type(unusable).__name__)
        return
    if draft is None and not _is_due(proposal, plans, occasion):
        return
    outdated = [plan for plan in plans if plan["status"] == "draft" and plan is not draft]
    changes, references = await changes_of(store, context, proposal, draft, outdated, occasion.now)
    if changes:
        await store.commit(context, changes, references=references)


async def _has_baseline(store: Store, context: AccessContext, patient: str) -> bool:
    canonicals = ",".join(questionnaire(name) for name in BASELINE)
    query = f"QuestionnaireResponse?subject={patient}&questionnaire={canonicals}&status={','.join(COMPLETE)}"
    return {instrument_of(response) for response in await every(store, context, query)} >= set(BASELINE)


async def _plans(store: Store, context: AccessContext, patient: str) -> list[JSON]:
    """The weekly plans that are drafted or in force."""
    category = f"{PLAN_CATEGORY_SYSTEM}|{PLAN_CATEGORY}"
    query = f"CarePlan?subject={patient}&category={category}&status={','.join(_OPEN)}"
    return await every(store, context, query)


async def _proposal(store: Store, context: AccessContext, patient: str, moment: datetime) -> PlanProposal:
    found = [resource for query in needs(patient, moment) for resource in await every(store, context, query)]
    return weekly_plan(read_evidence(patient, found), now=moment, seed=SEED)


def _is_due(proposal: PlanProposal, plans: Sequence[JSON], occasion: Occasion) -> bool:
    """
    Whether a new plan begins today although one may be in force.

    A warning sign always stops a plan with exercises. A reported week is followed by a plan when the one in force
    ends today or tomorrow. Whoever has no plan for today gets one.
    """
    current = [plan for plan in plans if plan["status"] != "draft" and _covers(plan, occasion.today)]
    if not current:
        return True
    if proposal.kind == "clinician-first":
        return all(_has_exercise(plan) for plan in current)
    last_day = max(date.fromisoformat(plan["period"]["end"]) for plan in current)
    return occasion.is_week_reported and last_day - occasion.today <= timedelta(days=1)


def _covers(plan: JSON, day: date) -> bool:
    return _start(plan) <= day <= date.fromisoformat(plan["period"]["end"])


def _start(plan: JSON) -> date:
    return date.fromisoformat(plan["period"]["start"])


def _has_exercise(plan: JSON) -> bool:
    return any("goal" in activity.get("detail", {}) for activity in plan.get("activity", ()))


def _moment(start: date, now: datetime) -> datetime:
    """A moment of the day on which the plan begins: now, or the end of an earlier day."""
    return now if start == now.date() else datetime.combine(start, time(23, 59), now.tzinfo)
