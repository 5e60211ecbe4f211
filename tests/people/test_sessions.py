"""Browser sessions: rotation, expiry, forgery protection, listing and ending."""

from __future__ import annotations

import pytest
from sqlmodel import select

from gateway.access import Purpose
from gateway.people import memberships, sessions, sign_in
from gateway.people.authenticate import Unauthenticated
from gateway.people.errors import NotAMember
from gateway.people.sessions import Started
from gateway.people.sign_in import Browser
from gateway.people.tables import BrowserSession, Organisation, Role
from gateway.r4.identity import new_id

from .conftest import HOUR, SECOND, Installation
from .test_patients import PHONE, PIN, prescribe, redeem

WEB = {"request_id": "r-1", "origin": "192.0.2.1"}


def test_staff_session_acts_for_its_one_clinic(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "ada@example.org", Role.CLINICIAN, Role.ADMINISTRATOR)
    context, signed_in = here.authenticator.session_context(here.sign_in("ada@example.org").token, **WEB)
    assert context.actors == (account.key, clinic.key)
    assert context.agent == f"Practitioner/{account.id}"
    assert context.organization == f"Organization/{clinic.id}"
    assert context.organization_key == clinic.key
    assert (context.purpose, context.subject, context.bypass) == (Purpose.TREAT, None, False)
    assert (context.request_id, context.origin, context.client) == ("r-1", "192.0.2.1", "web")
    assert signed_in.member is not None
    assert signed_in.member.roles == {Role.CLINICIAN, Role.ADMINISTRATOR}
    assert not signed_in.is_patient


def test_member_of_two_clinics_acts_for_none_until_one_is_chosen(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "ada@example.org")
    other = here.clinic("Hill Clinic")
    with here.database.writing() as session:
        memberships.add(session, person=account.key, organisation=other.key, roles=[Role.CLINICIAN], now_us=here.now_us)
    started = here.sign_in("ada@example.org")
    context, signed_in = here.authenticator.session_context(started.token, **WEB)
    assert (context.actors, context.organization, signed_in.member) == ((account.key,), None, None)
    assert {member.organisation for member in signed_in.members} == {clinic.key, other.key}

    with here.database.writing() as session:
        sessions.choose_organisation(session, started.session, other.key, here.now_us)
    context, _ = here.authenticator.session_context(started.token, **WEB)
    assert context.actors == (account.key, other.key)

    with here.database.writing() as session:
        memberships.end(session, person=account.key, organisation=other.key, now_us=here.now_us)
    context, _ = here.authenticator.session_context(started.token, **WEB)
    assert context.actors == (account.key,)


def test_clinic_that_one_does_not_belong_to_cannot_be_chosen(here: Installation, clinic: Organisation) -> None:
    here.member(clinic, "ada@example.org")
    other = here.clinic("Hill Clinic")
    started = here.sign_in("ada@example.org")
    with here.database.writing() as session, pytest.raises(NotAMember):
        sessions.choose_organisation(session, started.session, other.key, here.now_us)


def test_privacy_officer_is_signed_in_but_does_not_act_for_the_clinic(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "dpo@example.org", Role.PRIVACY)
    context, signed_in = here.authenticator.session_context(here.sign_in("dpo@example.org").token, **WEB)
    assert context.actors == (account.key,)
    assert context.organization == f"Organization/{clinic.id}"
    assert signed_in.member is not None
    assert signed_in.member.roles == {Role.PRIVACY}


def test_patient_session_asks_for_themself(here: Installation, clinic: Organisation) -> None:
    patient_id = new_id()
    account = redeem(here, prescribe(here, clinic, patient_id)).account
    browser = Browser("192.0.2.2", HOUR)
    started = sign_in.patient(here.database, here.hasher, handle=PHONE, secret=PIN, browser=browser, now_us=here.now_us)
    context, signed_in = here.authenticator.session_context(started.token, **WEB)
    assert (context.actors, context.subject) == ((account.key,), account.key)
    assert (context.purpose, context.organization) == (Purpose.PATRQT, None)
    assert context.agent == f"Patient/{patient_id}"
    assert signed_in.is_patient


def test_cookie_planted_before_sign_in_is_worthless_after_it(here: Installation, clinic: Organisation) -> None:
    here.member(clinic, "eve@example.org")
    here.member(clinic, "ada@example.org")
    planted = here.sign_in("eve@example.org").token
    mine = here.sign_in("ada@example.org", previous=planted).token
    assert mine != planted
    with pytest.raises(Unauthenticated):
        here.authenticator.session_context(planted, **WEB)
    here.authenticator.session_context(mine, **WEB)


