"""SQLite: connections, the writers' fair lock, and sessions for the administrative tables.

Every connection that writes runs WAL with synchronous=FULL, so that a commit that returned is on the disk. Writers of
all processes (gateway, job child, command line) take one operating-system lock first; SQLite's own busy timeout is
only the net below it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sqlite3
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sqlalchemy import Engine, create_engine, event
from sqlmodel import Session

_EPOCH = struct.Struct("=Q")
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA busy_timeout=10000",
    "PRAGMA foreign_keys=OFF",
    "PRAGMA cache_size=-65536",
    "PRAGMA mmap_size=1073741824",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA wal_autocheckpoint=8000",
)


class WritersLock:
    """
    One lock for every process that writes, fair among them.

    Two file locks make a turnstile: whoever waits for the second holds the first, so a process that has just finished
    cannot slip in again before the one that was waiting.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._turnstile = _open(path.with_suffix(".queue"))
        self._work = _open(path)
        self._threads = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._threads:
            fcntl.flock(self._turnstile, fcntl.LOCK_EX)
            try:
                fcntl.flock(self._work, fcntl.LOCK_EX)
            finally:
                fcntl.flock(self._turnstile, fcntl.LOCK_UN)
            try:
                yield
            finally:
                fcntl.flock(self._work, fcntl.LOCK_UN)

    def close(self) -> None:
        self._turnstile.close()
        self._work.close()


def _open(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b", buffering=0)


class Epoch:
    """
    A number that rises with every change of the administrative tables, in memory that all processes share.

    What was read at one epoch is true until the number moves: people, clients and tokens change rarely, and asking the
    file after every clinical commit would cost each request more than the rest of its sign-in.
    """

    def __init__(self, path: Path) -> None:
        with _open(path) as file:
            if os.fstat(file.fileno()).st_size < _EPOCH.size:
                os.ftruncate(file.fileno(), _EPOCH.size)
            self._shared = mmap.mmap(file.fileno(), _EPOCH.size)

    @property
    def number(self) -> int:
        found: int = _EPOCH.unpack_from(self._shared)[0]
        return found

    def rise(self) -> None:
        """To be called under the writers' lock, after the commit and before it is acknowledged."""
        _EPOCH.pack_into(self._shared, 0, self.number + 1)

    def close(self) -> None:
        self._shared.close()


class Database:
    """One SQLite file and the ways to it: raw connections for the store, SQLModel sessions for administration."""

    def __init__(self, path: Path, *, synchronous: str = "FULL") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.synchronous = synchronous
        self.lock = WritersLock(path.with_name(path.name + ".lock"))
        self.epoch = Epoch(path.with_name(path.name + ".epoch"))
        self._turn_on_log()
        self.engine = self._engine()

    def connect(self, *, readonly: bool = True) -> sqlite3.Connection:
        """A raw connection in autocommit mode; it may be used from any one thread at a time."""
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=10
        )
        self._prepare(connection)
        if readonly:
            connection.execute("PRAGMA query_only=ON")
        return connection

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that holds the writers' lock; commits at the end, rolls back on an exception."""
        with self.lock.held(), Session(self.engine, expire_on_commit=False) as session:
            session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session
            session.commit()
            self.epoch.rise()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reading one snapshot of the administrative tables."""
        with Session(self.engine, expire_on_commit=False) as session:
            session.connection().exec_driver_sql("BEGIN")
            yield session

    def close(self) -> None:
        self.engine.dispose()
        self.lock.close()
        self.epoch.close()

    def _turn_on_log(self) -> None:
        """The file keeps this mode; SQLite does not wait where two processes turn it on at once, so they take turns."""
        with self.lock.held():
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=10)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.close()

    def _engine(self) -> Engine:
        engine = create_engine(
            f"sqlite:///{self.path}", connect_args={"isolation_level": None, "check_same_thread": False, "timeout": 10},
            hide_parameters=True,
        )
        event.listen(engine, "connect", lambda connection, _record: self._prepare(connection))
        return engine

    def _prepare(self, connection: sqlite3.Connection) -> None:
        for pragma in (*_PRAGMAS, f"PRAGMA synchronous={self.synchronous}"):
            connection.execute(pragma)
