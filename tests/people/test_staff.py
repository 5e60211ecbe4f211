"""Staff: set-up, invitations, roles, leavers."""

from __future__ import annotations

import pytest

from gateway.people import memberships, organisations, staff
from gateway.people.authenticate import Unauthenticated
from gateway.people.errors import AlreadyExists, CodeRefused, NotKnown, SignInRefused, Unacceptable
from gateway.people.local_token import local_token
from gateway.people.staff import Invited
from gateway.people.tables import Organisation, Role
from gateway.r4.identity import key_of, new_id

from .conftest import HOUR, PASSPHRASE, Installation


def invite(here: Installation, clinic: Organisation, email: str = "bo@example.org") -> Invited:
    with here.database.writing() as session:
        return staff.invite(
            session,
            name="Bo Example",
            email=email,
            organisation=clinic.key,
            roles=[Role.CLINICIAN],
            invited_by=0,
            now_us=here.now_us,
        )


def accept(here: Installation, code: str, passphrase: str = PASSPHRASE, address: str = "192.0.2.1") -> None:
    staff.accept(here.database, here.hasher, code=code, passphrase=passphrase, address=address, now_us=here.now_us)


def test_first_administrator_sets_up_and_signs_in_and_there_is_only_one(here: Installation) -> None:
    def set_up() -> None:
        account, clinic = staff.first_administrator(
            here.database,
            here.hasher,
            organisation_name="Riverside Clinic",
            name="Ada Example",
            email="ada@example.org",
            passphrase=PASSPHRASE,
            now_us=here.now_us,
        )
        with here.database.reading() as session:
            assert memberships.roles(session, account.key, clinic.key, here.now_us) == {Role.ADMINISTRATOR}
            assert memberships.actors(session, account.key, here.now_us) == (account.key, clinic.key)

    set_up()
    assert here.sign_in("ada@example.org").token
    with pytest.raises(AlreadyExists):
        set_up()


def test_organisation_is_registered_once_under_the_key_of_its_resource(here: Installation) -> None:
    organisation_id = new_id()
    with here.database.writing() as session:
        found = organisations.add(session, name="A", now_us=0, organisation_id=organisation_id)
        assert found.key == key_of("Organization", organisation_id)
        with pytest.raises(AlreadyExists):
            organisations.add(session, name="B", now_us=0, organisation_id=organisation_id)
        with pytest.raises(Unacceptable):
            organisations.add(session, name=" ", now_us=0)
        with pytest.raises(Unacceptable):
            organisations.add(session, name="C", now_us=0, organisation_id="a/b")
        assert organisations.get(session, organisation_id).name == "A"
        with pytest.raises(NotKnown):
            organisations.get(session, "other")
        assert [row.name for row in organisations.every(session)] == ["A"]


def test_invited_person_cannot_sign_in_before_choosing_a_passphrase(here: Installation, clinic: Organisation) -> None:
    invited = invite(here, clinic)
    for passphrase in ("", PASSPHRASE):
        with pytest.raises(SignInRefused):
            here.sign_in("bo@example.org", passphrase)
    accept(here, invited.code)
    assert here.sign_in("bo@example.org").token


def test_invitation_is_good_once(here: Installation, clinic: Organisation) -> None:
    invited = invite(here, clinic)
    accept(here, invited.code.lower().replace("-", " "))
    with pytest.raises(CodeRefused):
        accept(here, invited.code, "stolen by somebody")
    assert here.sign_in("bo@example.org").token


def test_invitation_ends_after_a_week_and_when_a_newer_one_is_made(here: Installation, clinic: Organisation) -> None:
    first, second = invite(here, clinic), invite(here, clinic)
    assert first.account.key == second.account.key
    with pytest.raises(CodeRefused):
        accept(here, first.code)
    here.now_us += 7 * 24 * HOUR
    with pytest.raises(CodeRefused):
        accept(here, second.code)


