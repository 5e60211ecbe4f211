"""SQLite in a backup: one snapshot of the file while others write, and the proof that a restored file is whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from gateway.privacy.errors import BackupRefused, Damaged

_CHECK_CACHE_KIB = 65_536


def snapshot(source: Path, target: Path) -> None:
    """
    Write what is committed now to a new file, without what was deleted: free pages are left out.

    Writers go on: it holds one read transaction, during which the write-ahead log can only grow.

    raises  BackupRefused where the database cannot be read or the disk is full
    """
    try:
        connection = sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=10)
    except sqlite3.Error:
        raise BackupRefused(f"there is no database at {source}") from None
    try:
        connection.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.Error as failure:
        raise BackupRefused(f"{source.name} cannot be copied: {failure.sqlite_errorname}") from None
    finally:
        connection.close()


def counts(path: Path) -> dict[str, int]:
    """The rows of each table."""
    connection = sqlite3.connect(path)
    try:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        ).fetchall()
        return {name: connection.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0] for (name,) in tables}
    finally:
        connection.close()


def schema(path: Path) -> str:
    """The version of the schema."""
    connection = sqlite3.connect(path)
    try:
        found: str = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        return found
    finally:
        connection.close()


def verify(path: Path, expected: Mapping[str, int]) -> None:
    """Raises Damaged where SQLite finds the file unsound, or tables do not have the rows that the manifest says."""
    connection = sqlite3.connect(path)
    try:
        connection.execute(f"PRAGMA cache_size=-{_CHECK_CACHE_KIB}")
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as failure:
        found = str(failure.sqlite_errorname)
    finally:
        connection.close()
    if found != "ok":
        raise Damaged(f"the restored {path.name} is unsound: {found}")
    if counts(path) != dict(expected):
        raise Damaged(f"the restored {path.name} does not have the rows that the manifest says")
