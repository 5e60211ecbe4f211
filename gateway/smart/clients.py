"""Registered systems: who may ask for tokens, with which keys and scopes (SMART App Launch 2.2, registration)."""

from __future__ import annotations

import json
import re

from sqlmodel import Session, col, select

from gateway.access import Purpose
from gateway.people import organisations, tokens
from gateway.people.contexts import LOCAL_CLIENT, OPEN_ACCESS
from gateway.people.errors import AlreadyExists, NotKnown, Unacceptable
from gateway.people.tables import Client
from gateway.r4.identity import LOGICAL_ID, is_server_id, key_of, new_id
from gateway.smart import jwks as key_sets
from gateway.smart.scopes import ScopeRefused, levels, parse

BACKEND = "backend"
# Names under which the gateway's own doors appear in the audit trail.
_RESERVED = frozenset({LOCAL_CLIENT, OPEN_ACCESS, "web", "cli", "worker", "plan-engine"})
_PREFIX = re.compile(r"[A-Za-z0-9\-.]{1,32}")
_ACTIVITY = re.compile(r"[a-z0-9][a-z0-9\-]{0,63}")


def register(
    session: Session,
    *,
    name: str,
    organisation: int,
    jwks: str,
    scopes: str,
    activity: str,
    now_us: int,
    purpose: Purpose = Purpose.TREAT,
    feed_prefix: str | None = None,
    client_id: str | None = None,
) -> Client:
    """
    Register a backend system of a registered organisation.

    jwks         JSON text of its public keys
    scopes       the most it may ask for, system/ only
    feed_prefix  the prefix of ids it may assign, which no other client's may overlap
    client_id    chosen by the operator, or a fresh id
    raises       Unacceptable (code says which value), AlreadyExists (client_id, feed_prefix), NotKnown
    """
    organisations.by_key(session, organisation)
    chosen = _checked_id(session, client_id)
    client = Client(
        id=chosen,
        key=key_of("Device", chosen),
        name=_checked_name(name),
        type=BACKEND,
        organisation=organisation,
        jwks=_checked_keys(jwks),
        scopes=_checked_scopes(scopes),
        purpose=int(purpose),
        activity=_checked_activity(activity),
        feed_prefix=_checked_prefix(session, feed_prefix),
        created=now_us,
    )
    session.add(client)
    session.flush()
    return client


def get(session: Session, client_id: str) -> Client:
    """The client of this id; NotKnown when there is none."""
    found = session.get(Client, client_id)
    if found is None:
        raise NotKnown("This client is not registered here.")
    return found


def every(session: Session) -> list[Client]:
    """All clients, by name."""
    return list(session.exec(select(Client).order_by(Client.name, Client.id)))


def replace_keys(session: Session, client_id: str, jwks: str) -> Client:
    """Rotate: from now on only these keys sign for the client. Tokens already issued run out by themselves."""
    client = get(session, client_id)
    client.jwks = _checked_keys(jwks)
    session.add(client)
    return client


def disable(session: Session, client_id: str, now_us: int) -> int:
    """Refuse the client from now on and revoke its tokens; the number revoked."""
    client = get(session, client_id)
    client.disabled = client.disabled or now_us
    session.add(client)
    return tokens.revoke_client(session, client_id, now_us)


def enable(session: Session, client_id: str) -> None:
    """Let a disabled client ask for tokens again; revoked ones stay revoked."""
    client = get(session, client_id)
    client.disabled = 0
    session.add(client)


def described(session: Session, client: Client) -> dict[str, object]:
    """The registration as JSON, in the words of RFC 7591 where it has one."""
    organisation = organisations.by_key(session, client.organisation)
    return {
        "client_id": client.id,
        "client_name": client.name,
        "organization": f"Organization/{organisation.id}",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "scope": client.scopes,
        "purpose": Purpose(client.purpose).name,
        "activity": client.activity,
        "feed_prefix": client.feed_prefix,
        "disabled": bool(client.disabled),
        "jwks": json.loads(client.jwks),
    }


def _checked_id(session: Session, client_id: str | None) -> str:
    if client_id is None:
        return new_id()
    # An id of the server's own form could be that of a person or patient, whose key it would share.
    if not LOGICAL_ID.match(client_id) or is_server_id(client_id) or client_id in _RESERVED:
        raise Unacceptable("This client_id cannot be chosen; leave it out to get one.", code="client_id")
    if session.get(Client, client_id) is not None:
        raise AlreadyExists("This client_id is registered already.")
    return client_id


def _checked_name(name: str) -> str:
    if not 1 <= len(name.strip()) <= 200:
        raise Unacceptable("A client needs a name of at most 200 characters.", code="name")
    return name.strip()


def _checked_keys(jwks: str) -> str:
    try:
        return key_sets.read(jwks).json()
    except key_sets.KeyRefused as refused:
        raise Unacceptable(f"The key set is refused: {refused}.", code="jwks") from refused


def _checked_scopes(scopes: str) -> str:
    try:
        found = levels(parse(scopes))
    except ScopeRefused as refused:
        raise Unacceptable(f"The scope is refused: {refused}.", code="scope") from refused
    if found != {"system"}:
        raise Unacceptable("A backend system has system/ scopes.", code="scope")
    return scopes


def _checked_activity(activity: str) -> str:
    if not _ACTIVITY.fullmatch(activity):
        raise Unacceptable("An activity is named in lower case, such as direct-care.", code="activity")
    return activity


def _checked_prefix(session: Session, prefix: str | None) -> str | None:
    if prefix is None:
        return None
    if not _PREFIX.fullmatch(prefix):
        raise Unacceptable("A prefix has 1 to 32 letters, digits, hyphens or dots.", code="feed_prefix")
    for taken in session.exec(select(Client.feed_prefix).where(col(Client.feed_prefix).is_not(None))):
        if taken is not None and (taken.startswith(prefix) or prefix.startswith(taken)):
            raise AlreadyExists("Another client assigns ids in this prefix.")
    return prefix
