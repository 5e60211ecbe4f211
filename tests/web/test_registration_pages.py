"""A clinician registers and prescribes; the same person is never registered twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.people import memberships, staff
from gateway.people.hashing import SecretHasher, sign_in_key
from gateway.people.tables import Role
from gateway.r4.identity import new_id
from gateway.store.store import now_us
from tests.web.browser import Browser
from tests.web.installation import Installation


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("nhs", "900 000 0008", "check digit"),
        ("nhs", "12345", "10 digits"),
        ("given", " ", "first name"),
        ("born__day", "31", "real date"),
        ("born__year", "2020", "18 years"),
        ("email", "anna@", "full e-mail"),
        ("phone", "call me", "phone number"),
        ("checked", None, "checked who this is"),
    ],
)
def test_a_wrong_entry_is_explained_and_nothing_else_is_lost(
    clinician: Browser, person: dict[str, str], field: str, value: str | None, said: str
) -> None:
    entered: dict[str, str | None] = {**person, "born__month": "2" if value == "31" else "3", field: value}
    page = clinician.open("/patients/new").submit(**entered)
    assert page.status == 422
    assert said in page.text
    assert f'value="{person["family"]}"' in page.html


def test_a_registered_person_of_the_test_range_is_labelled_synthetic(clinician: Browser, patient_id: str) -> None:
    assert "Synthetic person" in clinician.open("/panel").text
    assert "Synthetic person" in clinician.open(f"/patients/{patient_id}").text


def test_registering_the_same_number_again_leads_to_the_same_person(
    clinician: Browser, person: dict[str, str], patient_id: str
) -> None:
    clinician.open("/patients/new").submit(**person)
    assert clinician.url == f"/patients/{patient_id}/code"
    assert clinician.open("/panel").html.count(f"Anna {person['family']}</a>") == 1


def test_another_practice_that_registers_the_person_gets_the_same_one_and_sees_no_more_than_who_they_are(
    installation: Installation, visitor: Callable[[], Browser], person: dict[str, str], patient_id: str
) -> None:
    other = _colleague(installation, visitor)
    assert person["family"] not in other.open("/panel").text
    assert other.open(f"/patients/{patient_id}").status == 404
    other.open("/patients/new").submit(**person)
    assert other.url == f"/patients/{patient_id}/code"
    assert "No answers or measurements are shared" in other.open(f"/patients/{patient_id}").text


def test_a_code_is_made_only_after_suitability_was_assessed(clinician: Browser, patient_id: str) -> None:
    page = clinician.open(f"/patients/{patient_id}/code").submit()
    assert page.status == 422
    page.open(f"/patients/{patient_id}/code").submit(suitable="yes")
    assert page.status == 200
    assert 'class="qr"' in page.html
    assert "has an activation code" in clinician.open(f"/patients/{patient_id}").text.lower()


def test_the_code_is_in_no_address(clinician: Browser, patient_id: str) -> None:
    clinician.open(f"/patients/{patient_id}/code").submit(suitable="yes")
    code = clinician.html.split('class="code">')[1].split("<")[0]
    assert code not in clinician.url
    assert not any(code in link for link in clinician.links)


def test_a_patient_of_another_clinic_is_not_there(
    installation: Installation, visitor: Callable[[], Browser], patient_id: str
) -> None:
    other = _colleague(installation, visitor)
    for path in (f"/patients/{patient_id}", f"/patients/{patient_id}/code", "/patients/0000000000000"):
        assert other.open(path).status == 404


def _colleague(installation: Installation, visitor: Callable[[], Browser]) -> Browser:
    """Somebody who works in the other practice, through invitation and sign-in."""
    email = f"{new_id()}@elm.example"
    with installation.database.writing() as session:
        invited = staff.invite(
            session,
            name="Sam Field",
            email=email,
            organisation=installation.practice.key,
            roles=[Role.CLINICIAN],
            invited_by=installation.clinician.key,
            now_us=now_us(),
        )
    browser = visitor()
    browser.open("/invitation").submit(code=invited.code, secret="eleven slow otters")
    browser.open("/sign-in/staff").submit(email=email, secret="eleven slow otters")
    assert browser.url == "/panel"
    return browser


def test_somebody_whose_role_sees_no_patients_is_told_so(
    installation: Installation, visitor: Callable[[], Browser]
) -> None:
    hasher = SecretHasher(sign_in_key(installation.home / "keys"))
    with installation.database.writing() as session:
        invited = staff.invite(
            session,
            name="Kim Post",
            email="kim@clinic.example",
            organisation=installation.clinic.key,
            roles=[Role.SUPPORT],
            invited_by=installation.clinician.key,
            now_us=now_us(),
        )
        assert memberships.roles(session, invited.account.key, installation.clinic.key, now_us()) == {Role.SUPPORT}
    code = invited.code
    staff.accept(installation.database, hasher, code=code, passphrase="nine loud toads", address="::1", now_us=now_us())
    browser = visitor()
    browser.open("/sign-in/staff").submit(email="kim@clinic.example", secret="nine loud toads")
    assert "No patients in your role" in browser.text
