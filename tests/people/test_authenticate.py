"""Bearer tokens at the FHIR door: what a token opens, and that ending it bites on the next request."""

from __future__ import annotations

import pytest
from sqlmodel import select

from gateway.access import Purpose
from gateway.people import memberships, tokens
from gateway.people.authenticate import Unauthenticated, open_access_context
from gateway.people.errors import NotAMember, Unacceptable
from gateway.people.local_token import local_token
from gateway.people.tables import AccessToken, Organisation, Role
from gateway.r4.identity import key_of, new_id
from gateway.smart import clients, jose
from gateway.smart.jwks import of_keys
from gateway.store.database import open_database

from .conftest import Installation


def client_token(here: Installation, clinic: Organisation, feed_prefix: str | None = None) -> tuple[str, str]:
    """A registered client's id and a token of it."""
    key = jose.generate("ES384")
    with here.database.writing() as session:
        client = clients.register(
            session,
            name="Ward System",
            organisation=clinic.key,
            jwks=of_keys([key.jwk]).json(),
            scopes="system/*.cruds",
            activity="hl7v2-feed",
            purpose=Purpose.HOPERAT,
            feed_prefix=feed_prefix,
            now_us=here.now_us,
        )
        token = tokens.mint(
            session,
            client=client.id,
            scopes="system/Observation.rs",
            purpose=Purpose.HOPERAT,
            activity="hl7v2-feed",
            now_us=here.now_us,
            seconds=300,
            organisation=clinic.key,
            organisation_id=clinic.id,
        )
    return client.id, token


def refused(here: Installation, authorization: str | None) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as refusal:
        here.authenticator.context(authorization, request_id="r-1")
    return refusal.value


def test_client_acts_as_its_organisation_and_as_itself(here: Installation, clinic: Organisation) -> None:
    client_id, token = client_token(here, clinic, feed_prefix="ward-")
    context = here.authenticator.context(f"Bearer {token}", request_id="r-1", origin="192.0.2.1")
    assert context.actors == (clinic.key, key_of("Device", client_id))
    assert (context.agent, context.client) == (f"Device/{client_id}", client_id)
    assert context.organization_key == clinic.key
    assert (context.purpose, context.activity) == (Purpose.HOPERAT, "hl7v2-feed")
    assert (context.feed_prefix, context.bypass, context.subject) == ("ward-", False, None)
    assert context.scopes.permits("Observation", "r")
    assert not context.scopes.permits("Observation", "c")
    assert not context.scopes.permits("Patient", "r")
    assert (context.request_id, context.origin) == ("r-1", "192.0.2.1")


@pytest.mark.parametrize("authorization", [None, "", "Basic dXNlcjpwYXNz", "Token abc"])
def test_request_without_a_bearer_token_is_challenged_without_an_error(
    here: Installation, authorization: str | None
) -> None:
    refusal = refused(here, authorization)
    assert (refusal.status, refusal.challenge) == (401, 'Bearer realm="backbridge"')


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer ", "Bearer a b", "bearer short", "Bearer " + "x" * 9_000, "Bearer é" * 30]
)
def test_malformed_token_is_an_invalid_token(here: Installation, authorization: str) -> None:
    refusal = refused(here, authorization)
    assert 'error="invalid_token"' in refusal.challenge
    assert refusal.challenge.isascii()


def test_unknown_token_is_refused_without_being_repeated(here: Installation) -> None:
    refusal = refused(here, "Bearer " + "A" * 43)
    assert refusal.error == "invalid_token"
    assert "AAAA" not in refusal.challenge + repr(refusal)


def test_scheme_is_read_in_any_case(here: Installation, clinic: Organisation) -> None:
    _, token = client_token(here, clinic)
    assert here.authenticator.context(f"bEARER  {token}", request_id="r").actors


def test_token_ends_at_its_time(here: Installation, clinic: Organisation) -> None:
    _, token = client_token(here, clinic)
    here.wait(299)
    here.authenticator.context(f"Bearer {token}", request_id="r")
    here.wait(1)
    assert "expired" in refused(here, f"Bearer {token}").description


def test_revocation_and_disabling_by_another_process_bite_on_the_next_request(
    here: Installation, clinic: Organisation
) -> None:
    """The other process is a second Database in the same place, with connections of its own."""
    client_id, token = client_token(here, clinic)
    _, other = client_token(here, clinic)
    here.authenticator.context(f"Bearer {token}", request_id="r")
    elsewhere = open_database(here.settings)
    with elsewhere.writing() as session:
        assert tokens.revoke(session, token, client=client_id, now_us=here.now_us)
        assert not tokens.revoke(session, other, client=client_id, now_us=here.now_us)
    assert "revoked" in refused(here, f"Bearer {token}").description
    context = here.authenticator.context(f"Bearer {other}", request_id="r")
    with elsewhere.writing() as session:
        assert clients.disable(session, context.client, here.now_us) == 1
    refused(here, f"Bearer {other}")
    with elsewhere.writing() as session:
        clients.enable(session, context.client)
    refused(here, f"Bearer {other}")
    elsewhere.close()


def test_token_for_a_person_falls_with_its_client(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "ada@example.org")
    client_id, _ = client_token(here, clinic)
    with here.database.writing() as session:
        token = tokens.mint(
            session,
            client=client_id,
            scopes="user/*.rs",
            purpose=Purpose.TREAT,
            activity="direct-care",
            now_us=here.now_us,
            seconds=300,
            person=account.key,
            reference=account.reference,
        )
    assert here.authenticator.context(f"Bearer {token}", request_id="r").actors == (account.key, clinic.key)
    with here.database.writing() as session:
        clients.get(session, client_id).disabled = here.now_us
    refused(here, f"Bearer {token}")


