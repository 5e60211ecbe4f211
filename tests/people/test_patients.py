"""Patients: activation codes, accounts, and the lock on a PIN."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from gateway.people import codes, patients, sign_in
from gateway.people.authenticate import Unauthenticated
from gateway.people.errors import AlreadyExists, CodeRefused, NotKnown, SignInRefused, TryLater, Unacceptable
from gateway.people.patients import Activated
from gateway.people.sessions import Started
from gateway.people.sign_in import Browser
from gateway.people.tables import ActivationCode, Organisation, PatientAccount
from gateway.r4.identity import key_of, new_id

from .conftest import HOUR, Installation

PIN = "481926"
PHONE = "+44 7700 900123"


def prescribe(here: Installation, clinic: Organisation, patient_id: str) -> str:
    with here.database.writing() as session:
        return patients.prescribe(
            session, patient_id=patient_id, organisation=clinic.key, prescriber=7, now_us=here.now_us
        ).code


def redeem(
    here: Installation, code: str, handle: str = PHONE, secret: str = PIN, address: str = "192.0.2.1"
) -> Activated:
    return patients.redeem(
        here.database,
        here.hasher,
        code=code,
        handle=handle,
        secret=secret,
        address=address,
        now_us=here.now_us,
    )


def enter(here: Installation, handle: str = PHONE, secret: str = PIN, address: str = "192.0.2.2") -> Started:
    browser = Browser(address, 12 * HOUR)
    return sign_in.patient(
        here.database, here.hasher, handle=handle, secret=secret, browser=browser, now_us=here.now_us
    )


def test_patient_activates_with_the_code_and_signs_in(here: Installation, clinic: Organisation) -> None:
    patient_id = new_id()
    activated = redeem(here, prescribe(here, clinic, patient_id))
    assert activated.is_new
    assert (activated.organisation, activated.prescriber) == (clinic.key, 7)
    assert activated.account.key == key_of("Patient", patient_id)
    assert enter(here, "0044 7700 900123").session.reference == f"Patient/{patient_id}"


def test_code_is_good_once_even_for_sixteen_at_once(here: Installation, clinic: Organisation) -> None:
    code = prescribe(here, clinic, new_id())

    def attempt(number: int) -> bool:
        try:
            redeem(here, code, handle=f"name-{number}", address=f"203.0.113.{number}")
        except CodeRefused:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, range(16))) == 1
    with here.database.reading() as session:
        assert len(list(session.exec(select(PatientAccount)))) == 1


def test_code_ends_after_two_weeks_and_when_a_newer_one_is_made(here: Installation, clinic: Organisation) -> None:
    patient_id = new_id()
    first, second = prescribe(here, clinic, patient_id), prescribe(here, clinic, patient_id)
    with pytest.raises(CodeRefused):
        redeem(here, first)
    here.now_us += 14 * 24 * HOUR
    with pytest.raises(CodeRefused):
        redeem(here, second)


def test_second_code_sets_name_and_pin_anew_and_ends_sessions(here: Installation, clinic: Organisation) -> None:
    patient_id = new_id()
    redeem(here, prescribe(here, clinic, patient_id))
    cookie = enter(here).token
    again = redeem(here, prescribe(here, clinic, patient_id), "ada-example", "mind the gap")
    assert not again.is_new
    with pytest.raises(Unauthenticated):
        here.authenticator.session_context(cookie, request_id="r")
    with pytest.raises(SignInRefused):
        enter(here)
    assert enter(here, "Ada-Example", "mind the gap").token


def test_name_of_somebody_else_is_refused_and_leaves_the_code_usable(here: Installation, clinic: Organisation) -> None:
    redeem(here, prescribe(here, clinic, new_id()))
    code = prescribe(here, clinic, new_id())
    with pytest.raises(AlreadyExists):
        redeem(here, code)
    assert redeem(here, code, "somebody-else").is_new


def test_wrong_codes_are_limited_by_address_and_cost_no_hashing(here: Installation, clinic: Organisation) -> None:
    code = prescribe(here, clinic, new_id())
    for _ in range(30):
        with pytest.raises(CodeRefused):
            redeem(here, codes.new_code())
    with pytest.raises(TryLater):
        redeem(here, code)
    assert here.argon2.verified == 0
    assert redeem(here, code, address="192.0.2.99").is_new


def test_pin_is_locked_after_failures_and_opened_by_a_new_code(here: Installation, clinic: Organisation) -> None:
    patient_id = new_id()
    redeem(here, prescribe(here, clinic, patient_id))
    for number in range(5):
        with pytest.raises(SignInRefused):
            enter(here, secret="111222", address=f"203.0.113.{number}")
    with pytest.raises(TryLater):
        enter(here)
    redeem(here, prescribe(here, clinic, patient_id))
    assert enter(here).token


def test_closed_account_is_out_at_once(here: Installation, clinic: Organisation) -> None:
    patient_id = new_id()
    redeem(here, prescribe(here, clinic, patient_id))
    cookie = enter(here).token
    code = prescribe(here, clinic, patient_id)
    with here.database.writing() as session:
        patients.disable(session, key_of("Patient", patient_id), here.now_us)
    with pytest.raises(Unauthenticated):
        here.authenticator.session_context(cookie, request_id="r")
    with pytest.raises(SignInRefused):
        enter(here)
    with pytest.raises(CodeRefused):
        redeem(here, code)
    with here.database.writing() as session, pytest.raises(NotKnown):
        patients.disable(session, 1234, here.now_us)


def test_code_is_for_a_logical_id_only(here: Installation, clinic: Organisation) -> None:
    with here.database.writing() as session, pytest.raises(Unacceptable):
        patients.prescribe(session, patient_id="../x", organisation=clinic.key, prescriber=0, now_us=here.now_us)


def test_neither_code_nor_phone_is_stored_or_shown(here: Installation, clinic: Organisation) -> None:
    with here.database.writing() as session:
        prescribed = patients.prescribe(
            session, patient_id=new_id(), organisation=clinic.key, prescriber=0, now_us=here.now_us
        )
    assert prescribed.code not in repr(prescribed)
    activated = redeem(here, prescribed.code)
    with here.database.reading() as session:
        stored = repr([row.model_dump() for row in session.exec(select(ActivationCode))])
        stored += repr([row.model_dump() for row in session.exec(select(PatientAccount))])
    for secret in (prescribed.code, prescribed.code.replace("-", ""), "7700900123", PIN):
        assert secret not in stored + repr(activated)


def test_code_has_sixty_bits_and_no_letters_that_are_misread() -> None:
    seen = set("".join(codes.new_code() for _ in range(400)))
    assert len(seen - {"-"}) == 32
    assert not seen & set("ILOU")
    assert 12 * math.log2(32) >= 60


@given(st.sampled_from(["lower", "spaces", "none", "misread"]))
def test_code_is_understood_as_people_type_it(way: str) -> None:
    code = codes.new_code()
    typed = {
        "lower": code.lower(),
        "spaces": " " + code.replace("-", " \u2013 "),
        "none": code.replace("-", ""),
        "misread": code.replace("0", "o").replace("1", "l"),
    }[way]
    assert codes.code_hash(typed) == codes.code_hash(code)


@given(st.text(max_size=80))
def test_text_that_cannot_be_a_code_is_refused_without_a_traceback(text: str) -> None:
    with suppress(CodeRefused):
        assert len(codes.code_hash(text)) == 32
