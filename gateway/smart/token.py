"""The token endpoint: client_credentials with private_key_jwt (SMART Backend Services; RFC 6749, 7521, 7523, 7009).

Errors are those of RFC 6749, section 5.2. A stranger learns the same sentence from every refusal; whoever holds a
registered key is told what to change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import func, text
from sqlmodel import Session, col, delete, select

from gateway.access import Purpose
from gateway.people import attempts, organisations, tokens
from gateway.people.errors import TryLater
from gateway.people.hashing import SecretHasher, token_hash
from gateway.people.tables import AccessToken, Client, UsedAssertion
from gateway.settings import Settings
from gateway.smart.jose import Claims, JoseRefused, unverified_issuer, verify
from gateway.smart.jwks import read
from gateway.smart.scopes import ScopeRefused, granted
from gateway.store.database import Database

ALGORITHMS = ("RS384", "ES384")
"""What SMART obliges servers to accept; nothing weaker is."""
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_CREDENTIALS = "client_credentials"

_SECOND_US = 1_000_000
_LEEWAY_S = 30
# One token lasts minutes; a client that asks every second has lost its cache.
_TOKENS_A_MINUTE = 60
_UNKNOWN = "the client is not known, or none of its registered keys signed this assertion"


class OAuthError(Exception):
    """A refusal in the words of RFC 6749, section 5.2."""

    def __init__(self, error: str, description: str, *, status: int = 400, retry_after_s: int | None = None) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class TokenServer:
    """What the endpoint needs: the tables, the key for blinded addresses, the settings and the time."""

    database: Database
    hasher: SecretHasher
    settings: Settings
    clock: Callable[[], int]

    @property
    def token_url(self) -> str:
        """The only audience of client assertions; from the settings, never from a Host header."""
        return self.settings.base_url + "/auth/token"


def issue(server: TokenServer, form: Mapping[str, str], *, address: str) -> dict[str, object]:
    """
    The body of a successful answer: an opaque bearer token for requested ∩ registered scopes.

    raises  OAuthError
    """
    if "grant_type" not in form:
        raise OAuthError("invalid_request", "grant_type is missing")
    if form["grant_type"] != CLIENT_CREDENTIALS:
        raise OAuthError("unsupported_grant_type", f"grant_type is {CLIENT_CREDENTIALS}")
    client, claims = _authenticated(server, form, address)
    now_us = server.clock()
    with server.database.adding() as session:
        _use_once(session, client, claims, now_us)
        answer = _grant(session, server, client, form.get("scope", ""), now_us)
    # A refused scope has used the assertion up all the same, so the refusal leaves after the commit.
    if isinstance(answer, OAuthError):
        raise answer
    return answer


def revoke(server: TokenServer, form: Mapping[str, str], *, address: str) -> None:
    """
    Revoke one of the client's own tokens (RFC 7009). Unknown and foreign tokens change nothing and are no error.

    raises  OAuthError
    """
    if not form.get("token"):
        raise OAuthError("invalid_request", "token is missing")
    client, claims = _authenticated(server, form, address)
    now_us = server.clock()
    with server.database.writing() as session:
        _use_once(session, client, claims, now_us)
        tokens.revoke(session, form["token"], client=client.id, now_us=now_us)


def _authenticated(server: TokenServer, form: Mapping[str, str], address: str) -> tuple[Client, Claims]:
    """The client that signed the assertion. A refusal counts against the address."""
    source = attempts.address_hash(server.hasher, address, door="token")
    now_us = server.clock()
    try:
        with server.database.reading() as session:
            attempts.check_address(session, address=source, now_us=now_us)
        return _verified(server, form, now_us)
    except TryLater as wait:
        raise _too_many(wait.retry_after_s) from wait
    except OAuthError as refused:
        if refused.error == "invalid_client":
            _count_failure(server, source, now_us)
        raise


def _verified(server: TokenServer, form: Mapping[str, str], now_us: int) -> tuple[Client, Claims]:
    assertion = _assertion(form)
    try:
        client = _client(server, unverified_issuer(assertion), form)
        claims = verify(
            assertion,
            keys=read(client.jwks),
            algorithms=ALGORITHMS,
            audience=server.token_url,
            issuer=client.id,
            subject=client.id,
            now_s=now_us / _SECOND_US,
            leeway_s=_LEEWAY_S,
        )
    except JoseRefused as refused:
        said = _UNKNOWN if refused.code in ("key", "signature") else str(refused)
        raise OAuthError("invalid_client", said, status=401) from refused
    return client, claims


def _assertion(form: Mapping[str, str]) -> str:
    if "client_secret" in form:
        raise OAuthError("invalid_request", "a client authenticates by client_assertion only")
    if "client_assertion" not in form and "client_assertion_type" not in form:
        raise OAuthError("invalid_client", "client_assertion is missing", status=401)
    # 400 and not 401: certification kits insist on it.
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise OAuthError("invalid_client", f"client_assertion_type is {ASSERTION_TYPE}")
    return form.get("client_assertion", "")


def _client(server: TokenServer, client_id: str, form: Mapping[str, str]) -> Client:
    with server.database.reading() as session:
        client = session.get(Client, client_id)
    if client is None or client.disabled or form.get("client_id", client_id) != client_id:
        raise OAuthError("invalid_client", _UNKNOWN, status=401)
    return client


def _use_once(session: Session, client: Client, claims: Claims, now_us: int) -> None:
    """Atomic over all processes: one row for each jti, kept until the assertion could not be used again."""
    session.exec(delete(UsedAssertion).where(col(UsedAssertion.expires) < now_us))
    expires_us = int((claims.expires_s + _LEEWAY_S + 1) * _SECOND_US)
    once = text("INSERT INTO used_assertion (client, jti, expires) VALUES (:c, :j, :e) ON CONFLICT DO NOTHING")
    row = {"c": client.id, "j": token_hash(claims.jti), "e": expires_us}
    if session.connection().execute(once, row).rowcount != 1:
        raise OAuthError("invalid_client", "this jti has been used; every assertion needs its own", status=401)


def _grant(
    session: Session, server: TokenServer, client: Client, asked: str, now_us: int
) -> dict[str, object] | OAuthError:
    recent = select(func.count()).where(AccessToken.client == client.id, AccessToken.issued > now_us - 60 * _SECOND_US)
    if session.exec(recent).one() >= _TOKENS_A_MINUTE:
        return _too_many(60)
    try:
        scopes = granted(asked, client.scopes)
    except ScopeRefused as refused:
        return OAuthError("invalid_scope", str(refused))
    seconds = server.settings.token_seconds
    token = tokens.mint(
        session,
        client=client.id,
        scopes=scopes,
        purpose=Purpose(client.purpose),
        activity=client.activity,
        now_us=now_us,
        seconds=seconds,
        organisation=client.organisation,
        organisation_id=organisations.by_key(session, client.organisation).id,
    )
    return {"access_token": token, "token_type": "bearer", "expires_in": seconds, "scope": scopes}


def _count_failure(server: TokenServer, source: bytes, now_us: int) -> None:
    try:
        with server.database.adding() as session:
            attempts.begin(session, account=attempts.NO_ACCOUNT, address=source, now_us=now_us)
    except TryLater as wait:
        raise _too_many(wait.retry_after_s) from wait


def _too_many(retry_after_s: int) -> OAuthError:
    return OAuthError("temporarily_unavailable", "too many requests", status=429, retry_after_s=retry_after_s)
