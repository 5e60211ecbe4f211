"""A draft plan follows from a complete baseline or a reported week, once, and is brought up to date until activated."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from gateway.people import care
from gateway.store.outbox import Work
from gateway.web.patient import questionnaires
from gateway.work import planning
from gateway.work.engine import engine_context
from gateway.work.planning import propose
from gateway.work.worker import Worker
from gateway.work.workplace import Workplace
from tests.store.actors import clinic
from tests.work.people import Person

pytestmark = pytest.mark.anyio

JSON = dict[str, Any]


async def activate(anna: Person, plan: JSON) -> JSON:
    return await anna.rewrites(plan, status="active")


async def moved(anna: Person, plan: JSON, days: int) -> JSON:
    """The plan as if it had been made some days ago."""
    period = {bound: str(date.fromisoformat(day) - timedelta(days=days)) for bound, day in plan["period"].items()}
    return await anna.rewrites(plan, period=period, identifier=[{"system": "urn:test", "value": f"moved-{days}"}])


def test_the_pages_and_the_planner_mean_the_same_baseline() -> None:
    assert planning.BASELINE == questionnaires.BASELINE
    assert planning.CHECK_IN == questionnaires.CHECK_IN


async def test_the_complete_baseline_is_answered_with_one_draft(anna: Person, worker: Worker) -> None:
    await anna.answers_baseline()
    await worker.work_off()
    [plan] = await anna.plans()
    assert (plan["status"], plan["meta"]["versionId"]) == ("draft", "1")
    assert len(await anna.sees("Goal")) == len(plan["goal"]) == 3


async def test_half_a_baseline_makes_no_plan(anna: Person, worker: Worker) -> None:
    for name in planning.BASELINE[:-1]:
        await anna.answers(name)
    await worker.work_off()
    assert await anna.plans() == []


async def test_the_plan_says_who_made_it_from_what(anna: Person, worker: Worker) -> None:
    await anna.answers_baseline()
    await worker.work_off()
    [plan] = await anna.plans()
    [provenance] = await anna.sees(f"Provenance?target=CarePlan/{plan['id']}")
    [device] = await anna.sees(f"Device?_id={plan['author']['reference'].partition('/')[2]}")
    assert provenance["agent"][0]["who"]["reference"] == f"Device/{device['id']}"
    sources = {entity["what"]["reference"].partition("/")[0] for entity in provenance["entity"]}
    assert sources == {"QuestionnaireResponse", "Observation", "Patient"}


async def test_who_may_see_the_plan_may_see_its_reasons(anna: Person, worker: Worker) -> None:
    await anna.answers_baseline()
    await worker.work_off()
    assert await anna.sees("Provenance", clinic()) == []
    await anna.shares("plan")
    assert [len(await anna.sees(kind, clinic())) for kind in ("CarePlan", "Goal", "Provenance")] == [1, 3, 1]


async def test_planning_twice_changes_nothing(anna: Person, worker: Worker, workplace: Workplace) -> None:
    await anna.answers_baseline()
    await worker.work_off()
    kinds = ("CarePlan", "Goal", "Provenance", "Device")
    before = [await anna.sees(kind) for kind in kinds]
    await propose(workplace.store, engine_context("again"), anna.reference, workplace.now())
    assert [await anna.sees(kind) for kind in kinds] == before


async def test_new_answers_change_the_draft_of_the_week_instead_of_adding_one(anna: Person, worker: Worker) -> None:
    await anna.answers_baseline()
    await worker.work_off()
    await anna.answers("goals", goal_text="Play with the children", sessions_per_week=5)
    await worker.work_off()
    [plan] = await anna.plans()
    assert plan["meta"]["versionId"] == "2"
    proposed = [g for g in await anna.sees("Goal") if g["lifecycleStatus"] == "proposed"]
    assert "Play with the children" in [goal["description"]["text"] for goal in proposed]
    assert {goal["reference"] for goal in plan["goal"]} == {f"Goal/{goal['id']}" for goal in proposed}


async def test_a_warning_sign_turns_the_draft_into_advice_and_cancels_its_goals(anna: Person, worker: Worker) -> None:
    await anna.answers_baseline()
    await worker.work_off()
    await anna.answers("red-flag-screen", rf_fever_unwell="yes")
    await worker.work_off()
    [plan] = await anna.plans()
    assert (plan["status"], plan.get("goal")) == ("draft", None)
    assert {goal["lifecycleStatus"] for goal in await anna.sees("Goal")} == {"cancelled"}


async def test_an_activated_plan_is_left_alone(anna: Person, worker: Worker) -> None:
    await anna.answers_baseline()
    await worker.work_off()
    [draft] = await anna.plans()
    active = await activate(anna, draft)
    await anna.answers("weekly-check-in")
    await worker.work_off()
    assert await anna.plans() == [active]


async def test_a_warning_sign_during_an_activated_plan_asks_for_a_clinician_at_once(
    anna: Person, worker: Worker
) -> None:
    await anna.answers_baseline()
    await worker.work_off()
    [draft] = await anna.plans()
    await activate(anna, draft)
    await anna.answers("weekly-check-in", week_warning_signs=True)
    await worker.work_off()
    assert sorted(plan["status"] for plan in await anna.plans()) == ["active", "draft"]


async def test_a_reported_week_is_followed_by_the_next_plan(anna: Person, worker: Worker) -> None:
    await anna.answers_baseline()
    await worker.work_off()
    [draft] = await anna.plans()
    await activate(anna, await moved(anna, draft, 6))
    await anna.answers("weekly-check-in")
    await worker.work_off()
    starts = {plan["status"]: plan["period"]["start"] for plan in await anna.plans()}
    today = anna.workplace.now().date()
    assert starts == {"active": str(today - timedelta(days=6)), "draft": str(today)}


async def test_a_draft_that_nobody_activated_ends_when_the_next_week_is_planned(anna: Person, worker: Worker) -> None:
    await anna.answers_baseline()
    await worker.work_off()
    [draft] = await anna.plans()
    await moved(anna, draft, 9)
    await anna.answers("weekly-check-in")
    await worker.work_off()
    assert sorted(plan["status"] for plan in await anna.plans()) == ["draft", "revoked"]


async def test_a_plan_that_a_clinician_refused_is_not_proposed_again_the_same_day(anna: Person, worker: Worker) -> None:
    await anna.answers_baseline()
    await worker.work_off()
    [draft] = await anna.plans()
    refused = await anna.rewrites(draft, status="revoked")
    await anna.answers("goals")
    await worker.work_off()
    assert await anna.plans() == [refused]


async def test_without_the_grant_of_activation_there_is_no_plan(
    anna: Person, worker: Worker, workplace: Workplace
) -> None:
    await anna.answers_baseline()
    care.dismiss_plan_engine(workplace.database, anna.key)
    await worker.work_off()
    assert await anna.sees("CarePlan") == []


async def test_a_plan_reads_only_its_own_patient(anna: Person, worker: Worker, workplace: Workplace) -> None:
    other = await Person.activated(workplace)
    await other.answers_baseline(rf_fever_unwell="yes")
    await anna.answers_baseline()
    await worker.work_off()
    [plan] = await anna.plans()
    assert plan["goal"]
    assert {p["subject"]["reference"] for p in await anna.sees("CarePlan")} == {anna.reference}


async def test_the_work_of_one_patient_is_done_in_the_order_it_was_written(anna: Person, workplace: Workplace) -> None:
    seen: list[tuple[int, str]] = []

    async def note(_: Workplace, work: Work) -> None:
        seen.append((work.patient, work.kind))

    other = await Person.activated(workplace)
    for _ in range(3):
        await anna.answers("pain-nrs")
        await other.answers("pain-nrs")
    await Worker(workplace, {"score": note, "plan": note}).work_off()
    for person in (anna, other):
        assert [kind for key, kind in seen if key == person.key] == ["score", "plan"] * 3
