"""Rows as they are in the tables, read past the store, on either database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlmodel import text

from gateway.store.database import Database

Row = tuple[Any, ...]


def rows(database: Database, sql: str) -> list[Row]:
    """What is committed now, through a connection of its own."""
    with database.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def audit_rows(database: Database, home: Path, sql: str) -> list[Row]:
    """The same for the audit of reads, which SQLite keeps in a file of its own."""
    if database.dialect == "postgresql":
        return rows(database, sql)
    with closing(sqlite3.connect(home / "audit.sqlite")) as connection:
        return list(connection.execute(sql))
