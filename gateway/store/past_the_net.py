"""Where the store looks past the database's own net (decision 0022): each place by its reason, all through this file.

Only the net is passed, never the guard: what is seen in here is counted, compared or recorded, and not shown.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from sqlmodel import Session, text

from gateway.store.connection import Connection
from gateway.store.database import Database
from gateway.store.postgresql.connection import Connection as PostgreSQLConnection
from gateway.store.postgresql.net import SEEN

Reason = Literal[
    "count",  # which list of keys is the shortest: the number decides how a search is run, not what it answers
    "registration",  # whether a person is registered already (architecture rule 5, the one exception)
    "audit",  # whose data an answer showed, for the record of it
    "check",  # whether what is stored is still what was written (`backbridge check`)
]

_SEE = text(f"SELECT set_config('backbridge.open', '{SEEN}', true)")


@contextmanager
def past_the_net(connection: Connection, reason: Reason) -> Iterator[None]:
    """Statements of the block may see rows about everybody; on SQLite there is no net."""
    if isinstance(connection, sqlite3.Connection):
        yield
        return
    assert isinstance(connection, PostgreSQLConnection), "a connection is one of the two"
    with connection.past_the_net():
        yield


@contextmanager
def reading_past_the_net(database: Database, reason: Reason) -> Iterator[Session]:
    """The same for a session, which by itself says nothing and so sees no clinical table."""
    with database.reading() as session:
        if database.dialect == "postgresql":
            session.connection().execute(_SEE)
        yield session
