"""What the administrative tables say about a token, a session and whom they speak for, as of the latest commit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.people.memberships import CARE_ROLES
from gateway.people.tables import BrowserSession, Role
from gateway.store.database import Database, Record
from gateway.store.tables import FAR_FUTURE

_BEARER = """
SELECT t.client, t.person, t.reference, t.organisation, t.organisation_id, t.patient, t.scopes, t.purpose,
       t.activity, t.expires, t.revoked, c.key, c.disabled, c.feed_prefix
FROM access_token t LEFT JOIN client c ON c.id = t.client
WHERE t.hash = :hash
"""
_STAFF = """
SELECT a.disabled, m.organisation, m.role, m.valid_from, m.valid_to, o.id
FROM staff_account a
LEFT JOIN membership m ON m.person = a.key AND m.valid_to > :now
LEFT JOIN organisation o ON o.key = m.organisation
WHERE a.key = :person
ORDER BY m.id
"""
_PATIENT = "SELECT disabled FROM patient_account WHERE key = :person"
_SESSION = f"SELECT {', '.join(BrowserSession.model_fields)} FROM browser_session WHERE hash = :hash"


@dataclass(frozen=True, slots=True)
class Member:
    """One valid membership: the organisation's key and id, and the person's roles in it."""

    organisation: int
    organisation_id: str
    roles: frozenset[Role]

    @property
    def is_care(self) -> bool:
        return bool(self.roles & CARE_ROLES)


@dataclass(frozen=True, slots=True)
class Staff:
    """
    Whom a member of staff belongs to.

    members   the valid memberships; empty for a leaver and where the account is closed
    until_us  when a membership begins or ends next, and this is no longer so
    """

    members: tuple[Member, ...]
    until_us: int = FAR_FUTURE


def bearer(database: Database, digest: bytes) -> Record | None:
    """The row of an access token, with its client's."""
    return _one(database.ask(_BEARER, {"hash": digest}))


def browser_session(database: Database, digest: bytes) -> BrowserSession | None:
    """The session of a cookie, whether it has ended or not."""
    row = _one(database.ask(_SESSION, {"hash": digest}))
    return BrowserSession(**dict(row)) if row is not None else None


def staff(database: Database, person: int, now_us: int) -> Staff | None:
    """The person as a member of staff; None where there is no account."""
    rows = database.ask(_STAFF, {"person": person, "now": now_us})
    if not rows:
        return None
    if rows[0]["disabled"] or rows[0]["organisation"] is None:
        return Staff(())
    roles: dict[tuple[int, str], set[Role]] = {}
    for row in rows:
        if row["valid_from"] <= now_us:
            roles.setdefault((row["organisation"], row["id"]), set()).add(Role(row["role"]))
    members = tuple(Member(key, logical_id, frozenset(held)) for (key, logical_id), held in roles.items())
    changes = [time for row in rows for time in (row["valid_from"], row["valid_to"]) if time > now_us]
    return Staff(members, min(changes))


def patient_is_closed(database: Database, patient: int, *, must_exist: bool) -> bool:
    """Whether the patient's account is closed, or absent where it must exist."""
    row = _one(database.ask(_PATIENT, {"person": patient}))
    return bool(row["disabled"]) if row is not None else must_exist


def _one(rows: Iterable[Record]) -> Record | None:
    return next(iter(rows), None)
