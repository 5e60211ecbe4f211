"""Transactions of a command on PostgreSQL, one after the other, on a loop and a link of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from sqlalchemy.util import greenlet_spawn

from gateway.store.errors import StorageFailed
from gateway.store.postgresql import rows
from gateway.store.postgresql.connection import BEGIN_WRITING, Connection
from gateway.store.postgresql.failures import LinkLost, Refused
from gateway.store.postgresql.link import Link
from gateway.store.postgresql.locks import LOCKS
from gateway.store.postgresql.net import ALL
from gateway.store.postgresql.values import Array
from gateway.store.rows import Pending

Answer = TypeVar("Answer")

_SETTINGS = "SET synchronous_commit = on; SET jit = off"


class PostgreSQLTransactions:
    """Blocks the thread that calls, which must not run an event loop."""

    def __init__(self, conninfo: str) -> None:
        self._runner = asyncio.Runner()
        self._link = self._run(Link.open(conninfo, _SETTINGS))

    def run(self, work: Callable[[Connection], Answer]) -> Answer:
        """The work's answer, once it is committed. StorageFailed where it is not."""
        return self._run(self._transaction(work))

    def hold(self, connection: Any, keys: Sequence[int]) -> None:
        """The locks that a writer takes for replacing these resources."""
        nobody = Array("bigint", [])
        connection.execute(LOCKS, (nobody, nobody, Array("bigint", keys), nobody, nobody))

    def flush(self, connection: Any, pending: Pending) -> None:
        rows.flush(connection, pending)

    def close(self) -> None:
        self._link.close()
        self._runner.close()

    async def _transaction(self, work: Callable[[Connection], Answer]) -> Answer:
        # Everybody's rows are written anew, in nobody's name.
        connection = Connection(self._link, begin=BEGIN_WRITING, net=ALL)

        def run() -> Answer:
            answer = work(connection)
            connection.execute("COMMIT")
            return answer

        answer: Answer = await greenlet_spawn(run)
        return answer

    def _run(self, asked: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            return self._runner.run(asked)
        except (Refused, LinkLost):
            raise StorageFailed from None
