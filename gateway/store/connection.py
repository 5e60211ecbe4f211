"""What the store's functions need of a database: a connection that executes neutral SQL, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Rows(Protocol):
    """The rows of one statement."""

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """Parameters are `:name` with a mapping or `?` with a sequence; sqlite3's own connection is one of these."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Rows: ...
