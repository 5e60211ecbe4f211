"""Rows gathered for a whole group of requests, and the statements that write them to SQLite."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from functools import cache
from itertools import chain

from consent.rows import Grant
from gateway.r4.extract import Index
from gateway.store import facts
from gateway.store.clauses import TABLES
from gateway.store.guard import INNER_CODES

Row = tuple[int | float | str | bytes | None, ...]

_PERMIT = (
    "patient actor purposes type categories code max_confidentiality label_mask data_from data_to valid_from valid_to"
    " actions author instance source n"
)
_DENY = (
    "patient actor root_actor purpose type category code min_confidentiality label_mask data_from data_to valid_from"
    " valid_to actions instance source"
)
COLUMNS: dict[str, tuple[str, ...]] = {
    "resource": ("pk", "type", "id", "version", "updated", "created", "deleted", "head", *facts.COLUMNS),
    "history": ("seq", "pk", "type", "id", "version", "updated", "method", "body", *facts.COLUMNS),
    "named_patient": ("pk", "version", "patient"),
    "past_code": ("pk", "version", "param", "code"),
    "index_token": ("pk", "param", "item", "value", "system", "patient"),
    "index_string": ("pk", "param", "item", "value", "exact", "patient"),
    "index_date": ("pk", "param", "item", "low", "high", "patient"),
    "index_number": ("pk", "param", "item", "value", "patient"),
    "index_quantity": ("pk", "param", "item", "value", "unit", "system", "patient"),
    "index_reference": ("pk", "param", "item", "target", "target_type", "patient"),
    "index_uri": ("pk", "param", "item", "value", "patient"),
    "grant_row": tuple(_PERMIT.split()),
    "deny_row": tuple(_DENY.split()),
    "care_relationship": ("key", "organisation", "patient", "valid_from", "valid_to", "opened_by", "reason"),
    "write_audit": (
        "at",
        "agent",
        "organization",
        "client",
        "purpose",
        "activity",
        "request_id",
        "interaction",
        "type",
        "resource_id",
        "version",
        "patient",
        "bypass",
    ),
    "outbox": (
        "kind",
        "patient",
        "type",
        "resource",
        "version",
        "state",
        "due",
        "tries",
        "leased_until",
        "note",
        "created",
    ),
}
# Powers of two: any number of rows takes few statements, and few statements are ever prepared.
_CHUNKS = (128, 64, 32, 16, 8, 4, 2, 1)
_ROWS_A_STEP = 64
_KEEP_CODES = (
    "INSERT OR IGNORE INTO past_code (pk, version, param, code) SELECT pk, ?, param, value - system FROM index_token"
    f" WHERE pk = ? AND param IN ({','.join(map(str, sorted(INNER_CODES)))})"
)


class Pending:
    """
    Deletions and rows that wait to be written, in that order, table by table.

    superseded      (key, version) whose codes are kept before the index rows go
    replaced        keys of resources whose index rows go first
    rules_replaced  sources (a Consent, a relationship) whose grants and denies go first
    touched         keys of every resource that is written
    """

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = defaultdict(list)
        self.superseded: list[tuple[int, int]] = []
        self.replaced: list[int] = []
        self.rules_replaced: list[int] = []
        self.touched: set[int] = set()

    def add(self, table: str, rows: Iterable[Row]) -> None:
        self._rows[table].extend(rows)

    def supersede(self, pk: int, versions: Iterable[int]) -> None:
        """The index rows of the resource go; what they say of its codes stays true of these versions."""
        self.superseded.extend((pk, version) for version in versions)
        self.replaced.append(pk)

    def add_index(self, pk: int, index: Index, patients: Sequence[int]) -> None:
        """Index rows, once for each patient named, so that every row belongs to one patient."""
        for kind, table in TABLES.items():
            rows = getattr(index, kind)
            if rows:
                for patient in patients or (0,):
                    self._rows[table].extend((pk, *row, patient) for row in rows)

    def merge(self, other: Pending) -> None:
        for table, rows in other._rows.items():
            self._rows[table].extend(rows)
        self.superseded.extend(other.superseded)
        self.replaced.extend(other.replaced)
        self.rules_replaced.extend(other.rules_replaced)
        self.touched |= other.touched

    def tables(self) -> Iterable[tuple[str, Sequence[Row]]]:
        """The rows to be inserted, table by table."""
        return self._rows.items()

    @property
    def rows(self) -> int:
        """How many rows wait."""
        return sum(map(len, self._rows.values()))

    def changes_rules_of(self, patients: set[int] | None) -> bool:
        """Whether checks about these patients (None: about any) could come out differently once this is written."""
        if self.rules_replaced:
            return True
        ruled = {row[0] for table in ("grant_row", "deny_row") for row in self._rows.get(table, ())}
        return bool(ruled) if patients is None else not ruled.isdisjoint(patients)

    def flush(self, connection: sqlite3.Connection, *, in_thread: bool = False) -> Generator[None, None, None]:
        """Write everything, a few rows a step; `in_thread` where the event loop runs beside it."""
        for pk, version in self.superseded:
            connection.execute(_KEEP_CODES, (version, pk))
        for pk in self.replaced:
            for table in TABLES.values():
                connection.execute(f"DELETE FROM {table} WHERE pk = ?", (pk,))
            yield
        for source in self.rules_replaced:
            connection.execute("DELETE FROM grant_row WHERE source = ?", (source,))
            connection.execute("DELETE FROM deny_row WHERE source = ?", (source,))
        for table, rows in self._rows.items():
            yield from (_by_statements if in_thread else _row_by_row)(connection, table, rows)
        for emptied in (self._rows, self.superseded, self.replaced, self.rules_replaced, self.touched):
            emptied.clear()


def permits(source: int, grants: Sequence[Grant]) -> list[Row]:
    """The rows of the permits that follow from a source: a Consent, a relationship, a registration."""
    return [(*grant, source, n) for n, grant in enumerate(grants)]


def insert(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    connection.executemany(_statement(table, 1), rows)


def _row_by_row(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> Generator[None, None, None]:
    """The quickest way for rows that come in tens, measured: three quarters of what one large statement takes."""
    for start in range(0, len(rows), _ROWS_A_STEP):
        connection.executemany(_statement(table, 1), rows[start : start + _ROWS_A_STEP])
        yield


def _by_statements(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> Generator[None, None, None]:
    """
    The quickest way beside the event loop: a large statement runs without the interpreter's lock; a statement for each
    row would hand the lock back and forth.
    """
    start = 0
    for size in _CHUNKS:
        while len(rows) - start >= size:
            chunk = rows[start : start + size]
            connection.execute(_statement(table, size), list(chain.from_iterable(chunk)))
            start += size
            yield


@cache
def _statement(table: str, rows: int) -> str:
    columns = COLUMNS[table]
    one = f"({','.join('?' * len(columns))})"
    insert_into = f"INSERT INTO {table} ({','.join(columns)}) VALUES {','.join([one] * rows)}"
    if table == "resource":
        kept = ",".join(f"{column}=excluded.{column}" for column in columns if column not in ("pk", "created"))
        return f"{insert_into} ON CONFLICT (pk) DO UPDATE SET {kept}"
    return insert_into
