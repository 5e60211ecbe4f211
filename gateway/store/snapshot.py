"""Reading: every answer comes from one snapshot; quick queries on the event loop, long ones on a thread.

A hop to a thread costs more than a typical query. So each query first runs on the loop with a small budget of SQLite
instructions, and only where that is used up does it start again on a thread, under the time limit.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gateway.access import AccessContext
from gateway.store.connection import Connection
from gateway.store.errors import TooCostly
from gateway.store.sqlite import SQLiteDatabase

Answer = TypeVar("Answer")
Query = Callable[[Connection], Answer]

# SQLite asks after so many instructions of its virtual machine: about half a millisecond on one of today's cores.
_ASK_EVERY = 10_000
# It counts on where the last run of a cached statement ended, so that the first question can come at once.
QUICK_ANSWERS = 5
UNLIMITED = -1
_THREADS = 4


class _Budget:
    """How often SQLite may still ask whether to go on before the query counts as long."""

    def __init__(self) -> None:
        self.left = UNLIMITED

    def is_spent(self) -> bool:
        self.left -= 1
        return self.left == 0


class Snapshots:
    """Runs queries, each in one read transaction of its own."""

    def __init__(self, database: SQLiteDatabase, query_seconds: float) -> None:
        self._query_seconds = query_seconds
        self._quick = database.connect()
        self._budget = _Budget()
        self._quick.set_progress_handler(self._budget.is_spent, _ASK_EVERY)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="query")
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._slow = [database.connect() for _ in range(_THREADS)]
        for connection in self._slow:
            self._idle.put(connection)

    async def ask(self, statement: Query[Answer], _: AccessContext | None = None, _now_us: int = 0) -> Answer:
        """
        The answer of a query of one quick statement, which is a snapshot by itself: a row by its key.

        Further statements may read only what never changes once it is written.
        """
        self._budget.left = UNLIMITED
        return statement(self._quick)

    async def run(
        self, query: Query[Answer], _: AccessContext | None = None, _now_us: int = 0, *, is_one: bool = False
    ) -> Answer:
        """The query's answer; raises TooCostly where it takes longer than the time limit."""
        try:
            return _in_one_snapshot(self._quick, self._quickly(query))
        except sqlite3.OperationalError as error:
            if not _interrupted(error):
                raise
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._patiently, query)

    def _quickly(self, query: Query[Answer]) -> Query[Answer]:
        """The query with a budget of its own: what begins and ends its transaction must never be interrupted."""

        def limited(connection: Connection) -> Answer:
            self._budget.left = QUICK_ANSWERS
            try:
                return query(connection)
            finally:
                self._budget.left = UNLIMITED

        return limited

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for connection in (self._quick, *self._slow):
            connection.close()

    def _patiently(self, query: Query[Answer]) -> Answer:
        connection = self._idle.get()
        deadline = time.monotonic() + self._query_seconds

        def limited(connection: sqlite3.Connection) -> Answer:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _ASK_EVERY)
            try:
                return query(connection)
            finally:
                # The ROLLBACK that follows must not be interrupted as well.
                connection.set_progress_handler(None, 0)

        try:
            return _in_one_snapshot(connection, limited)
        except sqlite3.OperationalError as error:
            if _interrupted(error):
                raise TooCostly from None
            raise
        finally:
            self._idle.put(connection)


def _in_one_snapshot(connection: sqlite3.Connection, query: Callable[[sqlite3.Connection], Answer]) -> Answer:
    connection.execute("BEGIN")
    try:
        return query(connection)
    finally:
        connection.execute("ROLLBACK")


def _interrupted(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT
