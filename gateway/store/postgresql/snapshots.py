"""Reading on PostgreSQL: one statement on a shared link, or several in one read-only transaction on a lent one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.util import greenlet_spawn

from gateway.access import AccessContext
from gateway.store.errors import StorageFailed, StoreError
from gateway.store.postgresql.connection import BEGIN_READING, Connection
from gateway.store.postgresql.failures import LinkLost, Refused
from gateway.store.postgresql.links import Links
from gateway.store.postgresql.net import CLOSED, Net

Answer = TypeVar("Answer")
Query = Callable[[Connection], Answer]

# Reads that wait for a link of their own beyond this wait in line.
READERS = 8
# The store chooses what drives a query and writes its joins in that order; a plan is made once and kept, as on SQLite.
_SETTINGS = (
    "SET default_transaction_read_only = on; SET statement_timeout = {milliseconds}; SET jit = off;"
    " SET plan_cache_mode = force_generic_plan; SET join_collapse_limit = 1; SET from_collapse_limit = 1;"
    " SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off;"
    " SET enable_bitmapscan = off"
)


class Snapshots:
    """
    Runs queries, each in one snapshot; where the sign-in was remembered its epoch is checked in the same.

    has_net  whether the database has row-level security, which is told who asks
    """

    def __init__(self, conninfo: str, query_seconds: float, *, has_net: bool = False) -> None:
        self._has_net = has_net
        self._links = Links(conninfo, settings_for(query_seconds), lent_max=READERS)

    async def ask(self, query: Query[Answer], context: AccessContext | None = None, now_us: int = 0) -> Answer:
        """
        The answer of a query of one quick statement, which is a snapshot by itself: a row by its key.

        Further statements may read only what never changes once it is written.
        """
        try:
            link = await self._links.shared()
            connection = Connection(link, epoch=_epoch(context), net=self._net(context, now_us))
            return await greenlet_spawn(lambda: query(connection))
        except (Refused, LinkLost) as failure:
            raise _store_error(failure) from None

    async def run(
        self, query: Query[Answer], context: AccessContext | None = None, now_us: int = 0, *, is_one: bool = False
    ) -> Answer:
        """
        The query's answer; raises TooCostly where a statement takes longer than the time limit.

        is_one  one statement of it makes the answer, so it needs no transaction around it
        """
        try:
            async with self._links.lent() as link:
                begin = "" if is_one else BEGIN_READING
                connection = Connection(link, begin=begin, epoch=_epoch(context), net=self._net(context, now_us))
                try:
                    return await greenlet_spawn(lambda: query(connection))
                finally:
                    if begin:
                        connection.leave("ROLLBACK")
        except (Refused, LinkLost) as failure:
            raise _store_error(failure) from None

    def close(self) -> None:
        self._links.close()

    def _net(self, context: AccessContext | None, now_us: int) -> Net | None:
        """Who asks for nobody sees nobody, unless the query says why it must."""
        if not self._has_net:
            return None
        return Net(CLOSED) if context is None else Net.of(context, now_us)


def settings_for(query_seconds: float) -> str:
    """What a link says before it reads, so that statements are planned and limited as they are here."""
    return _SETTINGS.format(milliseconds=max(1, int(query_seconds * 1000)))


def _epoch(context: AccessContext | None) -> int | None:
    return None if context is None else context.epoch


def _store_error(failure: Refused | LinkLost) -> StoreError:
    return failure.as_store_error() if isinstance(failure, Refused) else StorageFailed()
