"""Commits on PostgreSQL: one transaction for each, many at once; the server makes them durable together.

The order inside a transaction matters: locks, then checks (each statement sees what was committed while the locks were
waited for), then the ticket that gives the transaction its number, its places in the feed and its time, then the rows
together with COMMIT. See docs/decisions/0016-postgresql.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.util import greenlet_spawn

from gateway.access import AccessContext, Lease
from gateway.store.changes import POST, Committed
from gateway.store.checks import Checks, Current, as_current, ask_current, ask_writable
from gateway.store.errors import Busy, LeaseLost, StorageFailed, StoreError
from gateway.store.postgresql import rows
from gateway.store.postgresql.connection import BEGIN_WRITING, Connection
from gateway.store.postgresql.failures import LinkLost, Refused
from gateway.store.postgresql.links import Links
from gateway.store.postgresql.locks import LOCKS, locks_of
from gateway.store.postgresql.net import ALL, REPLACED, SEEN, Net
from gateway.store.prepare import Prepared
from gateway.store.rows import Row
from gateway.store.search import Searcher
from gateway.store.staged import Commit, Staged, Stale, Steps

Result = TypeVar("Result")

# Transactions under way at once in one gateway, and how many more may wait.
WRITERS = 12
WAITING_MAX = 4096
# A transaction that lost a deadlock is tried again so often.
_TRIES = 5
# How long the fate of a COMMIT without an answer is asked for, and how often.
_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.05
_SETTINGS = (
    "SET synchronous_commit = on; SET jit = off; SET plan_cache_mode = force_generic_plan;"
    " SET join_collapse_limit = 1; SET from_collapse_limit = 1; SET enable_hashjoin = off; SET enable_mergejoin = off;"
    " SET enable_seqscan = off; SET lock_timeout = '10s'; SET statement_timeout = '60s';"
    " SET idle_in_transaction_session_timeout = '60s'"
)
_TICKET = "SELECT number, first, at FROM write_ticket(?, ?::integer)"
_STATUS = "SELECT pg_xact_status(?::text::xid8)"
# A server that crashed may give the number of a transaction that it lost to another one, so the row itself decides.
_STORED = "SELECT count(*) FROM history WHERE pk = ? AND version = ? AND updated = ? AND seq = ? AND xid = ?"
_LEASE = "SELECT 1 FROM outbox WHERE id = ? AND leased_until = ? AND state = 0 FOR SHARE"
_UNKNOWN = "The database went away before it answered; whether this was written is not known."


class Writer:
    """
    Applies commits, each on a link of its own.

    has_net  whether the database has row-level security, which is told who writes
    """

    def __init__(self, conninfo: str, searcher: Searcher, clock: Callable[[], int], *, has_net: bool = False) -> None:
        self._has_net = has_net
        self._searcher = searcher
        self._clock = clock
        self._links = Links(conninfo, _SETTINGS, lent_max=WRITERS)
        self._running: set[asyncio.Task[list[Committed]]] = set()
        self._stopping = False

    async def submit(self, commit: Commit) -> list[Committed]:
        """Durable when it returns. Raises Stale, Busy, StorageFailed, and whatever a check refuses."""
        if self._stopping or len(self._running) >= WAITING_MAX:
            raise Busy
        task = asyncio.get_running_loop().create_task(self._write(commit))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # A client that hangs up does not undo what is already on its way to the disk.
        return await asyncio.shield(task)

    async def stop(self) -> None:
        """Finish what is under way, then end."""
        self._stopping = True
        if self._running:
            await asyncio.wait(self._running)
        self._links.close()

    async def _write(self, commit: Commit) -> list[Committed]:
        failure: StoreError = Busy()
        for _ in range(_TRIES):
            ending = _Ending()
            try:
                return await self._transaction(commit, ending)
            except LinkLost:
                if ending.results is not None and await self._has_committed(ending):
                    return ending.results
                # What was not told to commit has not happened, so it may be tried again.
                failure = StorageFailed()
            except Refused as refusal:
                if refusal.clashes:
                    raise Stale from None
                failure = refusal.as_store_error()
                if not refusal.may_pass:
                    raise failure from None
        raise failure

    async def _has_committed(self, ending: _Ending) -> bool:
        """What became of a transaction whose COMMIT was not answered. StorageFailed where the server does not say."""
        until = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while asyncio.get_running_loop().time() < until:
            try:
                async with self._links.lent() as link:
                    [[(status,)]] = await link.send([(_STATUS, (ending.number,))])
                    if status != "in progress":
                        past_the_net = [ALL.statement] if self._has_net else []
                        *_, [(stored,)] = await link.send([*past_the_net, (_STORED, ending.place)])
                        return bool(stored)
            except (LinkLost, Refused):
                pass
            await asyncio.sleep(_PAUSE_SECONDS)
        raise StorageFailed(_UNKNOWN)

    async def _transaction(self, commit: Commit, ending: _Ending) -> list[Committed]:
        async with self._links.lent() as link:
            now_us = self._clock()
            net = _net_of(commit, now_us) if self._has_net else None
            connection = Connection(link, begin=BEGIN_WRITING, epoch=commit.context.epoch, net=net)
            try:
                return await greenlet_spawn(lambda: _committed(connection, self._searcher, now_us, commit, ending))
            except (StoreError, Stale):
                connection.leave("ROLLBACK")
                raise
            except BaseException:
                # It may still hold locks of its session.
                link.close()
                raise


@dataclass(slots=True)
class _Ending:
    """What is to be answered once the transaction of this number has committed; no results before COMMIT is sent."""

    number: str = ""
    results: list[Committed] | None = None
    place: tuple[int, ...] = ()


def _committed(
    connection: Connection, searcher: Searcher, now_us: int, commit: Commit, ending: _Ending
) -> list[Committed]:
    transaction = _Transaction(connection, searcher, now_us, commit)
    staged = Staged(transaction, commit)
    stages = _run(staged.check_all(commit.changes))
    results = _run(staged.stage_all(stages))
    if transaction.has_ticket:
        if connection.net is not None and staged.new_patients:
            connection.tell(connection.net.with_fresh(staged.new_patients))
        ending.number, ending.results = transaction.number, results
        # A commit without versions (a person who is registered already) may be done again.
        history = dict(staged.pending.tables()).get("history", [(0,) * 6])
        seq, pk, _, _, version, updated = history[-1][:6]
        ending.place = (pk, version, updated, seq, int(transaction.number))  # type: ignore[assignment]
        rows.flush(connection, staged.pending, partitioned=searcher.dialect.partitioned)
        connection.execute("COMMIT")
    else:
        connection.leave("ROLLBACK")
    return results


def _net_of(commit: Commit, now_us: int) -> Net:
    """
    What the commit may see and write of the tables, at most.

    A feed that chooses ids must learn that one is taken, and corrects what it wrote though it may not read it.
    """
    net = Net.of(commit.context, now_us)
    return net.passing(SEEN | REPLACED) if any(change.may_assign for change in commit.changes) else net


def _run(steps: Steps[Result]) -> Result:
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            result: Result = ended.value
            return result


class _Transaction:
    """One transaction on its way: its locks, its checks, and from the ticket on its time and places in the feed."""

    def __init__(self, connection: Connection, searcher: Searcher, now_us: int, commit: Commit) -> None:
        self._connection = connection
        self._commit = commit
        self.number = ""
        self._places = range(0)
        self._given = 0
        self._now = now_us
        locks = locks_of(commit)
        if locks is not None:
            connection.later(LOCKS, locks)
        self._foreseen = _Foreseen(connection, searcher, now_us)
        self._foreseen.foresee(commit)

    @property
    def checks(self) -> Checks:
        return self._foreseen

    @property
    def has_ticket(self) -> bool:
        """Whether something is written at all."""
        return bool(self._places)

    @property
    def now(self) -> int:
        if not self._places:
            self._take_ticket()
        return self._now

    def next_seq(self) -> int:
        if not self._places:
            self._take_ticket()
        self._given += 1
        return self._places[self._given - 1]

    def write_now(self, rows_: Mapping[str, Sequence[Row]]) -> None:
        for table, several in rows_.items():
            rows.insert(self._connection, table, several)
        self._foreseen.forget_refusals()

    def _take_ticket(self) -> None:
        """Before anything is written: a transaction that has written has its number already."""
        places = len(self._commit.changes)
        ticket = self._connection.execute(_TICKET, (self._now, places)).fetchone()
        assert ticket is not None, "every transaction gets a ticket"
        self.number, first, self._now = ticket
        self._places = range(first, first + places)
        if self._commit.context.lease is not None:
            self._check_lease(self._commit.context.lease)

    def _check_lease(self, lease: Lease) -> None:
        """Holds the work's row until the commit, so that nobody takes it over meanwhile."""
        if self._connection.execute(_LEASE, (lease.work, lease.until_us)).fetchone() is None:
            raise LeaseLost


