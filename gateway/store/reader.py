"""Reading single resources and their history, under the guard."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gateway.access import AccessContext
from gateway.r4.definitions import type_id, type_name
from gateway.r4.identity import LOGICAL_ID, key_of
from gateway.store import guard
from gateway.store.changes import DELETE, PUT, HistoryPage, Version
from gateway.store.clauses import Statement
from gateway.store.connection import Connection
from gateway.store.cursor import Cursors
from gateway.store.dialect import SQLITE, Dialect
from gateway.store.errors import Gone, NotFound

_HISTORY_COLUMNS = "h.type, h.id, h.version, h.updated, h.method, h.body"


@dataclass(frozen=True, slots=True)
class Read:
    """A version and the patients it names (for the audit)."""

    version: Version
    patients: tuple[int, ...]


def read(
    connection: Connection,
    context: AccessContext,
    resource_type: str,
    logical_id: str,
    now_us: int,
    dialect: Dialect = SQLITE,
) -> Read:
    """The current version. Raises NotFound for hidden and absent alike, Gone where it was deleted."""
    pk = _key(resource_type, logical_id)
    bound = guard.parameters(context, now_us)
    bound["pk"], bound["type"], bound["id"] = pk, type_id(resource_type), logical_id
    row = connection.execute(
        _read(guard.visible("r", context, partitioned=dialect.partitioned), dialect), bound
    ).fetchone()
    if row is None:
        raise NotFound
    version, updated, deleted, patient, patients, body = row
    if deleted:
        raise Gone
    found = Version(resource_type, logical_id, version, updated, PUT, body)
    return Read(found, _named(connection, pk, version, patient, patients))


@lru_cache(maxsize=256)
def _read(visible: str, dialect: Dialect) -> str:
    return (
        f"SELECT r.version, r.updated, r.deleted, r.patient, r.patients, h.body FROM {dialect.source('r')}"
        f" CROSS JOIN history h WHERE {dialect.at('r', '= :pk')} AND r.type = :type AND r.id = :id"
        f" AND {dialect.head('h', 'r')} AND {visible}"
    )


def vread(
    connection: Connection,
    context: AccessContext,
    resource_type: str,
    logical_id: str,
    version: int,
    now_us: int,
    dialect: Dialect = SQLITE,
) -> Read:
    """One version: visible only where its own facts and the current ones both pass."""
    pk = _key(resource_type, logical_id)
    row = connection.execute(
        f"SELECT {_HISTORY_COLUMNS}, h.patient, h.patients FROM history h CROSS JOIN {dialect.source('r')}"
        f" WHERE h.pk = :pk AND h.version = :version AND h.type = :type AND h.id = :id"
        f" AND {dialect.at('r', '= h.pk')} AND {_both(Statement(context, now_us, dialect))}",
        {
            "pk": pk,
            "version": version,
            "type": type_id(resource_type),
            "id": logical_id,
            **guard.parameters(context, now_us),
        },
    ).fetchone()
    if row is None:
        raise NotFound
    found = _version(row[:6])
    if found.method == DELETE:
        raise Gone
    return Read(found, _named(connection, pk, version, row[6], row[7]))


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """
    type, id       both for one resource, only the type for its kind, none for the system
    since          microseconds; versions at or after it
    oldest_first   the order of a change feed, instead of newest first
    at             microseconds, half-open: versions that were current at some time of it
    """

    type: str | None = None
    id: str | None = None
    since: int | None = None
    count: int = 20
    cursor: str | None = None
    oldest_first: bool = False
    at: tuple[int, int] | None = None


def history(
    connection: Connection,
    context: AccessContext,
    request: HistoryRequest,
    cursors: Cursors,
    now_us: int,
    dialect: Dialect = SQLITE,
) -> tuple[HistoryPage, tuple[int, ...]]:
    """
    A page of versions in the order of commit, and the patients on it. NotFound for a resource without any.

    dialect  says, beside the rest, what must be true of a version before a feed of several resources may show it
    """
    statement = Statement(context, now_us, dialect)
    conditions = [dialect.at("r", "= h.pk"), _both(statement), statement.scoped("h.type")]
    if request.type is not None:
        conditions.append(f"h.type = {statement.bind(type_id(request.type))}")
    if request.type is not None and request.id is not None:
        conditions.append(f"h.pk = {statement.bind(_key(request.type, request.id))}")
    if request.since is not None:
        conditions.append(f"h.updated >= {statement.bind(request.since)}")
    if request.at is not None:
        conditions.append(_current_within(statement, *request.at))
    if request.id is None and dialect.horizon:
        conditions.append(dialect.horizon)
    where = " AND ".join(conditions)
    source = f"history h CROSS JOIN {dialect.source('r')}"
    total = None
    if request.id is not None:
        total = connection.execute(f"SELECT count(*) FROM {source} WHERE {where}", statement.bound).fetchone()[0]
        if total == 0 and request.since is None and request.at is None:
            raise NotFound
    query = repr((request.type, request.id, request.since, request.oldest_first, request.at))
    after = ""
    if request.cursor:
        (place,) = cursors.read(request.cursor, query, context)
        after = f" AND h.seq {'>' if request.oldest_first else '<'} {statement.bind(place)}"
    rows = connection.execute(
        f"SELECT {_HISTORY_COLUMNS}, h.seq, h.pk, h.patient, h.patients FROM {source} WHERE {where}{after}"
        f" ORDER BY h.seq {'ASC' if request.oldest_first else 'DESC'} LIMIT {int(request.count) + 1}",
        statement.bound,
    ).fetchall()
    more = len(rows) > request.count > 0
    rows = rows[: request.count]
    following = cursors.write([rows[-1][6]], query, context) if more else None
    patients = {patient for row in rows for patient in _named(connection, row[7], row[2], row[8], row[9])}
    return HistoryPage([_version(row[:6]) for row in rows], total, following), tuple(sorted(patients))


def _current_within(statement: Statement, low: int, high: int) -> str:
    """Made before the end, and not replaced before or at the start."""
    return (
        f"h.updated < {statement.bind(high)} AND NOT EXISTS (SELECT 1 FROM history n WHERE n.pk = h.pk"
        f" AND n.version = h.version + 1 AND n.updated <= {statement.bind(low)})"
    )


def _both(statement: Statement) -> str:
    now, then = statement.visible("r"), statement.visible("h", of="past")
    return f"{now} AND (h.version = r.version OR {then})"


def _key(resource_type: str, logical_id: str) -> int:
    if not LOGICAL_ID.match(logical_id):
        raise NotFound
    return key_of(resource_type, logical_id)


def _named(connection: Connection, pk: int, version: int, patient: int, patients: int) -> tuple[int, ...]:
    if patients <= 1:
        return (patient,) if patients else ()
    rows = connection.execute("SELECT patient FROM named_patient WHERE pk = ? AND version = ?", (pk, version))
    return tuple(row[0] for row in rows)


def _version(row: tuple[int, str, int, int, int, bytes | None]) -> Version:
    kind, logical_id, version, updated, method, body = row
    return Version(type_name(kind), logical_id, version, updated, method, body)