def test_local_token_speaks_for_a_member_and_the_named_clinic_only(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "ada@example.org")
    other = here.clinic("Hill Clinic")
    with here.database.writing() as session:
        memberships.add(session, person=account.key, organisation=other.key, roles=[Role.CLINICIAN], now_us=here.now_us)
    named = local_token(
        here.database,
        scope="user/*.rs",
        now_us=here.now_us,
        user=f"Practitioner/{account.id}",
        organization=f"Organization/{other.id}",
    )
    context = here.authenticator.context(f"Bearer {named}", request_id="r")
    assert context.actors == (account.key, other.key)
    assert context.organization == f"Organization/{other.id}"
    assert context.agent == f"Practitioner/{account.id}"

    both = local_token(here.database, scope="user/*.rs", now_us=here.now_us, user=f"Practitioner/{account.id}")
    context = here.authenticator.context(f"Bearer {both}", request_id="r")
    assert context.actors == (account.key, clinic.key, other.key)
    assert context.organization is None

    with here.database.writing() as session:
        memberships.end(session, person=account.key, organisation=other.key, now_us=here.now_us)
    refused(here, f"Bearer {named}")
    context = here.authenticator.context(f"Bearer {both}", request_id="r")
    assert context.actors == (account.key, clinic.key)
    assert context.organization == f"Organization/{clinic.id}"


def test_local_token_for_a_clinic_one_is_no_member_of_is_not_minted(here: Installation, clinic: Organisation) -> None:
    account = here.member(clinic, "ada@example.org")
    other = here.clinic("Hill Clinic")
    with pytest.raises(NotAMember):
        local_token(
            here.database,
            scope="user/*.rs",
            now_us=here.now_us,
            user=f"Practitioner/{account.id}",
            organization=f"Organization/{other.id}",
        )


def test_operator_vouches_for_people_without_an_account_until_they_have_one(
    here: Installation, clinic: Organisation
) -> None:
    token = local_token(
        here.database,
        scope="user/*.cruds",
        now_us=here.now_us,
        user="Practitioner/dr-example",
        organization="Organization/somewhere",
        purpose=Purpose.HRESCH,
    )
    context = here.authenticator.context(f"Bearer {token}", request_id="r")
    assert context.actors == (key_of("Practitioner", "dr-example"), key_of("Organization", "somewhere"))
    assert (context.agent, context.organization) == ("Practitioner/dr-example", "Organization/somewhere")
    assert (context.client, context.purpose) == ("local", Purpose.HRESCH)
    assert not context.bypass


@pytest.mark.parametrize(
    ("organization", "actors", "agent"),
    [
        (None, (), "Device/local"),
        ("Organization/o1", (key_of("Organization", "o1"),), "Organization/o1"),
    ],
)
def test_local_token_without_a_person_acts_for_the_organisation_or_for_nobody(
    here: Installation, organization: str | None, actors: tuple[int, ...], agent: str
) -> None:
    token = local_token(here.database, scope="user/*.rs", now_us=here.now_us, organization=organization)
    context = here.authenticator.context(f"Bearer {token}", request_id="r")
    assert (context.actors, context.agent, context.subject) == (actors, agent, None)


def test_local_token_of_a_patient_is_confined_to_that_patient(here: Installation) -> None:
    patient = new_id()
    token = local_token(here.database, scope="patient/*.rs", now_us=here.now_us, user=f"Patient/{patient}")
    context = here.authenticator.context(f"Bearer {token}", request_id="r")
    key = key_of("Patient", patient)
    assert (context.actors, context.subject, context.patient) == ((key,), key, key)
    assert (context.purpose, context.organization) == (Purpose.PATRQT, None)


@pytest.mark.parametrize(
    "asked",
    [
        {"scope": "patient/*.rs"},
        {"scope": "patient/*.rs", "user": "Practitioner/1"},
        {"scope": "system/*.rs", "user": "Practitioner/1"},
        {"scope": "user/*.rs", "user": "Group/1"},
        {"scope": "user/*.rs", "user": "Practitioner/a/b"},
        {"scope": "user/*.rs", "user": "Practitioner/"},
        {"scope": "user/*.rs", "organization": "Practitioner/1"},
        {"scope": "user/*.rs", "user": "Patient/1", "organization": "Organization/1"},
        {"scope": "everything"},
        {"scope": ""},
        {"scope": "user/*.rs", "seconds": 0},
        {"scope": "user/*.rs", "seconds": 1_000_000},
    ],
)
def test_local_token_that_cannot_be_is_refused(here: Installation, asked: dict[str, object]) -> None:
    with pytest.raises(Unacceptable):
        local_token(here.database, now_us=here.now_us, **asked)  # type: ignore[arg-type]
    with here.database.reading() as session:
        assert session.exec(select(AccessToken)).first() is None


def test_token_is_stored_as_a_hash_only(here: Installation) -> None:
    token = local_token(here.database, scope="user/*.rs", now_us=here.now_us)
    with here.database.reading() as session:
        row = session.exec(select(AccessToken)).one()
    assert token not in repr(row.model_dump())
    assert row.hash.hex() not in repr(row)


def test_expired_tokens_are_cleared_away_after_a_day(here: Installation) -> None:
    local_token(here.database, scope="user/*.rs", now_us=here.now_us)
    here.wait(25 * 3_600)
    local_token(here.database, scope="user/*.rs", now_us=here.now_us)
    with here.database.reading() as session:
        assert len(list(session.exec(select(AccessToken)))) == 1


def test_open_access_is_named_and_marked_as_bypass() -> None:
    context = open_access_context("r-1")
    assert (context.bypass, context.client, context.actors) == (True, "open-access", ())
