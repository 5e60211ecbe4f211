"""Work that a commit calls for: rows written in its own transaction, done later by the job child, at least once.

A row names what changed, never what it says: payloads are built when the work is done, after the guard has been asked
again (architecture rule 8).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, text

from gateway.r4.definitions import type_name
from gateway.store.prepare import Prepared
from gateway.store.rows import Row

WAITING, DONE, DEAD = 0, 1, 2

LEASE_US = 60_000_000
TRIES_MAX = 12
_FIRST_DELAY_US = 1_000_000
_LONGEST_DELAY_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Work:
    """One row to be worked off: what changed, whose it is, and how often it has been tried."""

    id: int
    kind: str
    patient: int
    type: str
    resource: str
    version: int
    tries: int


def rows(change: Prepared, version: int, now_us: int) -> list[Row]:
    """The outbox rows of a new version."""
    patient = change.facts.named[0] if change.facts and change.facts.named else 0
    return [
        (kind, patient, change.kind, change.id, version, WAITING, now_us, 0, 0, "", now_us) for kind in change.calls_for
    ]


def is_due(session: Session, now_us: int) -> bool:
    """Whether something may be leased: a look that takes no lock, for a worker that asks again and again."""
    found = session.connection().execute(
        text("SELECT 1 FROM outbox WHERE state = 0 AND due <= :now AND leased_until <= :now LIMIT 1"), {"now": now_us}
    )
    return found.first() is not None


def lease(session: Session, now_us: int, limit: int = 16) -> list[Work]:
    """
    Take work that is due, in order for each patient: nothing of a patient is taken while an earlier row waits.

    A lease that is not settled in time is taken again, so an effect must be idempotent.
    """
    found = session.connection().execute(
        text(
            "SELECT o.id, o.kind, o.patient, o.type, o.resource, o.version, o.tries FROM outbox o"
            " WHERE o.state = 0 AND o.due <= :now AND o.leased_until <= :now"
            " AND (o.patient = 0 OR NOT EXISTS (SELECT 1 FROM outbox e WHERE e.patient = o.patient AND e.id < o.id"
            " AND e.state = 0)) ORDER BY o.id LIMIT :limit"
        ),
        {"now": now_us, "limit": limit},
    )
    work = [Work(row[0], row[1], row[2], type_name(row[3]), row[4], row[5], row[6]) for row in found]
    _update(session, [item.id for item in work], "leased_until = :value", now_us + LEASE_US)
    return work


def done(session: Session, work: Work) -> None:
    _update(session, [work.id], "state = :value", DONE)


def failed(session: Session, work: Work, note: str, now_us: int) -> None:
    """Try again later, twice as late each time with some jitter; after the last try it waits for an operator."""
    tries = work.tries + 1
    delay = min(_FIRST_DELAY_US << tries, _LONGEST_DELAY_US)
    due = now_us + int(delay * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
    state = DEAD if tries >= TRIES_MAX else WAITING
    session.connection().execute(
        text(
            "UPDATE outbox SET tries = :tries, due = :due, leased_until = 0, state = :state, note = :note"
            " WHERE id = :id"
        ),
        {"tries": tries, "due": due, "state": state, "note": note[:200], "id": work.id},
    )


def replay(session: Session, now_us: int) -> int:
    """Give every dead letter another life; returns how many."""
    result = session.connection().execute(
        text("UPDATE outbox SET state = 0, tries = 0, due = :now, leased_until = 0 WHERE state = 2"), {"now": now_us}
    )
    return result.rowcount


def _update(session: Session, ids: Sequence[int], assignment: str, value: int) -> None:
    for number in ids:
        session.connection().execute(
            text(f"UPDATE outbox SET {assignment} WHERE id = :id"), {"value": value, "id": number}
        )
