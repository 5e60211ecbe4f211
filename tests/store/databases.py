"""Databases for tests that need several, or copies: one way for SQLite's files, one for PostgreSQL's databases."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from gateway.store.database import Database
from gateway.store.postgresql.database import PostgreSQLDatabase
from gateway.store.sqlite import SQLiteDatabase
from tests.postgresql import Server


class Databases(Protocol):
    """Each database belongs to a home folder, which holds the keys that go with it."""

    def create(self, home: Path) -> None:
        """A new home with an empty database of the newest schema."""
        ...

    def copy(self, home: Path, other: Path) -> None:
        """A second home with the same content; nothing may have the first open."""
        ...

    def open(self, home: Path) -> Database: ...

    def examples(self, number: int) -> int:
        """How many examples a run tries here of those that an ordinary run tries on SQLite."""
        ...

    def close(self) -> None: ...


class SQLiteDatabases:
    """Fast, not durable."""

    def __init__(self, empty: Path) -> None:
        self._empty = empty

    def create(self, home: Path) -> None:
        home.mkdir(parents=True)
        shutil.copy(self._empty, home / "backbridge.sqlite")

    def copy(self, home: Path, other: Path) -> None:
        shutil.copytree(home, other)

    def open(self, home: Path) -> Database:
        return SQLiteDatabase(home / "backbridge.sqlite", synchronous="OFF")

    def examples(self, number: int) -> int:
        return number

    def close(self) -> None:
        """The files go with their folders."""


class SecuredDatabase(PostgreSQLDatabase):
    """The store meets row-level security; sessions, and so the tests' own looks at the tables, go past it."""

    def __init__(self, url: str, application_url: str) -> None:
        super().__init__(url, row_level_security=True)
        self._own = self.engine
        self._past = PostgreSQLDatabase(url)
        self.conninfo = PostgreSQLDatabase(application_url).conninfo
        self.engine = self._past.engine

    def close(self) -> None:
        super().close()
        self._own.dispose()


class PostgreSQLDatabases:
    """Databases of the test run's server, with row-level security: what holds with it holds without."""

    _fewer = 10

    def __init__(self, server: Server) -> None:
        self._server = server
        self._urls: dict[Path, str] = {}

    def create(self, home: Path) -> None:
        home.mkdir(parents=True)
        self._urls[home] = self._new_database()

    def copy(self, home: Path, other: Path) -> None:
        shutil.copytree(home, other)
        self._urls[other] = self._server.new_database(template=self._server.name_of(self._urls[home]))

    def open(self, home: Path) -> Database:
        return SecuredDatabase(self._urls[home], self._server.of_application(self._urls[home]))

    def examples(self, number: int) -> int:
        return max(1, number // self._fewer)

    def close(self) -> None:
        """They go with their server: dropping one waits for a checkpoint, which takes longer than most tests."""

    def _new_database(self) -> str:
        return self._server.new_secured_database()


class PartitionedDatabases(PostgreSQLDatabases):
    """The same with tables divided by patient."""

    _fewer = 40

    def _new_database(self) -> str:
        return self._server.new_partitioned_database()
