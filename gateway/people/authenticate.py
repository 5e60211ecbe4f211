"""From a bearer token or a session cookie to an AccessContext, on every request anew (architecture rule 2).

Prepared statements on a connection of its own answer from the latest commit of any process, so a revoked token, a
disabled client and a member who has left are refused on the very next request. What a token's row says is remembered
until the administrative tables change (`Database.epoch`), for a second at most.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from gateway.access import AccessContext, Purpose, Scope, ScopeSet
from gateway.people.contexts import LOCAL_CLIENT, of_system, of_token, open_access_context, vouched
from gateway.people.hashing import token_hash
from gateway.people.memberships import CARE_ROLES
from gateway.people.tables import BrowserSession, Role
from gateway.settings import Settings
from gateway.store.sqlite import Database

__all__ = ["Authenticator", "Member", "SignedIn", "Unauthenticated", "open_access_context"]

DIRECT_CARE = "direct-care"
SELF_MANAGEMENT = "self-management"

_CREDENTIALS = re.compile(r"bearer +([A-Za-z0-9\-._~+/]{20,512}=*)", re.IGNORECASE)
_STAFF_SCOPES = ScopeSet((Scope("user", "*", frozenset("cruds")),))
_PATIENT_SCOPES = ScopeSet((Scope("patient", "*", frozenset("cruds")),))

_REMEMBERED_TOKENS = 10_000
# A process that dies between its commit and the new epoch is found out after this long.
_REMEMBERED_US = 1_000_000
_UNKNOWN: tuple[AccessContext | None, int] = (None, 0)

_BEARER = """
SELECT t.client, t.person, t.reference, t.organisation, t.organisation_id, t.patient, t.scopes, t.purpose,
       t.activity, t.expires, t.revoked, c.key, c.disabled, c.feed_prefix