def test_invented_cookie_is_not_adopted(here: Installation, clinic: Organisation) -> None:
    here.member(clinic, "ada@example.org")
    here.sign_in("ada@example.org", previous="chosen-by-the-attacker")
    for cookie in ("chosen-by-the-attacker", "", None, "\ud800", "x" * 10_000):
        with pytest.raises(Unauthenticated):
            here.authenticator.session_context(cookie, **WEB)


def test_session_ends_at_its_time_even_when_used(here: Installation, clinic: Organisation) -> None:
    here.member(clinic, "ada@example.org")
    started = here.sign_in("ada@example.org")
    for _ in range(23):
        here.wait(30 * 60)
        _, signed_in = here.authenticator.session_context(started.token, **WEB)
        sessions.touch(here.database, signed_in.session, here.now_us)
    here.wait(30 * 60)
    with pytest.raises(Unauthenticated):
        here.authenticator.session_context(started.token, **WEB)


def test_idle_session_ends(here: Installation, clinic: Organisation) -> None:
    here.member(clinic, "ada@example.org")
    token = here.sign_in("ada@example.org").token
    here.wait(60 * 60 - 1)
    here.authenticator.session_context(token, **WEB)
    here.wait(1)
    with pytest.raises(Unauthenticated):
        here.authenticator.session_context(token, **WEB)


def test_use_is_noted_once_a_minute(here: Installation, clinic: Organisation) -> None:
    here.member(clinic, "ada@example.org")
    token = here.sign_in("ada@example.org").token
    seen = []
    for _ in range(4):
        here.wait(30)
        _, signed_in = here.authenticator.session_context(token, **WEB)
        sessions.touch(here.database, signed_in.session, here.now_us)
        with here.database.reading() as session:
            seen.append(session.exec(select(BrowserSession.seen)).one())
    assert len(set(seen)) == 3
    assert seen[-1] == here.now_us


def test_csrf_token_belongs_to_its_session(here: Installation, clinic: Organisation) -> None:
    here.member(clinic, "ada@example.org")
    one, two = here.sign_in("ada@example.org").session, here.sign_in("ada@example.org").session
    assert sessions.csrf_matches(one, one.csrf)
    for wrong in (two.csrf, "", None, one.csrf + "x", "\ud800"):
        assert not sessions.csrf_matches(one, wrong)


def test_person_lists_and_ends_their_own_sessions_only(here: Installation, clinic: Organisation) -> None:
    ada, eve = here.member(clinic, "ada@example.org"), here.member(clinic, "eve@example.org")
    first = here.sign_in("ada@example.org")
    here.wait(60)
    second = here.sign_in("ada@example.org")

    def number(started: Started) -> int:
        assert started.session.id is not None
        return started.session.id

    with here.database.writing() as session:
        listed = sessions.listed(session, ada.key, here.now_us)
        assert [row.id for row in listed] == [number(second), number(first)]
        assert not sessions.end(session, person=eve.key, number=number(first), now_us=here.now_us)
        assert sessions.end(session, person=ada.key, number=number(first), now_us=here.now_us)
        assert not sessions.end(session, person=ada.key, number=number(first), now_us=here.now_us)
    with pytest.raises(Unauthenticated):
        here.authenticator.session_context(first.token, **WEB)
    here.authenticator.session_context(second.token, **WEB)
    with here.database.writing() as session:
        sessions.end_token(session, second.token, here.now_us)
        assert sessions.listed(session, ada.key, here.now_us) == []
    with pytest.raises(Unauthenticated):
        here.authenticator.session_context(second.token, **WEB)


def test_ended_membership_bites_on_the_next_request(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "ada@example.org")
    token = here.sign_in("ada@example.org").token
    with here.database.writing() as session:
        memberships.end(session, person=account.key, now_us=here.now_us)
    with pytest.raises(Unauthenticated):
        here.authenticator.session_context(token, **WEB)


def test_cookie_is_not_stored(here: Installation, clinic: Organisation) -> None:
    here.member(clinic, "ada@example.org")
    token = here.sign_in("ada@example.org").token
    with here.database.reading() as session:
        row = session.exec(select(BrowserSession)).one()
    assert token not in repr(row.model_dump())
    assert row.expires - row.created == 12 * 3_600 * SECOND