class _Foreseen(Checks):
    """Checks whose questions can be told beforehand are asked together, in one round trip with the locks."""

    def __init__(self, connection: Connection, searcher: Searcher, now_us: int) -> None:
        super().__init__(connection, searcher, now_us)
        self._link = connection
        self._currents: dict[int, Current | None] = {}
        self._permits: dict[tuple[int, int], bool] = {}

    def foresee(self, commit: Commit) -> None:
        """Ask what the changes will want to know."""
        context, author = commit.context, commit.context.organization_key
        stored = [change for change in commit.changes if change.method != POST]
        permits = [] if context.bypass else _permits_needed(commit.changes)
        asked = [ask_current(context, change, self.moment, self.dialect) for change in stored]
        asked += [ask_writable(context, change, patient, author, self.moment) for change, patient in permits]
        if not asked:
            return
        answers = [answer.fetchone() for answer in self._link.execute_all(asked)]
        for change, answer in zip(stored, answers, strict=False):
            self._currents[change.pk] = as_current(answer)
        for (change, patient), answer in zip(permits, answers[len(stored) :], strict=True):
            self._permits[change.pk, patient] = answer is not None

    def forget_refusals(self) -> None:
        """What was written just now may permit what was not permitted when it was asked."""
        self._permits = {place: permitted for place, permitted in self._permits.items() if permitted}

    def current(self, context: AccessContext, change: Prepared) -> Current | None:
        if change.pk in self._currents:
            return self._currents[change.pk]
        return super().current(context, change)

    def writable(self, context: AccessContext, change: Prepared, patient: int, author: int) -> bool:
        if change.method == POST and (change.pk, patient) in self._permits:
            return self._permits[change.pk, patient]
        return super().writable(context, change, patient, author)


def _permits_needed(changes: Sequence[Prepared]) -> list[tuple[Prepared, int]]:
    """The patients whom creates name, apart from those who are created with them."""
    fresh = {change.pk for change in changes if change.type == "Patient"}
    return [
        (change, patient)
        for change in changes
        if change.method == POST and change.facts is not None
        for patient in change.facts.named
        if patient not in fresh
    ]
