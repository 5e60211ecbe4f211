"""`plan`: when the baseline is complete, or a week has been reported, a draft of the next weekly plan.

The draft is a proposal; a clinician, or the policy that a clinic has switched on, makes it active (rule 11).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlmodel import col, select

from gateway.access import AccessContext
from gateway.store.outbox import WAITING, Work
from gateway.store.store import Store
from gateway.store.tables import Outbox
from gateway.work.engine import engine_context
from gateway.work.plan_changes import changes_of
from gateway.work.records import every
from gateway.work.responses import COMPLETE, completed, instrument_of, patient_of
from gateway.work.workplace import Workplace
from recommender.canonical import PLAN_CATEGORY, PLAN_CATEGORY_SYSTEM, questionnaire
from recommender.errors import RecommenderError
from recommender.plan import PlanEvidence, PlanProposal, needs, read_evidence, weekly_plan

JSON = dict[str, Any]

BASELINE = ("red-flag-screen", "pain-nrs", "rmdq-24", "psfs", "phq-8", "goals")
"""Nobody gets a plan before all of these are answered."""
CHECK_IN = "weekly-check-in"
REPLAN = "replan"

# The draw of exercises and messages differs between patients and weeks by itself; the Provenance names the seed.
SEED = 1
_OPEN = ("draft", "active", "on-hold")
_LAST_DAYS = timedelta(days=1)

_log = logging.getLogger(__name__)


async def handle(workplace: Workplace, work: Work) -> None:
    """Plan because of a completed questionnaire; of several that wait, the last one plans for all."""
    context = engine_context(f"outbox-{work.id}", work.lease)
    response = await completed(workplace.store, context, work)
    if response is None or not _calls_for_plan(response) or await _is_another_waiting(workplace, context, work):
        return
    await propose(workplace.store, context, patient_of(response), workplace.now())


async def handle_replan(workplace: Workplace, work: Work) -> None:
    """Plan because a patient's data have changed."""
    context = engine_context(f"outbox-{work.id}", work.lease)
    await propose(workplace.store, context, f"{work.type}/{work.resource}", workplace.now())


async def propose(store: Store, context: AccessContext, patient: str, now: datetime) -> None:
    """
    Commit the draft that is due, if any. Asked again with nothing new it changes nothing.

    Without the grant that activation made, the engine sees no answers, so there is no plan.
    """
    if not await _has_baseline(store, context, patient):
        return
    plans = await _plans(store, context, patient)
    draft = next((plan for plan in plans if plan["status"] == "draft" and _covers(plan, now.date())), None)
    moment = _moment(_start(draft), now) if draft is not None else now
    try:
        evidence = await _evidence(store, context, patient, moment)
        proposal = weekly_plan(evidence, now=moment, seed=SEED)
    except RecommenderError as unusable:
        _log.warning("work.unusable", extra={"kind": "plan", "error": type(unusable).__name__})
        return
    if draft is None and not _is_due(proposal, evidence, plans, now.date()):
        return
    outdated = [plan for plan in plans if plan["status"] == "draft" and plan is not draft]
    changes, references = await changes_of(store, context, proposal, draft, outdated, now)
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


async def _evidence(store: Store, context: AccessContext, patient: str, moment: datetime) -> PlanEvidence:
    found = [resource for query in needs(patient, moment) for resource in await every(store, context, query)]
    return read_evidence(patient, found)


async def _is_another_waiting(workplace: Workplace, context: AccessContext, work: Work) -> bool:
    """Whether later answers of the same patient wait to be scored and planned with."""
    later = select(Outbox.resource).where(
        Outbox.patient == work.patient, Outbox.kind == work.kind, Outbox.state == WAITING, col(Outbox.id) > work.id
    )
    with workplace.database.reading() as session:
        waiting = set(session.exec(later))
    if not waiting:
        return False
    query = f"QuestionnaireResponse?_id={','.join(sorted(waiting))}&status={','.join(COMPLETE)}"
    return any(map(_calls_for_plan, await every(workplace.store, context, query)))


def _calls_for_plan(response: JSON) -> bool:
    return instrument_of(response) in (*BASELINE, CHECK_IN) and patient_of(response) != ""


def _is_due(proposal: PlanProposal, evidence: PlanEvidence, plans: Sequence[JSON], today: date) -> bool:
    """
    Whether a new plan begins today although one may be in force.

    A warning sign always stops a plan with exercises. A reported week is followed by a plan when the one in force
    ends today or tomorrow. Whoever has no plan for today gets one.
    """
    current = [plan for plan in plans if plan["status"] != "draft" and _covers(plan, today)]
    if not current:
        return True
    if proposal.kind == "clinician-first":
        return all(_has_exercise(plan) for plan in current)
    last_day = max(map(_end, current))
    is_week_reported = any(last_day - each.when.date() <= _LAST_DAYS for each in evidence.check_ins)
    return is_week_reported and last_day - today <= _LAST_DAYS


def _covers(plan: JSON, day: date) -> bool:
    return _start(plan) <= day <= _end(plan)


def _start(plan: JSON) -> date:
    return date.fromisoformat(plan["period"]["start"])


def _end(plan: JSON) -> date:
    return date.fromisoformat(plan["period"]["end"])


def _has_exercise(plan: JSON) -> bool:
    return any("goal" in activity.get("detail", {}) for activity in plan.get("activity", ()))


def _moment(start: date, now: datetime) -> datetime:
    """A moment of the day on which the plan begins: now, or the end of an earlier day."""
    return now if start == now.date() else datetime.combine(start, time(23, 59), now.tzinfo)