FROM access_token t LEFT JOIN client c ON c.id = t.client
WHERE t.hash = ?
"""
_STAFF = """
SELECT a.disabled, m.organisation, m.role, o.id
FROM staff_account a
LEFT JOIN membership m ON m.person = a.key AND m.valid_from <= ?2 AND m.valid_to > ?2
LEFT JOIN organisation o ON o.key = m.organisation
WHERE a.key = ?1
ORDER BY m.id
"""
_PATIENT = "SELECT disabled FROM patient_account WHERE key = ?"
_SESSION = f"SELECT {', '.join(BrowserSession.model_fields)} FROM browser_session WHERE hash = ?"


class Unauthenticated(Exception):
    """
    No context for this request: answer 401 with `challenge` as WWW-Authenticate (RFC 6750, section 3).

    error        `invalid_token`, or empty where the request carried no token at all
    description  one sentence, without the token
    """

    status = 401

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description

    @property
    def challenge(self) -> str:
        if not self.error:
            return 'Bearer realm="backbridge"'
        return f'Bearer realm="backbridge", error="{self.error}", error_description="{self.description}"'


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
class SignedIn:
    """
    What a page needs beside the context.

    members  the memberships a member of staff may choose from; empty for patients
    member   the one this session acts for, or None while a member of several has not chosen
    """

    session: BrowserSession
    members: tuple[Member, ...] = ()
    member: Member | None = None

    @property
    def is_patient(self) -> bool:
        return self.session.reference.startswith("Patient/")


class Authenticator:
    """Answers who asks. Safe to use from several threads; close it when the application stops."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], int]) -> None:
        self._database = database
        self._connection = database.connect()
        self._tokens: dict[bytes, sqlite3.Row] = {}
        self._systems: dict[str, tuple[AccessContext, int]] = {}
        self._tokens_epoch = -1
        self._tokens_until_us = 0
        self._idle_us = int(settings.session_idle_minutes * 60_000_000)
        self._clock = clock
        self._lock = threading.Lock()

    def __enter__(self) -> Authenticator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._tokens, self._systems = {}, {}
            self._connection.close()

    def context(self, authorization: str | None, *, request_id: str, origin: str = "") -> AccessContext:
        """The context of an Authorization header's value; Unauthenticated when it opens nothing now."""
        now_us = self._clock()
        self._forget_what_may_have_changed(now_us)
        known, expires = self._systems.get(authorization or "", _UNKNOWN)
        if known is not None and now_us < expires:
            return known.of_request(request_id, origin)
        credentials = _CREDENTIALS.fullmatch(authorization or "")
        if credentials is None:
            raise _no_token(authorization)
        row = self._token(token_hash(credentials[1]))
        if row is None:
            raise Unauthenticated("invalid_token", "The access token is not valid.")
        _check_in_force(row, now_us)
        if not row["reference"]:
            # What a system may do is on its token alone; who a person acts for is looked up each time.
            context = (vouched if row["client"] == LOCAL_CLIENT else of_system)(row, request_id, origin)
            self._systems[credentials[0]] = context, row["expires"]
            return context
        if row["reference"].startswith("Patient/"):
            return self._patient_context(row, request_id, origin)
        return self._staff_context(row, now_us, request_id, origin)

    def session_context(
        self, cookie: str | None, *, request_id: str, origin: str = ""
    ) -> tuple[AccessContext, SignedIn]:
        """
        The context and session of a session cookie; Unauthenticated when it has ended, expired or been idle.

        Does not note the use: pages call `sessions.touch` with the session, or it goes idle.
        """
        now_us = self._clock()
        row = self._one(_SESSION, token_hash(cookie)) if cookie else None
        if row is None:
            raise Unauthenticated("", "Please sign in.")
        session = BrowserSession(**dict(row))
        if session.ended or now_us >= session.expires or now_us - session.seen >= self._idle_us:
            raise Unauthenticated("invalid_token", "The session has ended.")
        if session.reference.startswith("Patient/"):
            return self._patient_session(session, request_id, origin)
        return self._staff_session(session, now_us, request_id, origin)

    def _staff_session(
        self, session: BrowserSession, now_us: int, request_id: str, origin: str
    ) -> tuple[AccessContext, SignedIn]:
        members = self._members(session.person, now_us)
        if members is None:
            raise _has_left()
        member = _chosen(members, session.organisation)
        actor = (member.organisation,) if member is not None and member.is_care else ()
        context = AccessContext(
            actors=(session.person, *actor),
            agent=session.reference,
            client="web",
            activity=DIRECT_CARE,
            request_id=request_id,
            scopes=_STAFF_SCOPES,
            organization=f"Organization/{member.organisation_id}" if member is not None else None,
            origin=origin,
        )
        return context, SignedIn(session, members, member)

    def _patient_session(self, session: BrowserSession, request_id: str, origin: str) -> tuple[AccessContext, SignedIn]:
        self._check_patient(session.person, must_exist=True)
        context = AccessContext(
            actors=(session.person,),
            agent=session.reference,
            client="web",
            activity=SELF_MANAGEMENT,
            request_id=request_id,
            purpose=Purpose.PATRQT,
            scopes=_PATIENT_SCOPES,
            subject=session.person,
            origin=origin,
        )
        return context, SignedIn(session)

    def _staff_context(self, row: sqlite3.Row, now_us: int, request_id: str, origin: str) -> AccessContext:
        members = self._members(row["person"], now_us)
        if members is None and row["client"] == LOCAL_CLIENT:
            return vouched(row, request_id, origin)
        if members is None:
            raise _has_left()
        named = row["organisation"]
        acting = tuple(member for member in members if named in (0, member.organisation))
        if not acting:
            raise _has_left()
        return of_token(
            row,
            request_id,
            origin,
            actors=(row["person"], *(member.organisation for member in acting if member.is_care)),
            organisation_id=acting[0].organisation_id if len(acting) == 1 else "",
        )

    def _patient_context(self, row: sqlite3.Row, request_id: str, origin: str) -> AccessContext:
        self._check_patient(row["person"], must_exist=row["client"] != LOCAL_CLIENT)
        return of_token(
            row,
            request_id,
            origin,
            actors=(row["person"],),
            organisation_id="",
            subject=row["person"],
        )

    def _members(self, person: int, now_us: int) -> tuple[Member, ...] | None:
        """The person's valid memberships; None where there is no account. Unauthenticated for a leaver."""
        rows = self._all(_STAFF, person, now_us)
        if not rows:
            return None
        if rows[0]["disabled"] or rows[0]["organisation"] is None:
            raise _has_left()
        roles: dict[tuple[int, str], set[Role]] = {}
        for row in rows:
            roles.setdefault((row["organisation"], row["id"]), set()).add(Role(row["role"]))
        return tuple(Member(key, logical_id, frozenset(held)) for (key, logical_id), held in roles.items())

    def _check_patient(self, patient: int, *, must_exist: bool) -> None:
        row = self._one(_PATIENT, patient)
        if row["disabled"] if row is not None else must_exist:
            raise Unauthenticated("invalid_token", "The account is closed.")

    def _forget_what_may_have_changed(self, now_us: int) -> None:
        # The epoch is read before any row: a change in between is noticed at the next request.
        epoch = self._database.epoch.number
        if epoch != self._tokens_epoch or now_us >= self._tokens_until_us or len(self._tokens) > _REMEMBERED_TOKENS:
            self._tokens, self._systems = {}, {}
            self._tokens_epoch, self._tokens_until_us = epoch, now_us + _REMEMBERED_US

    def _token(self, digest: bytes) -> sqlite3.Row | None:
        row = self._tokens.get(digest)
        if row is None:
            row = self._one(_BEARER, digest)
            if row is not None:
                self._tokens[digest] = row
        return row

    def _one(self, sql: str, *values: object) -> sqlite3.Row | None:
        rows = self._all(sql, *values)
        return rows[0] if rows else None

    def _all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            cursor = self._connection.cursor()
            cursor.row_factory = sqlite3.Row
            return cursor.execute(sql, values).fetchall()


def _chosen(members: tuple[Member, ...], organisation: int) -> Member | None:
    if len(members) == 1 and not organisation:
        return members[0]
    # A choice whose membership has ended is asked for again, never replaced in silence.
    return next((member for member in members if member.organisation == organisation), None)


def _check_in_force(row: sqlite3.Row, now_us: int) -> None:
    """The token and its client; whom the token speaks for is looked at by its own kind."""
    if row["revoked"]:
        raise Unauthenticated("invalid_token", "The access token has been revoked.")
    if now_us >= row["expires"]:
        raise Unauthenticated("invalid_token", "The access token has expired.")
    if row["client"] != LOCAL_CLIENT and (row["key"] is None or row["disabled"]):
        raise Unauthenticated("invalid_token", "The client is not registered any more.")


def _no_token(authorization: str | None) -> Unauthenticated:
    if authorization and authorization[:7].lower() in ("bearer", "bearer "):
        return Unauthenticated("invalid_token", "The access token is malformed.")
    return Unauthenticated("", "This needs an access token: Authorization: Bearer.")


def _has_left() -> Unauthenticated:
    return Unauthenticated("invalid_token", "The person has no account or membership for this any more.")
