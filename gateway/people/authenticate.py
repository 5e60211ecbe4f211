"""From a bearer token or a session cookie to an AccessContext, on every request anew (architecture rule 2).

A revoked token, a disabled client and a member who has left are refused from the commit on, whichever process made it:
what is remembered of a sign-in counts only while nothing has changed (`Database.epoch_number`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.access import AccessContext, Purpose, Scope, ScopeSet
from gateway.people import standing
from gateway.people.contexts import LOCAL_CLIENT, of_system, of_token, open_access_context, vouched
from gateway.people.hashing import token_hash
from gateway.people.standing import Member
from gateway.people.tables import BrowserSession
from gateway.settings import Settings
from gateway.store.database import Database, Record
from gateway.store.tables import FAR_FUTURE

__all__ = ["Authenticator", "Member", "SignedIn", "Unauthenticated", "open_access_context"]

DIRECT_CARE = "direct-care"
SELF_MANAGEMENT = "self-management"

_CREDENTIALS = re.compile(r"bearer +([A-Za-z0-9\-._~+/]{20,512}=*)", re.IGNORECASE)
_STAFF_SCOPES = ScopeSet((Scope("user", "*", frozenset("cruds")),))
_PATIENT_SCOPES = ScopeSet((Scope("patient", "*", frozenset("cruds")),))

_REMEMBERED_SIGN_INS = 10_000
# A process that dies between its commit to a file and the new epoch is found out after this long.
_REMEMBERED_US = 1_000_000
_UNKNOWN: tuple[AccessContext | None, int] = (None, 0)


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
    """
    Answers who asks. Safe to use from several threads.

    Sign-ins by token are remembered until the epoch moves, for a second at most. Where the epoch can be looked at for
    nothing that is done at every request; elsewhere the context carries the number, and the store compares it in the
    statement that reads or writes (SignInMoved).
    """

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], int]) -> None:
        self._database = database
        self._remembered: dict[str, tuple[AccessContext, int]] = {}
        self._epoch = -1
        self._until_us = 0
        self._idle_us = int(settings.session_idle_minutes * 60_000_000)
        self._clock = clock

    async def known(
        self, authorization: str | None, request_id: str, origin: str, *, afresh: bool = False
    ) -> AccessContext:
        """
        The context of an Authorization header's value, on an event loop; Unauthenticated when it opens nothing now.

        afresh  look it up, whatever is remembered: what it answers needs no comparing of epochs
        """
        if self._database.answers_at_once:
            return self.context(authorization, request_id=request_id, origin=origin)
        now_us = self._clock()
        found = None if afresh else self._recalled(authorization, now_us)
        if found is None:
            found = await asyncio.to_thread(self._looked_up, authorization, now_us)
        return found.of_request(request_id, origin)

    def context(self, authorization: str | None, *, request_id: str, origin: str = "") -> AccessContext:
        """The same for a caller who may wait for the database, and so needs no comparing of epochs."""
        now_us = self._clock()
        found = self._recalled(authorization, now_us) if self._database.answers_at_once else None
        return (found or self._looked_up(authorization, now_us)).of_request(request_id, origin)

    def _recalled(self, authorization: str | None, now_us: int) -> AccessContext | None:
        # The number is read before any row: a change in between is noticed at the next request.
        epoch = self._database.epoch_number() if self._database.answers_at_once else self._epoch
        if epoch != self._epoch or now_us >= self._until_us or len(self._remembered) > _REMEMBERED_SIGN_INS:
            self._remembered, self._epoch, self._until_us = {}, epoch, now_us + _REMEMBERED_US
        found, until_us = self._remembered.get(authorization or "", _UNKNOWN)
        return found if now_us < until_us else None

    def _looked_up(self, authorization: str | None, now_us: int) -> AccessContext:
        credentials = _CREDENTIALS.fullmatch(authorization or "")
        if credentials is None:
            raise _no_token(authorization)
        remembered = self._remembered
        epoch = None if self._database.answers_at_once else self._database.epoch_number()
        row = standing.bearer(self._database, token_hash(credentials[1]))
        if row is None:
            raise Unauthenticated("invalid_token", "The access token is not valid.")
        _check_in_force(row, now_us)
        found, until_us = self._holder(row, now_us)
        remembered[credentials[0]] = replace(found, epoch=epoch), min(until_us, row["expires"])
        return found

    def _holder(self, row: Record, now_us: int) -> tuple[AccessContext, int]:
        """Whom the token speaks for, and how long that is so."""
        if not row["reference"]:
            return (vouched if row["client"] == LOCAL_CLIENT else of_system)(row), FAR_FUTURE
        if row["reference"].startswith("Patient/"):
            return self._patient(row), FAR_FUTURE
        return self._staff(row, now_us)

    def session_context(
        self, cookie: str | None, *, request_id: str, origin: str = ""
    ) -> tuple[AccessContext, SignedIn]:
        """
        The context and session of a session cookie; Unauthenticated when it has ended, expired or been idle.

        Looked up each time. Does not note the use: pages call `sessions.touch` with the session, or it goes idle.
        """
        now_us = self._clock()
        session = standing.browser_session(self._database, token_hash(cookie)) if cookie else None
        if session is None:
            raise Unauthenticated("", "Please sign in.")
        if session.ended or now_us >= session.expires or now_us - session.seen >= self._idle_us:
            raise Unauthenticated("invalid_token", "The session has ended.")
        if session.reference.startswith("Patient/"):
            return self._patient_session(session, request_id, origin)
        return self._staff_session(session, now_us, request_id, origin)

    def _staff_session(
        self, session: BrowserSession, now_us: int, request_id: str, origin: str
    ) -> tuple[AccessContext, SignedIn]:
        found = standing.staff(self._database, session.person, now_us)
        if found is None or not found.members:
            raise _has_left()
        member = _chosen(found.members, session.organisation)
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
        return context, SignedIn(session, found.members, member)

    def _patient_session(self, session: BrowserSession, request_id: str, origin: str) -> tuple[AccessContext, SignedIn]:
        self._refuse_if_closed(session.person, must_exist=True)
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

    def _staff(self, row: Record, now_us: int) -> tuple[AccessContext, int]:
        found = standing.staff(self._database, row["person"], now_us)
        if found is None and row["client"] == LOCAL_CLIENT:
            return vouched(row), FAR_FUTURE
        named = row["organisation"]
        members = found.members if found is not None else ()
        acting = tuple(member for member in members if named in (0, member.organisation))
        if found is None or not acting:
            raise _has_left()
        actors = (row["person"], *(member.organisation for member in acting if member.is_care))
        organisation_id = acting[0].organisation_id if len(acting) == 1 else ""
        return of_token(row, actors=actors, organisation_id=organisation_id), found.until_us

    def _patient(self, row: Record) -> AccessContext:
        self._refuse_if_closed(row["person"], must_exist=row["client"] != LOCAL_CLIENT)
        return of_token(row, actors=(row["person"],), organisation_id="", subject=row["person"])

    def _refuse_if_closed(self, patient: int, *, must_exist: bool) -> None:
        if standing.patient_is_closed(self._database, patient, must_exist=must_exist):
            raise Unauthenticated("invalid_token", "The account is closed.")


def _chosen(members: tuple[Member, ...], organisation: int) -> Member | None:
    if len(members) == 1 and not organisation:
        return members[0]
    # A choice whose membership has ended is asked for again, never replaced in silence.
    return next((member for member in members if member.organisation == organisation), None)


def _check_in_force(row: Record, now_us: int) -> None:
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
