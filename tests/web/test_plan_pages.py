"""From answers to a plan that a clinician activates and a patient follows; each decision is on record."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.web.patient import answers as sheet
from recommender import knowledge
from tests.web.browser import Browser
from tests.web.installation import Installation

BASELINE = ("red-flag-screen", "pain-nrs", "rmdq-24", "psfs", "phq-8", "goals")


def answer(patient: Browser, instrument: str, **said: str) -> None:
    """Every question with a mild answer, unless said otherwise (linkId with _ for -)."""
    patient.open(f"/questions/{instrument}")
    patient.open(next(link for link in patient.links if link.startswith(f"/questions/{instrument}/")))
    questions = {q.link_id: q for q in sheet.questions(knowledge.instrument(instrument))}
    while not patient.url.endswith("/check"):
        if patient.url.endswith("/advice"):
            patient.open(next(link for link in patient.links if link.startswith(f"/questions/{instrument}/")))
            continue
        link_id = patient.url.rpartition("/")[2]
        patient.submit(answer=said.get(link_id.replace("-", "_"), _mild(questions[link_id])))
    patient.submit()
    assert patient.url.endswith("/done")


def _mild(question: sheet.Question) -> str:
    values = [value for value, _ in question.options]
    usual = next((value for value in ("no", "not-at-all", "3", "15") if value in values), None)
    return usual or (values[0] if values else "3" if question.kind == "number" else "Gardening")


@pytest.fixture
def planned(installation: Installation, patient: Browser) -> Browser:
    """A patient who shares with the clinic, has answered everything, and whose plan is drafted."""
    patient.open(f"/sharing/{installation.clinic.id}").submit(share="yes")
    patient.submit(f"/sharing/{installation.clinic.id}/agree")
    for instrument in BASELINE:
        answer(patient, instrument)
    assert "being worked out" in patient.open("/plan").text
    installation.work_off()
    return patient


def review(clinician: Browser, patient_id: str) -> Browser:
    clinician.open(f"/patients/{patient_id}")
    return clinician.open(next(link for link in clinician.links if "/plans/" in link))


def test_a_draft_says_why_and_what_it_rests_on(planned: Browser, clinician: Browser, patient_id: str) -> None:
    page = review(clinician, patient_id)
    assert "Proposed" in page.text
    for words in ("backbridge-plan-policy|1.0.0", "Before you start: safety questions", "step.first-week"):
        assert words in page.text


def test_until_it_is_activated_the_patient_can_read_the_plan_but_has_no_day(planned: Browser) -> None:
    assert "Proposed, not started" in planned.open("/plan").text
    page = planned.open("/today")
    assert "ready to be checked" in page.text
    assert "Steps today" not in page.text


def test_an_activated_plan_fills_today_and_the_decision_is_on_record(
    installation: Installation, planned: Browser, clinician: Browser, patient_id: str
) -> None:
    review(clinician, patient_id).submit()
    assert clinician.url == f"/patients/{patient_id}"
    page = planned.open("/today")
    assert "4,000 steps" in page.text
    assert "Message of the day" in page.text
    assert sum(link.startswith("/exercises/") for link in page.links) == 3
    stored = _resources(installation, patient_id)
    decisions = [r for r in stored["Provenance"] if r["agent"][0]["who"]["reference"].startswith("Practitioner/")]
    assert decisions[0]["agent"][0]["onBehalfOf"]["reference"] == f"Organization/{installation.clinic.id}"
    assert {goal["lifecycleStatus"] for goal in stored["Goal"]} == {"active"}


def test_a_declined_plan_needs_a_reason_and_is_not_followed(
    planned: Browser, clinician: Browser, patient_id: str
) -> None:
    page = review(clinician, patient_id)
    decline = page.forms[-1].data()
    assert decline["decision"] == ["decline"]
    page._took(page.client.post(page.url, data=decline))
    assert page.status == 422
    assert "Choose a reason" in page.text
    page._took(page.client.post(page.url, data={**decline, "reason": "too-hard", "note": "starts lower"}))
    assert page.url == f"/patients/{patient_id}"
    assert "Steps today" not in planned.open("/today").text


def test_a_plan_that_changed_since_it_was_shown_is_not_activated_unseen(
    planned: Browser, clinician: Browser, patient_id: str
) -> None:
    page = review(clinician, patient_id).submit(version="99")
    assert page.status == 409
    assert "Steps today" not in planned.open("/today").text


def test_who_may_see_but_not_change_is_told_why_the_plan_cannot_be_activated(
    installation: Installation, planned: Browser, clinician: Browser, patient_id: str
) -> None:
    planned.open(f"/sharing/{installation.clinic.id}").submit(share="yes", write=None)
    planned.submit(f"/sharing/{installation.clinic.id}/agree")
    page = review(clinician, patient_id).submit()
    assert page.status == 422
    assert "not change it" in page.text
    assert "nobody can check it" in planned.open("/plan").text


def test_an_exercise_is_reported_with_one_tap(
    installation: Installation, planned: Browser, clinician: Browser, patient_id: str
) -> None:
    review(clinician, patient_id).submit()
    exercise = next(link for link in planned.open("/today").links if link.startswith("/exercises/"))
    planned.open(exercise).submit(feedback="hard")
    assert planned.url == "/today"
    assert "Done today" in planned.text


def test_warning_signs_stand_first_on_the_panel_until_a_clinician_has_looked(
    installation: Installation, patient: Browser, clinician: Browser, person: dict[str, str], patient_id: str
) -> None:
    patient.open(f"/sharing/{installation.clinic.id}").submit(share="yes")
    patient.submit(f"/sharing/{installation.clinic.id}/agree")
    answer(patient, "red-flag-screen", rf_night_pain="yes")
    assert "Book an appointment" in patient.text
    installation.work_off()
    assert "Pain at night" in clinician.open("/panel").text
    page = clinician.open(f"/patients/{patient_id}")
    assert "Warning signs to look at" in page.text
    page.submit(f"/patients/{patient_id}/cleared")
    assert page.url == f"/patients/{patient_id}"
    assert "Warning signs to look at" not in page.text
    assert {flag["status"] for flag in _resources(installation, patient_id)["Flag"]} == {"inactive"}


def test_very_low_mood_is_an_alert_and_the_patient_gets_words_at_once(
    installation: Installation, patient: Browser, clinician: Browser, patient_id: str, visitor: Callable[[], Browser]
) -> None:
    patient.open(f"/sharing/{installation.clinic.id}").submit(share="yes")
    patient.submit(f"/sharing/{installation.clinic.id}/agree")
    answer(patient, "phq-8", **{f"phq_{n}": "nearly-every-day" for n in range(1, 9)})
    assert "If things feel very hard" in patient.text
    installation.work_off()
    assert "Mood very low" in clinician.open(f"/patients/{patient_id}").text


def _resources(installation: Installation, patient_id: str) -> dict[str, list[dict[str, Any]]]:
    """Everything current about the patient, by type, straight from the tables."""
    connection = installation.database.connect()
    rows = connection.execute(
        "SELECT h.body FROM resource r JOIN history h ON h.seq = r.head WHERE r.patient = ? AND h.body IS NOT NULL",
        (installation.key(patient_id),),
    ).fetchall()
    connection.close()
    found: dict[str, list[dict[str, Any]]] = {}
    for (body,) in rows:
        resource = json.loads(body)
        found.setdefault(resource["resourceType"], []).append(resource)
    return found
