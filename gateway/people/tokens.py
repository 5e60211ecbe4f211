"""Bearer tokens: 256 random bits, kept as SHA-256, revoked by one row (smart research, decision 3)."""

from __future__ import annotations

import secrets

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, delete, update

from gateway.access import Purpose
from gateway.people.hashing import token_hash
from gateway.people.tables import AccessToken

SECOND_US = 1_000_000
# Expired rows stay a day, so that "your token has expired" can be told from "never heard of it".
_KEPT_US = 24 * 3_600 * SECOND_US


def mint(
    session: Session,
    *,
    client: str,
    scopes: str,
    purpose: Purpose,
    activity: str,
    now_us: int,
    seconds: int,
    person: int = 0,
    reference: str = "",
    organisation: int = 0,
    organisation_id: str = "",
    patient: int = 0,
) -> str:
    """A new token; this return value is the only place where it is ever seen. Columns as in AccessToken."""
    token = secrets.token_urlsafe(32)
    session.exec(delete(AccessToken).where(col(AccessToken.expires) < now_us - _KEPT_US))
    session.add(
        AccessToken(
            hash=token_hash(token),
            client=client,
            person=person,
            reference=reference,
            organisation=organisation,
            organisation_id=organisation_id,
            patient=patient,
            scopes=scopes,
            purpose=int(purpose),
            activity=activity,
            issued=now_us,
            expires=now_us + seconds * SECOND_US,
        )
    )
    session.flush()
    return token


def revoke(session: Session, token: str, *, client: str, now_us: int) -> bool:
    """Revoke a client's own token; False when it has no such token, or none that is still in force."""
    mine = col(AccessToken.hash) == token_hash(token), col(AccessToken.client) == client
    return _revoke(session, *mine, now_us=now_us) == 1


def revoke_client(session: Session, client: str, now_us: int) -> int:
    """Revoke every token of a client; the number revoked."""
    return _revoke(session, col(AccessToken.client) == client, now_us=now_us)


def revoke_person(session: Session, person: int, now_us: int) -> int:
    """Revoke every token that speaks for a person; the number revoked."""
    return _revoke(session, col(AccessToken.person) == person, now_us=now_us)


def _revoke(session: Session, *conditions: ColumnElement[bool], now_us: int) -> int:
    in_force = update(AccessToken).where(col(AccessToken.revoked) == 0, *conditions)
    return session.exec(in_force.values(revoked=now_us)).rowcount
