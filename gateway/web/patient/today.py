"""The patient's first pages: what to do to get started, and what to do today (product S1, S4)."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from gateway.web.dates import read_moment
from gateway.web.figures import steps_ring
from gateway.web.patient import questionnaires
from gateway.web.patient.recipients import recipients
from gateway.web.plans import IS_WEEKLY_PLAN, Plan, current, plan
from gateway.web.resources import person
from gateway.web.screening import SCREENS, screening
from gateway.web.steps import latest_days
from gateway.web.visit import PatientVisit
from recommender import knowledge
from recommender.canonical import RED_FLAG_REVIEW, SAFETY_SYSTEM, questionnaire

JSON = dict[str, Any]

_CHECK_IN_EVERY_DAYS = 6


async def start(visit: PatientVisit) -> Response:
    """The few steps before the first plan, in any order, on any device."""
    instruments, sharing, plans, patient = await asyncio.gather(
        questionnaires.overview(visit, questionnaires.BASELINE),
        recipients(visit),
        plans_of(visit),
        visit.reads.read("Patient", visit.patient_id),
    )
    carers = [each for each in sharing if each.is_carer]
    values = {
        "person": person(patient),
        "instruments": instruments,
        "open": [each for each in instruments if each.state != "done"],
        "is_sharing_decided": all(each.state != "undecided" for each in carers),
        "carers": carers,
        "has_plan": bool(plans),
    }
    return visit.page("patient/start.html", values)


async def today(visit: PatientVisit) -> Response:
    """Steps, exercises, a message, first aid; the start page as long as there is nothing to do today."""
    plans = await plans_of(visit)
    followed = current(plans, visit.dates.today)
    instruments = await questionnaires.overview(visit, questionnaires.BASELINE)
    if followed is None and any(each.state != "done" for each in instruments):
        return visit.redirect("/start")
    patient, days, done, open_flags = await asyncio.gather(
        visit.reads.read("Patient", visit.patient_id),
        latest_days(visit.reads, visit.reference, visit.dates.today, 1),
        _done_today(visit),
        _screening(visit),
    )
    values = {
        "person": person(patient),
        "plan": followed,
        "waiting": next((p for p in plans if p.status == "draft"), None),
        "so_far": days[0].steps,
        "ring": steps_ring(days[0].steps, followed.steps, visit.messages) if followed and followed.steps else "",
        "done": done,
        "lesson": followed.lesson(visit.dates.today) if followed else None,
        "screening": open_flags,
        "is_check_in_due": await _is_check_in_due(visit, followed),
    }
    return visit.page("patient/today.html", values)


async def this_plan(visit: PatientVisit) -> Response:
    """The whole week, and why."""
    plans = await plans_of(visit)
    shown = current(plans, visit.dates.today) or next((p for p in plans if p.status == "draft"), None)
    sharing = await recipients(visit) if shown is None or shown.status == "draft" else []
    carers = [each for each in sharing if each.is_carer]
    values = {
        "plan": shown,
        "is_seen": any({"plan", "prom"} <= each.categories and each.may_write for each in carers),
        "is_waiting": shown is None and await _is_ready(visit),
    }
    return visit.page("patient/plan.html", values)


async def first_aid(visit: PatientVisit) -> Response:
    """What to do when it hurts; always there."""
    return visit.page("patient/first_aid.html", {"tips": knowledge.table("pain_first_aid")})


async def plans_of(visit: PatientVisit) -> list[Plan]:
    """The patient's weekly plans, latest first."""
    found = await visit.reads.some("CarePlan", 50, subject=visit.reference, category=IS_WEEKLY_PLAN, _sort="-date")
    return [plan(each) for each in found]


async def _is_ready(visit: PatientVisit) -> bool:
    states = await questionnaires.overview(visit, questionnaires.BASELINE)
    return all(each.state == "done" for each in states)


async def _done_today(visit: PatientVisit) -> frozenset[str]:
    """Exercises reported as done today."""
    feedback = await visit.reads.some(
        "QuestionnaireResponse",
        100,
        subject=visit.reference,
        questionnaire=questionnaire("exercise-feedback"),
        _sort="-authored",
    )
    return frozenset(
        exercise
        for response in feedback
        if visit.dates.day_of(read_moment(response["authored"])) == visit.dates.today
        for exercise in _completed(response)
    )


def _completed(response: JSON) -> list[str]:
    answers = {item["linkId"]: item.get("answer", [{}])[0] for item in response.get("item", ())}
    is_done = answers.get("completed", {}).get("valueBoolean") is True
    return [answers["exercise"]["valueString"]] if is_done and "exercise" in answers else []


async def _screening(visit: PatientVisit) -> Any:
    responses = await visit.reads.some(
        "QuestionnaireResponse",
        20,
        subject=visit.reference,
        questionnaire=",".join(SCREENS),
        status="completed,amended",
        _sort="-authored",
    )
    reviews = await visit.reads.every("Observation", subject=visit.reference, code=f"{SAFETY_SYSTEM}|{RED_FLAG_REVIEW}")
    return screening(responses, reviews)


async def _is_check_in_due(visit: PatientVisit, followed: Plan | None) -> bool:
    """A plan lasts a week; the next one is made from the answers about it."""
    if followed is None or followed.start is None:
        return False
    latest = await visit.reads.first(
        "QuestionnaireResponse",
        subject=visit.reference,
        questionnaire=questionnaire(questionnaires.CHECK_IN),
        status="completed",
        _sort="-authored",
    )
    since = visit.dates.day_of(read_moment(latest["authored"])) if latest else followed.start
    return (visit.dates.today - max(since, followed.start)).days >= _CHECK_IN_EVERY_DAYS
