"""Sharing: per recipient, with the text agreed to; stopping is one step and holds at once."""

from __future__ import annotations

from tests.web.browser import Browser
from tests.web.installation import Installation


def share(patient: Browser, organisation: str, **choice: list[str]) -> None:
    page = patient.open(f"/sharing/{organisation}")
    page.submit(share="yes", **choice)
    assert "I agree that" in page.text
    page.submit(f"/sharing/{organisation}/agree")


def give_pain(patient: Browser) -> None:
    patient.open("/questions/pain-nrs/pain-average").submit(answer="6")
    patient.submit(answer="8")
    patient.submit()


def test_nothing_is_shared_until_the_patient_says_so(
    installation: Installation, patient: Browser, clinician: Browser, patient_id: str
) -> None:
    give_pain(patient)
    installation.work_off()
    assert "No answers or measurements are shared" in clinician.open(f"/patients/{patient_id}").text


def test_what_is_shared_appears_and_what_is_stopped_is_gone_at_once(
    installation: Installation, patient: Browser, clinician: Browser, patient_id: str
) -> None:
    give_pain(patient)
    installation.work_off()
    share(patient, installation.clinic.id)
    assert "Now 6 of 10" in clinician.open(f"/patients/{patient_id}").text
    patient.open("/sharing").submit(f"/sharing/{installation.clinic.id}/withdraw")
    assert "Stopped" in patient.text
    assert "No answers or measurements are shared" in clinician.open(f"/patients/{patient_id}").text


def test_stopping_takes_no_more_steps_than_giving(installation: Installation, patient: Browser) -> None:
    share(patient, installation.clinic.id)
    actions = [form.action for form in patient.open("/sharing").forms]
    assert f"/sharing/{installation.clinic.id}/withdraw" in actions


def test_only_the_ticked_kinds_are_shared(
    installation: Installation, patient: Browser, clinician: Browser, patient_id: str
) -> None:
    give_pain(patient)
    installation.work_off()
    share(patient, installation.clinic.id, category=["plan"])
    assert "No answers or measurements are shared" in clinician.open(f"/patients/{patient_id}").text
    share(patient, installation.clinic.id, category=["prom"])
    assert "Now 6 of 10" in clinician.open(f"/patients/{patient_id}").text


def test_each_recipient_is_decided_on_its_own(installation: Installation, patient: Browser) -> None:
    share(patient, installation.clinic.id)
    patient.open(f"/sharing/{installation.practice.id}").submit(share="no")
    assert patient.url == "/sharing"
    assert "You decided not to share with them" in patient.text
    assert "You let Riverside Physiotherapy" in patient.text


def test_a_yes_without_anything_ticked_is_not_taken_as_everything(installation: Installation, patient: Browser) -> None:
    page = patient.open(f"/sharing/{installation.clinic.id}").submit(share="yes", category=None)
    assert page.status == 422
    assert "Tick at least one thing" in page.text


def test_who_looked_names_the_person_and_the_organisation(
    installation: Installation, patient: Browser, clinician: Browser, patient_id: str
) -> None:
    clinician.open(f"/patients/{patient_id}")
    page = patient.open("/sharing/looks")
    assert "Robin Hale" in page.text
    assert "Riverside Physiotherapy" in page.text
    assert "for your care" in page.text