def test_easy_passphrase_does_not_use_the_invitation_up(here: Installation, clinic: Organisation) -> None:
    invited = invite(here, clinic)
    with pytest.raises(Unacceptable):
        accept(here, invited.code, "short")
    accept(here, invited.code)


def test_inviting_somebody_who_signs_in_elsewhere_adds_the_role_and_gives_no_code(
    here: Installation, clinic: Organisation
) -> None:
    account = here.member(clinic, "bo@example.org")
    other = here.clinic("Hill Clinic")
    invited = invite(here, other)
    assert invited.account.key == account.key
    assert invited.code == ""
    assert here.sign_in("bo@example.org").token
    with here.database.reading() as session:
        assert memberships.actors(session, account.key, here.now_us) == (account.key, clinic.key, other.key)


def test_role_that_is_held_is_not_given_twice(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "bo@example.org")
    invite(here, clinic)
    with here.database.reading() as session:
        assert len(memberships.of_organisation(session, clinic.key, here.now_us)) == 1
        assert memberships.roles(session, account.key, clinic.key, here.now_us) == {Role.CLINICIAN}


@pytest.mark.parametrize("role", [Role.PRIVACY, Role.SUPPORT, Role.ENGINEER])
def test_roles_outside_care_do_not_act_in_the_clinics_name(
    here: Installation, clinic: Organisation, role: Role
) -> None:
    account = here.member(clinic, "bo@example.org", role)
    with here.database.reading() as session:
        assert memberships.actors(session, account.key, here.now_us) == (account.key,)


def test_leaver_is_out_on_the_next_request(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "bo@example.org")
    cookie = here.sign_in("bo@example.org").token
    token = local_token(here.database, scope="user/*.rs", now_us=here.now_us, user=f"Practitioner/{account.id}")
    here.authenticator.session_context(cookie, request_id="r")
    here.authenticator.context(f"Bearer {token}", request_id="r")
    with here.database.writing() as session:
        left = staff.leave(session, account.key, here.now_us)
    assert (left.memberships, left.sessions, left.tokens) == (1, 1, 1)
    with pytest.raises(Unauthenticated):
        here.authenticator.session_context(cookie, request_id="r")
    with pytest.raises(Unauthenticated):
        here.authenticator.context(f"Bearer {token}", request_id="r")
    with pytest.raises(SignInRefused):
        here.sign_in("bo@example.org")
    with here.database.writing() as session, pytest.raises(NotKnown):
        staff.reset(session, person=account.key, asked_by=0, now_us=here.now_us)


def test_leaver_who_comes_back_needs_a_new_passphrase(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "bo@example.org")
    with here.database.writing() as session:
        staff.leave(session, account.key, here.now_us)
    invited = invite(here, clinic)
    assert invited.code
    with pytest.raises(SignInRefused):
        here.sign_in("bo@example.org")
    accept(here, invited.code, "a quite new one")
    assert here.sign_in("bo@example.org", "a quite new one").token


def test_lost_passphrase_is_replaced_and_open_sessions_end(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "bo@example.org")
    cookie = here.sign_in("bo@example.org").token
    with here.database.writing() as session:
        code = staff.reset(session, person=account.key, asked_by=0, now_us=here.now_us).code
    here.authenticator.session_context(cookie, request_id="r")
    accept(here, code, "a quite new one")
    with pytest.raises(Unauthenticated):
        here.authenticator.session_context(cookie, request_id="r")
    with pytest.raises(SignInRefused):
        here.sign_in("bo@example.org")


def test_codes_and_secrets_appear_in_no_repr(here: Installation, clinic: Organisation) -> None:
    invited = invite(here, clinic)
    account = here.member(clinic, "ada@example.org")
    started = here.sign_in("ada@example.org")
    shown = f"{invited!r} {account!r} {account} {started!r} {here.hasher!r}"
    for secret in (invited.code, "argon2", started.token, started.session.csrf, "kkkk"):
        assert secret not in shown


def test_unknown_practitioner_is_not_known(here: Installation) -> None:
    with here.database.writing() as session, pytest.raises(NotKnown):
        staff.leave(session, 12345, here.now_us)
