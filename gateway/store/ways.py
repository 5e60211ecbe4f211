"""How a database runs what the store asks: the same questions and checks, run in the way that suits it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.access import AccessContext
from gateway.settings import Settings
from gateway.store.audit import AuditLog
from gateway.store.audit_file import AuditFile
from gateway.store.changes import Committed
from gateway.store.connection import Connection
from gateway.store.database import Database
from gateway.store.dialect import PARTITIONED, POSTGRESQL, SQLITE, Dialect
from gateway.store.postgresql import audit as postgresql_audit
from gateway.store.postgresql import snapshots as postgresql_snapshots
from gateway.store.postgresql import writer as postgresql_writer
from gateway.store.postgresql.database import PostgreSQLDatabase
from gateway.store.search import Searcher
from gateway.store.snapshot import Snapshots
from gateway.store.sqlite import SQLiteDatabase
from gateway.store.staged import Commit
from gateway.store.writer import Writer

Answer = TypeVar("Answer")


class Reading(Protocol):
    """
    Runs queries, each in one snapshot, for whoever asks at that time (microseconds).

    Where the context's sign-in was remembered its epoch is compared there; the database's own net is told who it is.
    """

    async def ask(
        self, query: Callable[[Connection], Answer], context: AccessContext | None = None, now_us: int = 0, /
    ) -> Answer:
        """The answer of a query of one quick statement; further ones may read only what never changes."""
        ...

    async def run(
        self,
        query: Callable[[Connection], Answer],
        context: AccessContext | None = None,
        now_us: int = 0,
        /,
        *,
        is_one: bool = False,
    ) -> Answer:
        """
        The answer of a query of several statements; TooCostly where it takes too long.

        is_one  a single statement makes the answer; those before it only choose how to ask
        """
        ...

    def close(self) -> None: ...


class Writing(Protocol):
    """Applies commits; they are durable when `submit` returns."""

    async def submit(self, commit: Commit, /) -> list[Committed]: ...

    async def stop(self) -> None:
        """Finish what is under way, then end."""
        ...


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways of one database."""

    reading: Reading
    writing: Writing
    log: AuditLog


def dialect_of(database: Database) -> Dialect:
    """How statements are written for a database; the server is asked whether its tables are partitioned."""
    if not isinstance(database, PostgreSQLDatabase):
        return SQLITE
    return PARTITIONED if database.is_partitioned() else POSTGRESQL


def ways_of(database: Database, settings: Settings, searcher: Searcher, clock: Callable[[], int]) -> Ways:
    """Opens what needs to be open; on PostgreSQL connections are made when they are first needed."""
    if isinstance(database, PostgreSQLDatabase):
        has_net = database.row_level_security
        return Ways(
            postgresql_snapshots.Snapshots(database.conninfo, settings.query_seconds, has_net=has_net),
            postgresql_writer.Writer(database.conninfo, searcher, clock, has_net=has_net),
            postgresql_audit.AuditTable(database.conninfo),
        )
    assert isinstance(database, SQLiteDatabase), "a database is one of the two"
    return Ways(
        Snapshots(database, settings.query_seconds),
        Writer(database, searcher, clock),
        AuditFile(settings.home / "audit.sqlite"),
    )
