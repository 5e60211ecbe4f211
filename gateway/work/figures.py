"""What an operator wants to know of the whole installation, looked up in the database when a scraper asks."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import text

from gateway.observe.measures import (
    CONNECTIONS,
    DATABASE_BYTES,
    DATABASE_UP,
    DISK_FREE,
    IMPORTS,
    INFO,
    LAST_BACKUP,
    OUTBOX,
    OUTBOX_AGE,
    Sample,
)
from gateway.settings import Settings
from gateway.store import outbox
from gateway.store.database import Database

_STATES = {outbox.WAITING: "waiting", outbox.DEAD: "dead"}
_OUTBOX = (
    "SELECT kind, state, COUNT(*), MIN(due) FROM outbox"
    f" WHERE state IN ({outbox.WAITING}, {outbox.DEAD}) GROUP BY kind, state"
)
_IMPORTS = "SELECT state, COUNT(*) FROM import_job GROUP BY state"
_BYTES = "SELECT pg_database_size(current_database())"
_CONNECTIONS = (
    "SELECT COALESCE(state, 'starting'), COUNT(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND usename = current_user GROUP BY 1"
)


def figures(
    database: Database, settings: Settings, version: str, clock: Callable[[], int]
) -> Callable[[], list[Sample]]:
    """A look at the installation as a function: it blocks, and where the database does not answer it says just that."""

    def look() -> list[Sample]:
        found: list[Sample] = [(INFO, (version,), 1)]
        with contextlib.suppress(OSError):
            found.append((DISK_FREE, (), shutil.disk_usage(settings.home).free))
            found.append((LAST_BACKUP, (), settings.last_backup.stat().st_mtime))
        try:
            with database.reading() as session:
                found += _in_database(session.connection(), database.dialect, clock())
        except SQLAlchemyError:
            return [*found, (DATABASE_UP, (), 0)]
        return [*found, (DATABASE_UP, (), 1), *_file_sizes(settings)]

    return look


def _in_database(connection: Connection, dialect: str, now_us: int) -> Iterator[Sample]:
    for kind, state, count, due in connection.execute(text(_OUTBOX)):
        yield OUTBOX, (kind, _STATES[state]), count
        if state == outbox.WAITING:
            yield OUTBOX_AGE, (kind,), max(0, now_us - due) / 1_000_000
    for state, count in connection.execute(text(_IMPORTS)):
        yield IMPORTS, (state,), count
    if dialect == "postgresql":
        yield DATABASE_BYTES, ("server",), connection.execute(text(_BYTES)).scalar_one()
        for state, count in connection.execute(text(_CONNECTIONS)):
            yield CONNECTIONS, (state,), count


def _file_sizes(settings: Settings) -> Iterator[Sample]:
    """SQLite's files: a log that only grows means that somebody reads one snapshot for ever."""
    if settings.is_postgresql:
        return
    path = settings.database_path
    for part, file in (
        ("main", path),
        ("log", path.with_name(path.name + "-wal")),
        ("audit", settings.home / "audit.sqlite"),
    ):
        with contextlib.suppress(OSError):
            yield DATABASE_BYTES, (part,), file.stat().st_size
