"""SQLite: connections, the writers' fair lock, and sessions for the administrative tables.

Every connection that writes runs WAL with synchronous=FULL, so that a commit that returned is on the disk. Writers of
all processes (gateway, job child, command line) take one operating-system lock first; SQLite's own busy timeout is
only the net below it.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import sqlite3
import struct
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, Engine, create_engine, event
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
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock in this thread. RuntimeError on an event loop that holds it already: that would never end."""
        if self._loop is not None and self._loop is _running_loop():
            raise RuntimeError("this event loop is writing; administer through asyncio.to_thread")
        self._acquire()
        try:
            yield
        finally:
            self._release()

    @asynccontextmanager
    async def held_by_loop(self, waiting: Executor) -> AsyncIterator[None]:
        """Hold the lock for a coroutine; where it is taken, `waiting` is the thread that waits for it."""
        loop = asyncio.get_running_loop()
        if not self._try_acquire():
            await loop.run_in_executor(waiting, self._acquire)
        self._loop = loop
        try:
            yield
        finally:
            self._loop = None
            self._release()

    def _acquire(self) -> None:
        self._threads.acquire()
        fcntl.flock(self._turnstile, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._work, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._turnstile, fcntl.LOCK_UN)

    def _try_acquire(self) -> bool:
        """Take the lock where nobody has it and nobody waits for it."""
        if not self._threads.acquire(blocking=False):
            return False
        try:
            fcntl.flock(self._turnstile, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(self._work, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                fcntl.flock(self._turnstile, fcntl.LOCK_UN)
        except BlockingIOError:
            self._threads.release()
            return False
        return True

    def _release(self) -> None:
        fcntl.flock(self._work, fcntl.LOCK_UN)
        self._threads.release()

    def close(self) -> None:
        self._turnstile.close()
        self._work.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


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
                # Written, so that its room on the disk is taken: touching a hole of a full disk ends the process.
                os.pwrite(file.fileno(), b"\0", _EPOCH.size - 1)
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


class SQLiteDatabase:
    """One SQLite file and the ways to it: raw connections for the store, SQLModel sessions for administration."""

    dialect = "sqlite"
    answers_at_once = True

    def __init__(self, path: Path, *, synchronous: str = "FULL") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.synchronous = synchronous
        self.lock = WritersLock(path.with_name(path.name + ".lock"))
        self.epoch = Epoch(path.with_name(path.name + ".epoch"))
        self._turn_on_log()
        self.engine = self._engine()
        self._asking: sqlite3.Connection | None = None
        self._one_asks = threading.Lock()

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
        """A session that holds the writers' lock and moves the epoch; rolls back on an exception."""
        with self.lock.held(), self._transaction() as session:
            yield session
            session.commit()
            self.epoch.rise()

    @contextmanager
    def adding(self) -> Iterator[Session]:
        """A session that holds the writers' lock and leaves the epoch alone; rolls back on an exception."""
        with self.lock.held(), self._transaction() as session:
            yield session
            session.commit()

    # Whoever writes a file writes alone.
    working = adding

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reading one snapshot of the administrative tables."""
        with Session(self.engine, expire_on_commit=False) as session:
            session.connection().exec_driver_sql("BEGIN")
            yield session

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A connection that holds the writers' lock, and on which each transaction locks the file as it begins."""
        with self.lock.held(), self.engine.connect() as connection:
            event.listen(connection, "begin", lambda began: began.exec_driver_sql("BEGIN IMMEDIATE"))
            yield connection

    def ask(self, sql: str, parameters: Mapping[str, object]) -> Sequence[sqlite3.Row]:
        """The rows of one statement, on a connection of its own; safe from several threads."""
        with self._one_asks:
            if self._asking is None:
                self._asking = self.connect()
                self._asking.row_factory = sqlite3.Row
            return self._asking.execute(sql, parameters).fetchall()

    def epoch_number(self) -> int:
        return self.epoch.number

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with Session(self.engine, expire_on_commit=False) as session:
            session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session

    def close(self) -> None:
        with self._one_asks:
            if self._asking is not None:
                self._asking.close()
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
            f"sqlite:///{self.path}",
            connect_args={"isolation_level": None, "check_same_thread": False, "timeout": 10},
            hide_parameters=True,
        )
        event.listen(engine, "connect", lambda connection, _record: self._prepare(connection))
        return engine

    def _prepare(self, connection: sqlite3.Connection) -> None:
        for pragma in (*_PRAGMAS, f"PRAGMA synchronous={self.synchronous}"):
            connection.execute(pragma)
