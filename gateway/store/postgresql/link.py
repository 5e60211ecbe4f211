"""One connection to PostgreSQL on the event loop, in libpq's pipeline mode (PostgreSQL manual, section 34.5).

Batches are sent without waiting for those before them and answered in order, so one link serves many requests. libpq is
driven directly: what a psycopg cursor does for every statement costs as much as the rest of a read (decision 0016).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

from gateway.store.postgresql.failures import LinkLost, Refused
from gateway.store.postgresql.text import Parameters, translated
from gateway.store.postgresql.values import encoded, type_of

Row = tuple[Any, ...]
Statement = tuple[str, Parameters]

# A planned statement of the guard is large; so many of them a connection may keep.
PREPARED_MAX = 300
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)
_ROWS = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


_Key = tuple[str, tuple[type, ...]]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement that the server knows by name, with binary values in all its places."""

    name: bytes
    formats: list[int]


@dataclass(slots=True)
class _Batch:
    """What was sent up to one sync. `shown` says of each result to come whether the caller wants it."""

    answered: asyncio.Future[list[list[Row]]]
    shown: list[bool] = field(default_factory=list)
    prepared: list[_Key] = field(default_factory=list)
    results: list[list[Row]] = field(default_factory=list)
    taken: int = 0
    failure: Refused | None = None


class Link:
    """
    An open connection. `send` may be called while earlier batches are still on their way.

    Every batch without BEGIN is one transaction of its own.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._batches: deque[_Batch] = deque()
        self._prepared: OrderedDict[_Key, _Prepared] = OrderedDict()
        self._names = 0
        self._transformer = Transformer()
        self._writing = False
        self.is_open = True
        # libpq forgets it when the connection is lost, and the loop must still be told.
        self._socket = self._pgconn.socket
        self._pgconn.enter_pipeline_mode()
        self._loop.add_reader(self._socket, self._readable)

    @staticmethod
    async def open(conninfo: str, settings: str) -> Link:
        """A new connection, after the statement `settings`. Raises LinkLost where the server cannot be had."""
        try:
            connection = await psycopg.AsyncConnection.connect(conninfo, autocommit=True, client_encoding="utf8")
        except psycopg.Error:
            raise LinkLost from None
        try:
            await connection.execute(settings.encode(), prepare=False)
        except BaseException as failure:
            await connection.close()
            if isinstance(failure, psycopg.Error):
                raise LinkLost from None
            raise
        return Link(connection)

    @property
    def waiting(self) -> int:
        """How many batches are not answered yet."""
        return len(self._batches)

    def send(self, statements: Sequence[Statement]) -> asyncio.Future[list[list[Row]]]:
        """
        Send statements as one batch; the future has the rows of each.

        It fails with Refused where the server refused one, which takes back the whole batch, or with LinkLost.
        """
        batch = _Batch(self._loop.create_future())
        if not self.is_open:
            batch.answered.set_exception(LinkLost())
            return batch.answered
        self._batches.append(batch)
        try:
            for sql, parameters in statements:
                self._put(batch, sql, parameters)
            self._pgconn.pipeline_sync()
            self._flush()
        except psycopg.Error:
            self._lose()
        return batch.answered

    def close(self) -> None:
        """End the connection at once; what is not answered fails with LinkLost."""
        self._lose()

    def _put(self, batch: _Batch, sql: str, parameters: Parameters) -> None:
        statement = translated(sql)
        values = statement.values(parameters)
        # An array's kind is in the text of its statement.
        key = (sql, tuple(map(type, values)))
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = self._prepare(batch, key, statement.sql, values)
        else:
            self._prepared.move_to_end(key)
        self._pgconn.send_query_prepared(prepared.name, encoded(values), prepared.formats, 1)
        batch.shown.append(True)

    def _prepare(self, batch: _Batch, key: _Key, sql: bytes, values: Sequence[Any]) -> _Prepared:
        if len(self._prepared) >= PREPARED_MAX:
            _, oldest = self._prepared.popitem(last=False)
            self._pgconn.send_query_params(b"DEALLOCATE " + oldest.name, None)
            batch.shown.append(False)
        self._names += 1
        prepared = _Prepared(b"s%d" % self._names, [1] * len(values))
        self._pgconn.send_prepare(prepared.name, sql, [type_of(value) for value in values])
        self._prepared[key] = prepared
        batch.prepared.append(key)
        batch.shown.append(False)
        return prepared

    def _flush(self) -> None:
        """Hand everything to the network; what does not fit now goes when there is room."""
        unsent = self._pgconn.flush() == 1
        if unsent and not self._writing:
            self._loop.add_writer(self._socket, self._writable)
        elif self._writing and not unsent:
            self._loop.remove_writer(self._socket)
        self._writing = unsent

    def _writable(self) -> None:
        try:
            self._flush()
        except psycopg.Error:
            self._lose()

    def _readable(self) -> None:
        try:
            self._pgconn.consume_input()
            self._take_all()
            if self._writing:
                self._flush()
        except psycopg.Error:
            self._lose()

    def _take_all(self) -> None:
        """Every result that has arrived. A None ends those of one statement; a second one says that no more is here."""
        ended = False
        while self._batches and not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is not None:
                self._take(self._batches[0], result)
            elif ended:
                break
            ended = result is None
        if self._pgconn.status != ConnStatus.OK:
            self._lose()

    def _take(self, batch: _Batch, result: PGresult) -> None:
        status = result.status
        if status == ExecStatus.PIPELINE_SYNC:
            self._batches.popleft()
            self._settle(batch)
        elif status in _ROWS:
            if batch.shown[batch.taken]:
                self._transformer.set_pgresult(result)
                batch.results.append(self._transformer.load_rows(0, result.ntuples, tuple))
            batch.taken += 1
        elif status in _FAILED and batch.failure is None:
            batch.failure = Refused((result.error_field(DiagnosticField.SQLSTATE) or b"XX000").decode())

    def _settle(self, batch: _Batch) -> None:
        if batch.failure is not None:
            # Whether these were reached is not known; the server forgets a name only when asked, which is harmless.
            for key in batch.prepared:
                self._prepared.pop(key, None)
        if batch.answered.done():
            return
        if batch.failure is not None:
            batch.answered.set_exception(batch.failure)
        else:
            batch.answered.set_result(batch.results)

    def _lose(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._socket)
        if self._writing:
            self._loop.remove_writer(self._socket)
        self._pgconn.finish()
        while self._batches:
            answered = self._batches.popleft().answered
            if not answered.done():
                answered.set_exception(LinkLost())
