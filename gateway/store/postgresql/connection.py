"""What the store's functions see of a Link: `execute`, as on SQLite's connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.util import await_only

from gateway.store.errors import SignInMoved
from gateway.store.postgresql.link import Link, Row, Statement
from gateway.store.postgresql.net import SEEN, Net
from gateway.store.postgresql.text import Parameters

BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
BEGIN_WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED"
EPOCH = "SELECT number FROM administration_epoch"


class Rows:
    """The rows of one statement."""

    __slots__ = ("_place", "_rows")

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows
        self._place = 0

    def fetchone(self) -> Row | None:
        if self._place >= len(self._rows):
            return None
        self._place += 1
        return self._rows[self._place - 1]

    def fetchall(self) -> list[Row]:
        rows = self._rows[self._place :]
        self._place = len(self._rows)
        return rows

    def __iter__(self) -> Iterator[Row]:
        return iter(self.fetchall())


class Connection:
    """
    A link for the time of one function, which runs in a greenlet (`greenlet_spawn`): while it waits for the server the
    event loop goes on, and no thread is needed. What is put aside with `later` travels with the next `execute`.

    epoch  the state of administration under which the caller signed in; None where it was read for this request
    net    what is said to the database's own net in every transaction; None where the database has none
    """

    def __init__(self, link: Link, *, begin: str = "", epoch: int | None = None, net: Net | None = None) -> None:
        self._link = link
        self._epoch = epoch
        self._net = net
        self._begin = begin
        self._waiting: list[Statement] = [(begin, ())] if begin else []
        self.has_begun = False
        if begin:
            self._say()

    def execute(self, sql: str, parameters: Parameters = (), /) -> Rows:
        """The statement's rows, in one round trip with everything that waits. Refused, LinkLost, SignInMoved."""
        return self.execute_all([(sql, parameters)])[0]

    def execute_all(self, statements: Sequence[Statement]) -> list[Rows]:
        """The rows of several statements that do not depend on each other's answers, in one round trip."""
        batch, self._waiting = self._waiting, []
        if self._net is not None and not self._begin:
            # Each batch is a transaction of its own.
            batch.insert(0, self._net.statement)
        asked = 0
        if self._epoch is not None:
            batch.append((EPOCH, ()))
            asked = 1
        batch.extend(statements)
        self.has_begun = True
        results = await_only(self._link.send(batch))
        shown = results[len(results) - len(statements) - asked :]
        if self._epoch is not None:
            signed_in, self._epoch = self._epoch, None
            if shown[0] != [(signed_in,)]:
                raise SignInMoved
        return [Rows(rows) for rows in shown[asked:]]

    def later(self, sql: str, parameters: Parameters = ()) -> None:
        """Let the statement travel with the next one; its rows are of no interest, its failure is that one's."""
        self._waiting.append((sql, parameters))

    def tell(self, net: Net | None) -> None:
        """Let the net know something else for the statements that follow."""
        self._net = net
        self._say()

    @property
    def net(self) -> Net | None:
        return self._net

    @contextmanager
    def past_the_net(self) -> Iterator[None]:
        """Rows about everybody may be seen meanwhile. Only for gateway.store.past_the_net."""
        told = self._net
        self.tell(None if told is None else told.passing(SEEN))
        try:
            yield
        finally:
            self.tell(told)

    def _say(self) -> None:
        if self._net is not None and self._begin:
            self.later(*self._net.statement)

    def leave(self, sql: str) -> None:
        """End the transaction without waiting for the answer: whatever follows on this link comes after it."""
        if self.has_begun:
            self._link.send([(sql, ())]).add_done_callback(_forget)


def _forget(answered: asyncio.Future[list[list[Row]]]) -> None:
    if not answered.cancelled():
        answered.exception()
