"""The one write path: every change of every request ends here, in one transaction with its index, audit and outbox.

Acknowledged means durable: results are handed out after the commit returned. Many waiting requests share one
transaction; each is checked on its own and refused on its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from gateway.store.changes import POST, Committed
from gateway.store.checks import Checks
from gateway.store.errors import LeaseLost, StorageFailed, StoreError
from gateway.store.group_commit import GroupCommit, in_slices
from gateway.store.rows import Pending, Row, insert
from gateway.store.search import Searcher
from gateway.store.sqlite import SQLiteDatabase
from gateway.store.staged import Commit, Staged, Stale, Steps

# From about here on the statements of a batch take longer than the hand-over to a thread.
_LARGE_ROWS = 1_500


class Writer:
    """
    Applies commits on the one connection that writes.

    Checks and small writes run on the event loop, in slices: handing each statement to a thread would cost more in
    passing the interpreter's lock to and fro than the statements take. Large writes, whose statements are long, and
    the COMMIT, which waits for the disk, have a thread.
    """

    def __init__(self, database: SQLiteDatabase, searcher: Searcher, clock: Callable[[], int]) -> None:
        self._database = database
        self._searcher = searcher
        self._clock = clock
        self._connection = database.connect(readonly=False)
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._group: GroupCommit[Commit, list[Committed]] = GroupCommit(self._write)

    async def submit(self, commit: Commit) -> list[Committed]:
        """Durable when it returns. Raises Stale, Busy, StorageFailed, and whatever a check refuses."""
        return await self._group.submit(commit)

    async def stop(self) -> None:
        """Write what is waiting, then close."""
        await self._group.stop()
        self._disk.shutdown()
        self._connection.close()

    async def _write(self, commits: Sequence[Commit]) -> Sequence[list[Committed] | Exception]:
        """One transaction for all commits; where a row clashes with another process's, each is tried alone."""
        try:
            return await self._transaction(commits)
        except sqlite3.IntegrityError:
            if len(commits) == 1:
                return [Stale()]
            return [(await self._write([commit]))[0] for commit in commits]
        except sqlite3.OperationalError:
            return [StorageFailed()] * len(commits)

    async def _transaction(self, commits: Sequence[Commit]) -> list[list[Committed] | Exception]:
        loop = asyncio.get_running_loop()
        async with self._database.lock.held_by_loop(self._disk):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                transaction = _Transaction(self._connection, self._searcher, self._clock())
                results = await in_slices(_attempted(transaction, commits))
                if transaction.pending.rows > _LARGE_ROWS:
                    await loop.run_in_executor(self._disk, transaction.write)
                else:
                    await in_slices(transaction.pending.flush(self._connection))
                await loop.run_in_executor(self._disk, self._connection.execute, "COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        return results


def _attempted(transaction: _Transaction, commits: Sequence[Commit]) -> Steps[list[list[Committed] | Exception]]:
    results = []
    for commit in commits:
        results.append((yield from transaction.attempt(commit)))
    return results


class _Transaction:
    """The state of one transaction: the next sequence number, its time, and the rows that wait."""

    def __init__(self, connection: sqlite3.Connection, searcher: Searcher, clock_us: int) -> None:
        self._connection = connection
        self.pending = Pending()
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'history'").fetchone()
        self._seq = row[0] if row else 0
        last = connection.execute("SELECT updated FROM history WHERE seq = ?", (self._seq,)).fetchone()
        # Time never runs backwards in the feed, whatever the clock does.
        self._now = max(clock_us, last[0]) if last else clock_us
        self._checks = Checks(connection, searcher, self._now)

    def attempt(self, commit: Commit) -> Steps[list[Committed] | Exception]:
        """Check every change, then stage all of them; a refusal stages nothing."""
        if self._depends_on_pending(commit):
            yield from self.pending.flush(self._connection)
        staged = Staged(self, commit)
        try:
            if commit.context.lease is not None and not self._checks.holds(commit.context.lease):
                raise LeaseLost
            with self._savepoint(any(change.registers is not None for change in commit.changes)):
                stages = yield from staged.check_all(commit.changes)
        except (StoreError, Stale) as refusal:
            return refusal
        results = yield from staged.stage_all(stages)
        self.pending.merge(staged.pending)
        return results

    @contextmanager
    def _savepoint(self, needed: bool) -> Iterator[None]:
        """Takes back what was written while checking, where something may be."""
        if not needed:
            yield
            return
        self._connection.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO attempt")
            raise
        finally:
            self._connection.execute("RELEASE attempt")

    def _depends_on_pending(self, commit: Commit) -> bool:
        """Whether the checks of a commit must see what earlier commits of this group have staged."""
        searches = any(
            change.condition is not None or change.registers is not None or change.targets for change in commit.changes
        )
        if searches or any(change.pk in self.pending.touched for change in commit.changes):
            return True
        if all(change.method == POST and change.facts is not None for change in commit.changes):
            named = {patient for change in commit.changes if change.facts for patient in change.facts.named}
            return self.pending.changes_rules_of(named)
        return self.pending.changes_rules_of(None)

    def write(self) -> None:
        """Write everything that is staged, in one go."""
        for _ in self.pending.flush(self._connection, in_thread=True):
            pass

    @property
    def checks(self) -> Checks:
        return self._checks

    @property
    def now(self) -> int:
        return self._now

    def write_now(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Write rows that checks of the same commit depend on; a refusal takes them back."""
        for table, several in rows.items():
            insert(self._connection, table, several)

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq
