"""Work that a commit calls for: rows written in its own transaction, done later by the job child, at least once.

A row names what changed, never what it says: payloads are built when the work is done, after the guard has been asked
again (architecture rule 8).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, text

from gateway.access import Lease
from gateway.r4.definitions import type_name
from gateway.store.prepare import Prepared
from gateway.store.rows import Row

WAITING, DONE, DEAD = 0, 1, 2

LEASE_US = 60_000_000
TRIES_MAX = 12
_FIRST_DELAY_US = 1_000_000
_LONGEST_DELAY_US = 3_600_000_000


# Several workers take different rows, and none that a transaction before it may still precede.
_AMONG_MANY = {
    "sqlite": ("", ""),
    "postgresql": (
        " AND o.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
        " FOR UPDATE OF o SKIP LOCKED",
    ),
}


@dataclass(frozen=True, slots=True)
class Work:
    """
    One row to be worked off: what changed, whose it is, and how often it has been tried.

    leased_until  tells this lease from every other of the same row
    """

    id: int
    kind: str
    patient: int
    type: str
    resource: str
    version: int
    tries: int
    leased_until: int = 0

    @property
    def lease(self) -> Lease:
        """For the contexts that do this work: what they commit counts only while the lease is theirs."""
        return Lease(self.id, self.leased_until)


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

    A lease that is not settled in time is taken again by whoever asks next; what the first one commits or settles
    after that is refused. Effects must be idempotent all the same: a worker may die after the last of them.
    """
    connection = session.connection()
    below_horizon, locked = _AMONG_MANY[connection.dialect.name]
    found = connection.execute(
        text(
            "UPDATE outbox SET leased_until = :until WHERE id IN (SELECT o.id FROM outbox o"
            f" WHERE o.state = 0 AND o.due <= :now AND o.leased_until <= :now{below_horizon}"
            " AND (o.patient = 0 OR NOT EXISTS (SELECT 1 FROM outbox e WHERE e.patient = o.patient AND e.id < o.id"
            f" AND e.state = 0)) ORDER BY o.id LIMIT :limit{locked})"
            " RETURNING id, kind, patient, type, resource, version, tries, leased_until"
        ),
        {"now": now_us, "limit": limit, "until": now_us + LEASE_US},
    )
    return [Work(row[0], row[1], row[2], type_name(row[3]), *row[4:]) for row in sorted(found)]


def done(session: Session, work: Work) -> bool:
    """It is done; False, and nothing changes, where the lease has passed to somebody else."""
    return _settle(session, work, "state = :state", state=DONE)


def failed(session: Session, work: Work, note: str, now_us: int) -> bool:
    """
    Try again later, twice as late each time with some jitter; after the last try it waits for an operator.

    False, and nothing changes, where the lease has passed to somebody else.
    """
    tries = work.tries + 1
    delay = min(_FIRST_DELAY_US << tries, _LONGEST_DELAY_US)
    due = now_us + int(delay * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
    state = DEAD if tries >= TRIES_MAX else WAITING
    again = "tries = :tries, due = :due, leased_until = 0, state = :state, note = :note"
    return _settle(session, work, again, tries=tries, due=due, state=state, note=note[:200])


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Work that was given up: what it is about by id, and the class of the last error."""

    id: int
    kind: str
    reference: str
    version: int
    tries: int
    note: str
    created: int


def dead(session: Session) -> list[DeadLetter]:
    """Every dead letter, oldest first."""
    found = session.connection().execute(
        text("SELECT id, kind, type, resource, version, tries, note, created FROM outbox WHERE state = 2 ORDER BY id")
    )
    return [DeadLetter(row[0], row[1], f"{type_name(row[2])}/{row[3]}", *row[4:]) for row in found]


def replay(session: Session, now_us: int, ids: Sequence[int] | None = None) -> int:
    """Give dead letters another life, all of them or those of the ids; returns how many."""
    again = "UPDATE outbox SET state = 0, tries = 0, due = :now, leased_until = 0 WHERE state = 2"
    if ids is None:
        return session.connection().execute(text(again), {"now": now_us}).rowcount
    one = text(f"{again} AND id = :id")
    return sum(session.connection().execute(one, {"now": now_us, "id": number}).rowcount for number in ids)


def purge(session: Session, before_us: int, limit: int = 500) -> int:
    """Delete rows of finished work that was due before; returns how many, at most `limit`."""
    old = "SELECT id FROM outbox WHERE state = 1 AND due < :before LIMIT :limit"
    deleted = session.connection().execute(
        text(f"DELETE FROM outbox WHERE id IN ({old})"), {"before": before_us, "limit": limit}
    )
    return deleted.rowcount


def _settle(session: Session, work: Work, assignments: str, **values: object) -> bool:
    mine = text(f"UPDATE outbox SET {assignments} WHERE id = :id AND leased_until = :mine AND state = 0")
    settled = session.connection().execute(mine, {**values, "id": work.id, "mine": work.leased_until})
    return settled.rowcount == 1
