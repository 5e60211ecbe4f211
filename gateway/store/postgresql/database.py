"""PostgreSQL: sessions for the administrative tables, and the connection string that the store's own links use."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, Engine, RowMapping, create_engine
from sqlalchemy.pool import NullPool
from sqlmodel import Session, text

from gateway.store.errors import UNAVAILABLE, StorageFailed
from gateway.store.postgresql.net import OPEN

# Keys of advisory locks, far from any that an installation beside this one would choose.
ADMINISTRATION_LOCK = 7_305_808_869_229_000_001
MIGRATION_LOCK = 7_305_808_869_229_000_002

_CONNECT_SECONDS = 10
_CONNECTIONS, _MORE_CONNECTIONS = 2, 6
_LOOKS_AGAIN_AFTER_SECONDS = 0.2
_TRY_MIGRATING = f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})"
_EXCLUSIVE = text(f"SELECT pg_advisory_xact_lock({ADMINISTRATION_LOCK})")
_SYNCHRONOUS = "SET synchronous_commit = on"
_EPOCH_MOVES = text("UPDATE administration_epoch SET number = number + 1")
_EPOCH = "SELECT number FROM administration_epoch"
_PARTITIONED = "SELECT 1 FROM pg_partitioned_table WHERE partrelid = to_regclass('resource')"
_SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


class PostgreSQLDatabase:
    """
    One database of a server and the ways to it. Making one asks the server nothing.

    conninfo            what libpq connects with; it may hold a password, so it is never shown
    row_level_security  whether the tables have policies that want to know who asks (decision 0022); sessions say
                        nothing, so they see no clinical table
    """

    dialect = "postgresql"
    answers_at_once = False

    def __init__(self, url: str, *, row_level_security: bool = False) -> None:
        self.row_level_security = row_level_security
        self.conninfo = make_conninfo(url, connect_timeout=_CONNECT_SECONDS, application_name="backbridge")
        self.engine = self._engine()
        self._asking = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One such transaction at a time in all processes; the epoch moves in the commit itself."""
        with self._exclusive() as session:
            yield session
            session.flush()
            session.connection().execute(_EPOCH_MOVES)
            session.commit()

    @contextmanager
    def adding(self) -> Iterator[Session]:
        """Like `writing`, and takes turns with it, but the epoch stays."""
        with self._exclusive() as session:
            yield session
            session.commit()

    @contextmanager
    def working(self) -> Iterator[Session]:
        """A transaction beside others: rows that several processes want are locked by their own statements."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session
            session.commit()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reading one snapshot of the administrative tables."""
        with Session(self.engine, expire_on_commit=False) as session:
            session.connection().execute(_SNAPSHOT)
            yield session

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """
        A connection that holds the migrations' lock as long as it lives, so the lock ends with its process.

        Whoever waits looks again and again: a statement that waited for the lock would hold a snapshot, and an index
        that is built concurrently waits for every older snapshot to go.
        """
        engine = create_engine("postgresql+psycopg://", creator=self._connect_alone, poolclass=NullPool)
        with engine.connect() as connection:
            yield connection

    def ask(self, sql: str, parameters: Mapping[str, object]) -> Sequence[RowMapping]:
        """The rows of one statement; blocks until the server has answered. StorageFailed where it does not."""
        try:
            with self._asking.connect() as connection:
                return connection.execute(text(sql), parameters).mappings().all()
        except UNAVAILABLE:
            raise StorageFailed from None

    def epoch_number(self) -> int:
        """The present number; blocks until the server has answered."""
        found: int = self.ask(_EPOCH, {})[0]["number"]
        return found

    def is_partitioned(self) -> bool:
        """Whether the tables are divided by patient (decision 0026); blocks until the server has answered."""
        return bool(self.ask(_PARTITIONED, {}))

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _exclusive(self) -> Iterator[Session]:
        with Session(self.engine, expire_on_commit=False) as session:
            session.connection().execute(_EXCLUSIVE)
            yield session

    def _engine(self) -> Engine:
        return create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            pool_size=_CONNECTIONS,
            max_overflow=_MORE_CONNECTIONS,
            pool_pre_ping=True,
            pool_timeout=_CONNECT_SECONDS,
            hide_parameters=True,
        )

    def _connect(self) -> psycopg.Connection[Any]:
        # Committed is on the disk, whatever the server's own default is.
        connection = psycopg.connect(self.conninfo, autocommit=True)
        connection.execute(_SYNCHRONOUS)
        connection.autocommit = False
        return connection

    def _connect_alone(self) -> psycopg.Connection[Any]:
        # A server that notices a dead client only at the next answer would go on building an index for nobody.
        connection = psycopg.connect(self.conninfo, autocommit=True)
        connection.execute("SET client_connection_check_interval = '1s'")
        # A version of the schema may have to write every row anew.
        connection.execute(f"SET backbridge.open = '{OPEN}'")
        while connection.execute(_TRY_MIGRATING).fetchone() != (True,):
            time.sleep(_LOOKS_AGAIN_AFTER_SECONDS)
        connection.autocommit = False
        return connection
