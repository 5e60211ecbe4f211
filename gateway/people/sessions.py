"""Browser sessions: an opaque cookie, hashed at rest, with its own CSRF token (OWASP ASVS 5, chapter 7)."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

from sqlmodel import Session, col, delete, select, update

from gateway.people.errors import NotAMember
from gateway.people.hashing import token_hash
from gateway.people.memberships import current
from gateway.people.tables import BrowserSession
from gateway.store.database import Database

SECOND_US = 1_000_000
_SEEN_EVERY_US = 60 * SECOND_US
# Ended sessions stay a month in their owner's list.
_KEPT_US = 30 * 24 * 3_600 * SECOND_US


@dataclass(frozen=True, slots=True)
class Started:
    """A new session; `token` is the cookie's value and is never seen again."""

    session: BrowserSession
    token: str = field(repr=False)


def start(
    session: Session,
    *,
    person: int,
    reference: str,
    now_us: int,
    life_us: int,
    previous: str | None = None,
) -> Started:
    """
    Begin a session under a fresh token.

    `previous` is the cookie that came with the sign-in, if any: that session ends, so a cookie which somebody
    planted in the browser before the sign-in is worth nothing after it (session fixation).
    """
    if previous:
        end_token(session, previous, now_us)
    session.exec(delete(BrowserSession).where(col(BrowserSession.expires) < now_us - _KEPT_US))
    token = secrets.token_urlsafe(32)
    row = BrowserSession(
        hash=token_hash(token),
        person=person,
        reference=reference,
        csrf=secrets.token_urlsafe(32),
        created=now_us,
        expires=now_us + life_us,
        seen=now_us,
    )
    session.add(row)
    session.flush()
    return Started(row, token)


def csrf_matches(row: BrowserSession, presented: str | None) -> bool:
    """Whether a form carries this session's CSRF token, compared in constant time."""
    given = (presented or "").encode("utf-8", "replace")
    return hmac.compare_digest(row.csrf.encode(), given)


def touch(database: Database, row: BrowserSession, now_us: int) -> None:
    """Note that the session is in use; writes once a minute at most."""
    if now_us - row.seen >= _SEEN_EVERY_US:
        with database.working() as session:
            mine = update(BrowserSession).where(col(BrowserSession.id) == row.id)
            session.exec(mine.values(seen=now_us))


def choose_organisation(session: Session, row: BrowserSession, organisation: int, now_us: int) -> None:
    """Act for one organisation in this session; NotAMember unless the person belongs to it now."""
    if organisation not in {found.organisation for found in current(session, row.person, now_us)}:
        raise NotAMember
    mine = update(BrowserSession).where(col(BrowserSession.id) == row.id)
    session.exec(mine.values(organisation=organisation))


def listed(session: Session, person: int, now_us: int) -> list[BrowserSession]:
    """The person's sessions that are open now, the latest used first."""
    open_now = select(BrowserSession).where(
        BrowserSession.person == person, BrowserSession.ended == 0, BrowserSession.expires > now_us
    )
    latest_first = col(BrowserSession.seen).desc(), col(BrowserSession.id).desc()
    return list(session.exec(open_now.order_by(*latest_first)))


def end(session: Session, *, person: int, number: int, now_us: int) -> bool:
    """End one of the person's own sessions by its number in the list; False when there is none to end."""
    mine = col(BrowserSession.id) == number, col(BrowserSession.person) == person
    ended = update(BrowserSession).where(*mine, col(BrowserSession.ended) == 0).values(ended=now_us)
    return session.exec(ended).rowcount == 1


def end_token(session: Session, token: str, now_us: int) -> None:
    """End the session of a cookie (sign-out); nothing happens when there is none."""
    mine = col(BrowserSession.hash) == token_hash(token), col(BrowserSession.ended) == 0
    session.exec(update(BrowserSession).where(*mine).values(ended=now_us))


def end_all(session: Session, person: int, now_us: int) -> int:
    """End every session of the person; the number that ended."""
    mine = col(BrowserSession.person) == person, col(BrowserSession.ended) == 0
    return session.exec(update(BrowserSession).where(*mine).values(ended=now_us)).rowcount
