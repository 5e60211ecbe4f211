"""Rows on their way into PostgreSQL: one constant statement a table, however many rows; one round trip in all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Integer, LargeBinary, SmallInteger, Text
from sqlmodel import SQLModel

from gateway.store.clauses import TABLES
from gateway.store.guard import INNER_CODES
from gateway.store.postgresql.connection import Connection
from gateway.store.postgresql.values import Array, Kind
from gateway.store.rows import COLUMNS, Pending, Row

_KEEP_CODES = (
    "INSERT INTO past_code (pk, version, param, code) SELECT u.pk, u.version, t.param, t.value - t.system"
    " FROM unnest(?::bigint[], ?::bigint[]) u (pk, version) JOIN index_token t ON t.pk = u.pk"
    f" WHERE t.param IN ({','.join(map(str, sorted(INNER_CODES)))}) ON CONFLICT DO NOTHING"
)
# The locator still leads to where the codes are; each patient of the resource has them all.
_KEEP_CODES_OF_PARTITION = _KEEP_CODES.replace(
    "JOIN index_token t ON t.pk = u.pk",
    "CROSS JOIN locator l CROSS JOIN index_token t",
).replace(" WHERE ", " WHERE l.pk = u.pk AND t.pk = l.pk AND t.patient = l.patient AND ")
_UNINDEX = tuple(f"DELETE FROM {table} WHERE pk = ANY(?::bigint[])" for table in TABLES.values())
_VERSION = COLUMNS["resource"].index("version")
_KEPT = tuple(column for column in COLUMNS["resource"] if column not in ("pk", "created"))
_RULES = ("grant_row", "deny_row")
_UNRULE = tuple(f"DELETE FROM {table} WHERE source = ANY(?::bigint[])" for table in _RULES)


def flush(connection: Connection, pending: Pending, *, partitioned: bool = False) -> None:
    """
    Put everything that waits behind the next statement of the connection, deletions first.

    Rules change last: what is written is judged by those that held when it was checked.

    partitioned  whether the tables are divided by patient, so that a key is unique in `locator` only
    """
    if pending.superseded:
        pks, versions = zip(*pending.superseded, strict=True)
        keep_codes = _KEEP_CODES_OF_PARTITION if partitioned else _KEEP_CODES
        connection.later(keep_codes, (Array("bigint", pks), Array("bigint", versions)))
    if pending.replaced:
        for statement in _UNINDEX:
            connection.later(statement, (Array("bigint", pending.replaced),))
    tables = dict(pending.tables())
    rules = {table: tables.pop(table, ()) for table in _RULES}
    if partitioned:
        _write_resources(connection, tables.pop("resource", ()))
    for table, rows in tables.items():
        insert(connection, table, rows)
    if pending.rules_replaced:
        for statement in _UNRULE:
            connection.later(statement, (Array("bigint", pending.rules_replaced),))
    for table, rows in rules.items():
        insert(connection, table, rows)


def insert(connection: Connection, table: str, rows: Sequence[Row], *, partitioned: bool = False) -> None:
    """Let the rows be inserted with the next statement of the connection."""
    if len(rows) == 1:
        connection.later(_one(table, partitioned), rows[0])
    elif rows:
        columns = [Array(kind, values) for kind, values in zip(_kinds(table), zip(*rows, strict=True), strict=True)]
        connection.later(_many(table, partitioned), columns)


def _write_resources(connection: Connection, rows: Sequence[Row]) -> None:
    """New ones clash in `locator` where somebody else was first; the others move where their patient has changed."""
    insert(connection, "resource", [row for row in rows if row[_VERSION] == 1], partitioned=True)
    changed = [row for row in rows if row[_VERSION] != 1]
    if changed:
        columns = zip(_kinds("resource"), zip(*changed, strict=True), strict=True)
        arrays = [Array(kind, values) for kind, values in columns]
        connection.later(_move(), [*arrays, len(changed)])


@cache
def _move() -> str:
    """Fails (by a division) where it does not find every row, rather than leave a version without its resource."""
    columns = COLUMNS["resource"]
    arrays = ", ".join(f"?::{kind}[]" for kind in _kinds("resource"))
    kept = ", ".join(f"{column} = u.{column}" for column in _KEPT)
    return (
        f"WITH moved AS (UPDATE resource r SET {kept} FROM unnest({arrays}) u ({', '.join(columns)})"
        " CROSS JOIN locator l WHERE l.pk = u.pk AND r.pk = l.pk AND r.patient = l.patient RETURNING 1)"
        " SELECT 1 / (count(*) = ?)::integer FROM moved"
    )


@cache
def _one(table: str, partitioned: bool) -> str:
    return f"{_into(table)} VALUES ({','.join('?' * len(COLUMNS[table]))}){_on_conflict(table, partitioned)}"


@cache
def _many(table: str, partitioned: bool) -> str:
    arrays = ", ".join(f"?::{kind}[]" for kind in _kinds(table))
    return f"{_into(table)} SELECT * FROM unnest({arrays}){_on_conflict(table, partitioned)}"


def _into(table: str) -> str:
    return f"INSERT INTO {table} ({','.join(COLUMNS[table])})"


def _on_conflict(table: str, partitioned: bool) -> str:
    if table != "resource" or partitioned:
        return ""
    kept = ",".join(f"{column}=excluded.{column}" for column in _KEPT)
    return f" ON CONFLICT (pk) DO UPDATE SET {kept}"


@cache
def _kinds(table: str) -> tuple[Kind, ...]:
    columns = SQLModel.metadata.tables[table].columns
    return tuple(_kind(columns[name].type) for name in COLUMNS[table])


def _kind(type_: Any) -> Kind:
    if isinstance(type_, BigInteger | Integer | SmallInteger):
        return "bigint"
    if isinstance(type_, LargeBinary):
        return "bytea"
    return "text" if isinstance(type_, Text) else "double precision"
