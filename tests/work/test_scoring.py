"""Scores and alerts follow from completed answers, once, under the patient's grants."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.people import care
from gateway.store.outbox import Work
from gateway.web.screening import review
from gateway.work import reviews, scoring
from gateway.work.worker import Worker
from gateway.work.workplace import Workplace
from recommender.canonical import questionnaire
from tests.store.actors import clinic, create
from tests.work.people import Person

pytestmark = pytest.mark.anyio


async def scores(anna: Person) -> dict[str, Any]:
    found = await anna.sees(f"Observation?subject={anna.reference}")
    return {o["code"]["coding"][0]["code"]: o.get("valueQuantity", {}).get("value") for o in found}


async def active_alerts(anna: Person) -> list[str]:
    found = await anna.sees(f"Flag?subject={anna.reference}")
    return sorted(flag["code"]["text"] for flag in found if flag["status"] == "active")


async def test_completed_answers_become_scores(anna: Person, worker: Worker) -> None:
    await anna.answers("rmdq-24")
    await anna.answers("phq-8")
    await worker.work_off()
    assert await scores(anna) == {"rmdq-24": 9, "phq-8": 8}


async def test_answers_that_are_still_being_given_are_not_scored(anna: Person, worker: Worker) -> None:
    await anna.answers("rmdq-24", status="in-progress")
    await worker.work_off()
    assert await scores(anna) == {}


async def test_scoring_twice_changes_nothing(anna: Person, worker: Worker, workplace: Workplace) -> None:
    response = await anna.answers("weekly-check-in", week_warning_signs=True)
    await worker.work_off()
    before = [*await anna.sees("Observation"), *await anna.sees("Flag")]
    await scoring.handle(workplace, Work(1, "score", anna.key, "QuestionnaireResponse", response, 1, 0))
    assert [*await anna.sees("Observation"), *await anna.sees("Flag")] == before


async def test_an_amended_answer_amends_the_score(anna: Person, worker: Worker) -> None:
    response = await anna.answers("pain-nrs", pain_average=6)
    await worker.work_off()
    await anna.amends(response, "pain-nrs", pain_average=3)
    await worker.work_off()
    found = await anna.sees("Observation?code=pain-nrs-average")
    assert [(o["status"], o["valueQuantity"]["value"], o["meta"]["versionId"]) for o in found] == [("amended", 3, "2")]


async def test_nothing_is_made_of_answers_that_the_engine_may_not_see(
    anna: Person, worker: Worker, workplace: Workplace
) -> None:
    care.dismiss_plan_engine(workplace.database, anna.key)
    await anna.answers_baseline()
    await worker.work_off()
    assert await scores(anna) == {}


async def test_what_is_made_of_invented_answers_says_so(workplace: Workplace, worker: Worker) -> None:
    tag = {"system": "https://backbridge.example/tags", "code": "synthetic", "display": "Synthetic data"}
    invented = await Person.activated(workplace, meta={"tag": [tag]})
    await invented.answers_baseline(meta={"tag": [tag]})
    await worker.work_off()
    made = [r for kind in ("Observation", "CarePlan", "Goal", "Provenance") for r in await invented.sees(kind)]
    assert len(made) > 8
    assert [resource["meta"].get("tag") for resource in made] == [[tag]] * len(made)


async def test_each_warning_sign_of_the_screen_raises_an_alert(anna: Person, worker: Worker) -> None:
    await anna.answers("red-flag-screen", rf_saddle_numbness="yes", rf_weight_loss="unsure")
    await worker.work_off()
    assert await active_alerts(anna) == [
        "Emergency: Numbness between the legs",
        "Soon: Weight loss without trying (answered: not sure)",
    ]


async def test_a_severe_phq_8_raises_an_alert_and_a_milder_one_later_ends_it(anna: Person, worker: Worker) -> None:
    worst = {f"phq_{n}": "nearly-every-day" for n in range(1, 9)}
    await anna.answers("phq-8", days_ago=14, **worst)
    await worker.work_off()
    assert await active_alerts(anna) == ["PHQ-8 total 24 of 24: ask about mood and safety"]
    await anna.answers("phq-8", days_ago=1)
    await worker.work_off()
    assert await active_alerts(anna) == []


async def test_a_later_full_screen_ends_the_alerts_of_screen_and_check_in(anna: Person, worker: Worker) -> None:
    await anna.answers("red-flag-screen", days_ago=3, rf_fever_unwell="yes")
    await anna.answers("weekly-check-in", days_ago=2, week_warning_signs=True)
    await worker.work_off()
    assert len(await active_alerts(anna)) == 2
    await anna.answers("red-flag-screen", days_ago=1)
    await worker.work_off()
    assert await active_alerts(anna) == []


async def test_a_quiet_check_in_leaves_the_alert_of_the_screen(anna: Person, worker: Worker) -> None:
    await anna.answers("red-flag-screen", days_ago=3, rf_fever_unwell="yes")
    await anna.answers("weekly-check-in", days_ago=1)
    await worker.work_off()
    assert await active_alerts(anna) == ["Urgent: Fever or feeling very unwell"]


async def test_answers_that_arrive_late_raise_no_alert_after_later_ones(anna: Person, worker: Worker) -> None:
    await anna.answers("red-flag-screen", days_ago=1)
    await anna.answers("red-flag-screen", days_ago=5, rf_fever_unwell="yes")
    await worker.work_off()
    assert await active_alerts(anna) == []


async def test_the_clinic_sees_alerts_exactly_where_it_may_see_the_answers(anna: Person, worker: Worker) -> None:
    await anna.answers("red-flag-screen", rf_fever_unwell="yes")
    await worker.work_off()
    assert await anna.sees("Flag", clinic()) == []
    await anna.shares("prom")
    assert len(await anna.sees("Flag", clinic())) == 1


async def test_a_clinician_who_clears_the_answers_ends_their_alerts_and_the_plan_goes_on(
    anna: Person, worker: Worker, workplace: Workplace
) -> None:
    await anna.shares("prom", actions=("access", "collect"))
    await anna.answers_baseline(rf_fever_unwell="yes")
    await worker.work_off()
    [screen] = await anna.sees(f"QuestionnaireResponse?questionnaire={questionnaire('red-flag-screen')}")
    [advice] = await anna.plans()
    assert (len(await active_alerts(anna)), advice.get("goal")) == (1, None)
    source = f"QuestionnaireResponse/{screen['id']}"
    when = workplace.now().isoformat()
    await workplace.store.commit(clinic(), [create(review(anna.reference, source, "Practitioner/ada", when))])
    with workplace.database.writing() as session:
        reviews.ask(session, patient=anna.key, response_id=screen["id"], version=1, now_us=workplace.store.clock())
    await worker.work_off()
    assert await active_alerts(anna) == []
    assert len((await anna.plans())[0]["goal"]) == 3


async def test_asking_for_a_review_that_nobody_made_ends_nothing(
    anna: Person, worker: Worker, workplace: Workplace
) -> None:
    response = await anna.answers("red-flag-screen", rf_fever_unwell="yes")
    with workplace.database.writing() as session:
        reviews.ask(session, patient=anna.key, response_id=response, version=1, now_us=workplace.store.clock())
    await worker.work_off()
    assert len(await active_alerts(anna)) == 1
