"""The database of an installation, SQLite or PostgreSQL, as administration sees it (docs/decisions/0017).

The store has its own ways to each of them; people, clients, tokens, jobs and commands use sessions, the same on both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, text

from gateway.settings import Settings
from gateway.store.sqlite import SQLiteDatabase

OLDEST_POSTGRESQL = 15


class DatabaseUnusable(Exception):
    """The database cannot be used as it is: one line for an operator, without roles, passwords or content."""


class Record(Protocol):
    """One row, by the names of its columns."""

    def keys(self) -> Iterable[str]: ...

    def __getitem__(self, column: str, /) -> Any: ...


class Database(Protocol):
    """
    What both databases can do.

    dialect          `sqlite` or `postgresql`, for the few statements that differ
    answers_at_once  whether `ask` and `epoch_number` may be called on an event loop, because no server is asked
    """

    @property
    def dialect(self) -> str: ...

    @property
    def answers_at_once(self) -> bool: ...

    @property
    def engine(self) -> Engine: ...

    def writing(self) -> AbstractContextManager[Session]:
        """
        A transaction that may change who may sign in: the epoch moves with it. Rolled back on an exception.

        One at a time in all processes, so what it has read stays true until it commits.
        """
        ...

    def adding(self) -> AbstractContextManager[Session]:
        """Like `writing` without a new epoch: nobody who is signed in loses anything (attempts, new tokens)."""
        ...

    def working(self) -> AbstractContextManager[Session]:
        """
        A transaction about work (outbox, imports): no new epoch.

        Where the database lets several write at once it does not wait for `writing`, so its statements must lock the
        rows that they decide upon.
        """
        ...

    def reading(self) -> AbstractContextManager[Session]:
        """A session for reading one snapshot of the administrative tables."""
        ...

    def migrating(self) -> AbstractContextManager[Connection]:
        """The connection of the one process that may change the schema; other processes wait."""
        ...

    def ask(self, sql: str, parameters: Mapping[str, object]) -> Sequence[Record]:
        """The rows of one statement, which is a snapshot by itself; its parameters are written `:name`."""
        ...

    def epoch_number(self) -> int:
        """A number that moves with every change to people, clients and tokens; what is asked later is as new."""
        ...

    def close(self) -> None: ...


def open_database(settings: Settings) -> Database:
    """
    The installation's database.

    raises  DatabaseUnusable where a server does not answer or is too old, or a file is none of SQLite's; OSError
    """
    if not settings.is_postgresql:
        return _file(settings)
    # The driver takes memory and time that an installation on SQLite need not spend.
    from gateway.store.postgresql.database import PostgreSQLDatabase

    database = PostgreSQLDatabase(settings.database_url, row_level_security=settings.row_level_security == "on")
    try:
        _check_server(database, settings.database_url)
    except DatabaseUnusable:
        database.close()
        raise
    return database


def _file(settings: Settings) -> SQLiteDatabase:
    try:
        return SQLiteDatabase(settings.database_path)
    except sqlite3.DatabaseError as failure:
        raise DatabaseUnusable(f"{settings.database_path} cannot be used: {failure}") from None


def _check_server(database: Database, url: str) -> None:
    place = _place(url)
    try:
        with database.engine.connect() as connection:
            version = int(connection.execute(text("SHOW server_version_num")).scalar_one())
    except DBAPIError:
        raise DatabaseUnusable(f"PostgreSQL at {place} does not answer, or does not let this role in") from None
    if version // 10_000 < OLDEST_POSTGRESQL:
        raise DatabaseUnusable(
            f"PostgreSQL at {place} is version {version // 10_000}; {OLDEST_POSTGRESQL} or newer is needed"
        )


def _place(url: str) -> str:
    """Host and port of a URL: what an operator needs to see, and no secret."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or "the default socket"
