"""The token endpoint as a backend client meets it (SMART Backend Services; RFC 6749, section 5)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from httpx import Response
from sqlmodel import SQLModel, select

from gateway.access import Purpose
from gateway.people.authenticate import Unauthenticated
from gateway.people.tables import AccessToken, Client, Organisation, UsedAssertion
from gateway.r4.identity import key_of
from gateway.smart import clients, jose
from gateway.smart.jose import SigningKey
from gateway.store.database import Database

from .conftest import TokenDoor

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def expect(response: Response, status: int, error: str) -> str:
    """A refusal in the form of RFC 6749, section 5.2; its description."""
    body = response.json()
    assert (response.status_code, body["error"]) == (status, error), body
    assert set(body) == {"error", "error_description"}
    assert response.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in response.headers) == (status == 401)
    return str(body["error_description"])


def test_client_exchanges_an_assertion_for_a_token_that_opens_the_fhir_door(
    door: TokenDoor, clinic: Organisation
) -> None:
    response = door.ask(scope="system/Patient.rs system/Observation.rs")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
    body = response.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 300)
    assert body["scope"] == "system/Patient.rs system/Observation.rs"
    context = door.here.authenticator.context(f"Bearer {body['access_token']}", request_id="r")
    assert context.actors == (clinic.key, key_of("Device", door.client.id))
    assert (context.purpose, context.activity) == (Purpose.TREAT, "direct-care")
    assert context.scopes.permits("Patient", "r")
    assert not context.scopes.permits("Patient", "c")


def test_rsa_client_is_served_too(door: TokenDoor, rsa_key: SigningKey) -> None:
    door.key = rsa_key
    assert door.ask().status_code == 200


def test_token_ends_after_five_minutes(door: TokenDoor) -> None:
    token = door.ask().json()["access_token"]
    door.here.wait(299)
    door.here.authenticator.context(f"Bearer {token}", request_id="r")
    door.here.wait(1)
    with pytest.raises(Unauthenticated):
        door.here.authenticator.context(f"Bearer {token}", request_id="r")


def test_scope_beyond_the_registration_is_cut_down_and_said_so(door: TokenDoor) -> None:
    body = door.ask(scope="system/*.cruds").json()
    assert body["scope"] == "system/Patient.rs system/Observation.cruds"
    context = door.here.authenticator.context(f"Bearer {body['access_token']}", request_id="r")
    for name, action, permitted in [
        ("Patient", "r", True),
        ("Patient", "u", False),
        ("Observation", "d", True),
        ("Consent", "r", False),
    ]:
        assert context.scopes.permits(name, action) is permitted


def test_version_1_scope_is_answered_in_version_1(door: TokenDoor) -> None:
    assert door.ask(scope="system/Patient.read").json()["scope"] == "system/Patient.read"


@pytest.mark.parametrize(
    "scope",
    [
        None,
        "",
        "system/Consent.rs",
        "system/Patient.cud",
        "user/Patient.rs",
        "patient/Patient.rs",
        "system/Patient.rs user/Patient.rs",
        "system/Patient.sr",
        "launch",
        "openid",
        "offline_access",
        "system/Observation.rs?category=laboratory",
        "system/Patient.rs%20",
        "*",
    ],
)
def test_scope_that_cannot_be_granted_is_invalid(door: TokenDoor, scope: str | None) -> None:
    expect(door.ask(scope=scope), 400, "invalid_scope")
    with door.here.database.reading() as session:
        assert session.exec(select(AccessToken)).first() is None


def test_refused_scope_uses_the_assertion_up(door: TokenDoor) -> None:
    assertion = door.assertion()
    expect(door.ask(assertion, scope="launch"), 400, "invalid_scope")
    expect(door.ask(assertion), 401, "invalid_client")


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "not_a_grant_type"}, 400, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_assertion_type": "not_an_assertion_type"}, 400, "invalid_client"),
        ({"client_assertion_type": None}, 400, "invalid_client"),
        ({"client_assertion_type": None, "client_assertion": None}, 401, "invalid_client"),
        ({"client_assertion": None}, 401, "invalid_client"),
        ({"client_assertion": "not.a.jwt"}, 401, "invalid_client"),
        ({"client_assertion": ""}, 401, "invalid_client"),
        ({"client_secret": "s"}, 400, "invalid_request"),
        ({"client_id": "somebody-else"}, 401, "invalid_client"),
    ],
)
def test_each_mistake_has_its_own_error(
    door: TokenDoor, change: dict[str, str | None], status: int, error: str
) -> None:
    expect(door.web.post("/auth/token", data=door.form(**change)), status, error)


def test_own_client_id_may_be_sent_along(door: TokenDoor) -> None:
    assert door.ask(client_id=door.client.id).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "not_a_valid_iss"},
        {"sub": "not_a_valid_sub"},
        {"aud": None},
        {"aud": "http://elsewhere.example/auth/token"},
        {"aud": "http://127.0.0.1:8000/fhir"},
        {"exp": None},
        {"jti": None},
        {"sub": None},
        {"iss": None},
    ],
)
def test_assertion_that_says_something_else_is_refused(door: TokenDoor, change: dict[str, object]) -> None:
    expect(door.ask(door.assertion(**change)), 401, "invalid_client")


@pytest.mark.parametrize("ahead_s", [-31, 331, 365 * 86_400])
def test_assertion_out_of_time_is_refused(door: TokenDoor, ahead_s: int) -> None:
    expect(door.ask(door.assertion(exp=door.now_s + ahead_s)), 401, "invalid_client")


def test_audience_comes_from_the_settings_and_not_from_the_host_header(door: TokenDoor) -> None:
    """The caller reaches the server as elsewhere.example; only the configured URL counts."""
    assertion = door.assertion(aud="http://elsewhere.example/auth/token")
    forwarded = {"X-Forwarded-Host": "elsewhere.example", "X-Forwarded-Proto": "http"}
    expect(door.web.post("/auth/token", data=door.form(assertion), headers=forwarded), 401, "invalid_client")


def test_stranger_hears_the_same_sentence_from_every_refusal(
    door: TokenDoor, register: Callable[..., Client], ec_key: SigningKey
) -> None:
    stranger = jose.generate("ES384", ec_key.kid)
    disabled = register(ec_key)
    with door.here.database.writing() as session:
        clients.disable(session, disabled.id, door.here.now_us)

    def signed(key: SigningKey, kid: str, **changed: object) -> str:
        return jose.sign(door.claims(**changed), key.pem, "ES384", kid)

    said = {
        expect(door.ask(assertion), 401, "invalid_client")
        for assertion in (
            signed(stranger, ec_key.kid),
            signed(stranger, ec_key.kid, aud="x", exp=None, jti=None),
            signed(ec_key, "other-kid"),
            signed(ec_key, ec_key.kid, iss="nobody", sub="nobody"),
            signed(ec_key, ec_key.kid, iss=disabled.id, sub=disabled.id),
        )
    }
    assert len(said) == 1


def test_disabled_client_gets_no_token_and_keeps_none(door: TokenDoor) -> None:
    token = door.ask().json()["access_token"]
    with door.here.database.writing() as session:
        clients.disable(session, door.client.id, door.here.now_us)
    with pytest.raises(Unauthenticated):
        door.here.authenticator.context(f"Bearer {token}", request_id="r")
    expect(door.ask(), 401, "invalid_client")
    with door.here.database.writing() as session:
        clients.enable(session, door.client.id)
    assert door.ask().status_code == 200


def test_rotated_key_signs_and_the_old_one_does_not(door: TokenDoor) -> None:
    fresh = jose.generate("ES384", "ec-2")
    with door.here.database.writing() as session:
        clients.replace_keys(session, door.client.id, json.dumps({"keys": [fresh.jwk]}))
    expect(door.ask(), 401, "invalid_client")
    door.key = fresh
    assert door.ask().status_code == 200


def test_client_cannot_sign_for_another(door: TokenDoor, register: Callable[..., Client], ec_key: SigningKey) -> None:
    other = register(jose.generate("ES384", "ec-1"))
    expect(door.ask(door.assertion(iss=other.id, sub=other.id)), 401, "invalid_client")
    expect(door.ask(door.assertion(sub=other.id)), 401, "invalid_client")


def test_replayed_assertion_is_refused(door: TokenDoor) -> None:
    assertion = door.assertion()
    assert door.ask(assertion).status_code == 200
    expect(door.ask(assertion), 401, "invalid_client")


def test_same_jti_in_another_assertion_is_refused_while_the_first_could_live(door: TokenDoor) -> None:
    assert door.ask(door.assertion(jti="again")).status_code == 200
    door.here.wait(330)
    expect(door.ask(door.assertion(jti="again")), 401, "invalid_client")
    door.here.wait(3)
    assert door.ask(door.assertion(jti="again")).status_code == 200


def test_same_jti_of_another_client_is_its_own(
    door: TokenDoor, register: Callable[..., Client], ec_key: SigningKey
) -> None:
    assert door.ask(door.assertion(jti="j")).status_code == 200
    other = register(ec_key)
    assert door.ask(door.assertion(jti="j", iss=other.id, sub=other.id)).status_code == 200


def test_sixteen_uses_of_one_assertion_at_once_give_exactly_one_token(door: TokenDoor) -> None:
    assertion = door.assertion()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: door.ask(assertion).status_code, range(16)))
    assert sorted(answers) == [200] + [401] * 15
    with door.here.database.reading() as session:
        assert len(list(session.exec(select(AccessToken)))) == 1


def test_used_assertions_are_forgotten_when_they_have_expired(door: TokenDoor) -> None:
    door.ask()
    door.here.wait(400)
    door.ask()
    with door.here.database.reading() as session:
        assert len(list(session.exec(select(UsedAssertion)))) == 1


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"{}", {"Content-Type": "application/json"}),
        (b"grant_type=client_credentials", {}),
        (b"grant_type=a&grant_type=b", FORM),
        (b"scope=%ff&grant_type=client_credentials", FORM),
        ("grant_type=clé".encode(), FORM),
        (b"&".join(b"p%d=1" % number for number in range(30)), FORM),
        (b"grant_type=" + b"x" * 40_000, FORM),
        (b"", FORM),
    ],
)
def test_form_that_cannot_be_read_is_an_invalid_request(
    door: TokenDoor, content: bytes, headers: dict[str, str]
) -> None:
    expect(door.web.post("/auth/token", content=content, headers=headers), 400, "invalid_request")


def test_parameter_given_twice_is_refused(door: TokenDoor) -> None:
    form = door.form()
    for name in form:
        content = "&".join(f"{key}={value}" for key, value in [*form.items(), (name, form[name])])
        expect(door.web.post("/auth/token", content=content, headers=FORM), 400, "invalid_request")


def test_basic_authentication_is_refused(door: TokenDoor) -> None:
    answer = door.web.post("/auth/token", data=door.form(), headers={"Authorization": "Basic eDp5"})
    expect(answer, 400, "invalid_request")


def test_token_endpoint_takes_post_only(door: TokenDoor) -> None:
    assert door.web.get("/auth/token").status_code == 405


def test_address_that_keeps_failing_must_wait_and_others_need_not(door: TokenDoor) -> None:
    for _ in range(30):
        expect(door.ask("not.a.jwt"), 401, "invalid_client")
    refused = door.ask()
    expect(refused, 429, "temporarily_unavailable")
    assert 1 <= int(refused.headers["retry-after"]) <= 900
    door.address = "198.51.100.8"
    assert door.ask().status_code == 200
    door.address = "198.51.100.7"
    door.here.wait(900)
    assert door.ask().status_code == 200


def test_failing_client_does_not_keep_the_staff_beside_it_from_signing_in(
    door: TokenDoor, clinic: Organisation
) -> None:
    door.here.member(clinic, "ada@example.org")
    for _ in range(30):
        door.ask("not.a.jwt")
    assert door.here.sign_in("ada@example.org", address=door.address).token


def test_client_that_asks_every_moment_must_wait(door: TokenDoor) -> None:
    for _ in range(60):
        assert door.ask().status_code == 200
    expect(door.ask(), 429, "temporarily_unavailable")
    door.here.wait(61)
    assert door.ask().status_code == 200


def revoke(door: TokenDoor, token: str | None, assertion: str | None = None) -> Response:
    return door.web.post("/auth/revoke", data=door.form(assertion, grant_type=None, scope=None, token=token))


def test_revoked_token_is_dead_at_once(door: TokenDoor) -> None:
    token = door.ask().json()["access_token"]
    assert revoke(door, token).status_code == 200
    with pytest.raises(Unauthenticated):
        door.here.authenticator.context(f"Bearer {token}", request_id="r")
    assert revoke(door, token).status_code == 200


def test_unknown_and_foreign_tokens_are_revoked_without_effect(
    door: TokenDoor, register: Callable[..., Client], ec_key: SigningKey
) -> None:
    token = door.ask().json()["access_token"]
    other = register(ec_key)
    mine = door.assertion(iss=other.id, sub=other.id)
    assert revoke(door, token, mine).status_code == 200
    assert revoke(door, "no-such-token").status_code == 200
    door.here.authenticator.context(f"Bearer {token}", request_id="r")


def test_revocation_needs_a_client_and_a_token(door: TokenDoor) -> None:
    expect(revoke(door, None), 400, "invalid_request")
    expect(revoke(door, "t", "not.a.jwt"), 401, "invalid_client")
    assertion = door.assertion()
    revoke(door, "t", assertion)
    expect(revoke(door, "t", assertion), 401, "invalid_client")


@pytest.mark.parametrize("path", ["/.well-known/smart-configuration", "/fhir/.well-known/smart-configuration"])
def test_discovery_claims_only_what_is_there(door: TokenDoor, path: str) -> None:
    response = door.web.get(path, headers={"Accept": "text/html", "Origin": "https://app.example"})
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"
    found = response.json()
    base = door.here.settings.base_url
    assert found["token_endpoint"] == base + "/auth/token"
    assert found["revocation_endpoint"] == base + "/auth/revoke"
    assert found["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert set(found["token_endpoint_auth_signing_alg_values_supported"]) == {"RS384", "ES384"}
    assert not {"authorization_endpoint", "introspection_endpoint", "issuer", "jwks_uri"} & found.keys()
    assert not {name for name in found["capabilities"] if name.startswith(("launch", "sso", "context"))}


def test_every_scope_that_discovery_lists_is_granted_when_it_is_registered(
    door: TokenDoor, register: Callable[..., Client], ec_key: SigningKey
) -> None:
    everything = register(ec_key, scopes="system/*.cruds")
    for scope in door.web.get("/.well-known/smart-configuration").json()["scopes_supported"]:
        answer = door.ask(door.assertion(iss=everything.id, sub=everything.id), scope=scope)
        assert answer.json()["scope"] == scope


def everything(database: Database) -> bytes:
    """Every value of every table, as it is stored."""
    with database.engine.connect() as connection:
        rows = [row for table in SQLModel.metadata.sorted_tables for row in connection.execute(table.select())]
    assert rows
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)


def test_neither_token_nor_assertion_reaches_logs_or_the_database(
    door: TokenDoor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assertion = door.assertion()
    token = door.ask(assertion).json()["access_token"]
    revoke(door, token)
    files = door.here.settings.home.glob("*.sqlite*")
    stored = everything(door.here.database) + b"".join(file.read_bytes() for file in files)
    for secret in (token, assertion, door.key.pem):
        assert secret not in caplog.text
        assert secret.encode() not in stored
