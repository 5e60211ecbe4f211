"""Whether what is stored is still what was written: pages, versions and what is current (docs/faults.md)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy.exc import DatabaseError
from sqlmodel import text

from gateway.r4.definitions import type_name
from gateway.store.changes import DELETE
from gateway.store.database import Database
from gateway.store.past_the_net import reading_past_the_net

_BATCH = 500

_VERSIONS = (
    "SELECT seq, type, id, version, updated, method, body FROM history WHERE seq >= :first AND seq < :end ORDER BY seq"
)
# A current row without its version, and a version that should be the current one.
_HEADLESS = (
    "SELECT r.type, r.id FROM resource r LEFT JOIN history h ON h.seq = r.head"
    " WHERE h.seq IS NULL OR h.pk <> r.pk OR h.version <> r.version"
    " OR EXISTS (SELECT 1 FROM history l WHERE l.pk = r.pk AND l.version > r.version)"
)


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was written: where it is, and what is wrong, without a value of a resource."""

    place: str
    what: str


def damages(database: Database, audit: Path, progress: Callable[[int, int], None]) -> Iterator[Damage]:
    """
    Everything that is found damaged; reads all that is stored while the gateway may go on.

    audit     the file of the audit of reads; checked where it exists
    progress  called with the number of the last version read and that of the newest
    """
    if database.dialect == "sqlite":
        yield from _of_pages("database", database.engine.url.database or "")
    if audit.exists():
        yield from _of_pages("audit of reads", str(audit))
    yield from _of_versions(database, progress)
    yield from _of_current(database)


def _of_pages(place: str, path: str) -> Iterator[Damage]:
    """What SQLite itself finds in a file; it gives up where a page cannot be followed."""
    with closing(sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError:
            found = ["a page cannot be followed"]
    return (Damage(place, line) for line in found if line != "ok")


def _of_versions(database: Database, progress: Callable[[int, int], None]) -> Iterator[Damage]:
    with reading_past_the_net(database, "check") as session:
        newest = session.connection().execute(text("SELECT max(seq) FROM history")).scalar() or 0
    for first in range(1, newest + 1, _BATCH):
        end = min(first + _BATCH, newest + 1)
        rows = _read(database, first, end)
        if rows is None:
            yield from _one_by_one(database, first, end)
        else:
            yield from _unlike_their_rows(rows)
        progress(end - 1, newest)


def _one_by_one(database: Database, first: int, end: int) -> Iterator[Damage]:
    """What is damaged is found out row by row, so that it hides nothing else."""
    for number in range(first, end):
        rows = _read(database, number, number + 1)
        if rows is None:
            yield Damage(f"version with the number {number}", "cannot be read")
        else:
            yield from _unlike_their_rows(rows)


def _read(database: Database, first: int, end: int) -> Any:
    """The rows of a range; None where a page among them is damaged. Each range is a look of its own: writers go on."""
    try:
        with reading_past_the_net(database, "check") as session:
            return session.connection().execute(text(_VERSIONS), {"first": first, "end": end}).all()
    except DatabaseError:
        return None


def _unlike_their_rows(rows: Any) -> Iterator[Damage]:
    for _, kind, logical_id, version, updated, method, body in rows:
        if not _says_what_its_row_says(kind, logical_id, version, updated, method, body):
            yield Damage(f"{_name(kind)}/{logical_id}/_history/{version}", "is not what was written")


def _says_what_its_row_says(
    kind: int, logical_id: str, version: int, updated: int, method: int, body: bytes | None
) -> bool:
    if body is None:
        return method == DELETE
    try:
        resource = orjson.loads(bytes(body))
        meta = resource["meta"]
        moment = datetime.fromisoformat(meta["lastUpdated"]).timestamp()
        said = resource["resourceType"], resource["id"], meta["versionId"], round(moment * 1000)
    except (ValueError, KeyError, TypeError):
        return False
    return bool(said == (_name(kind), logical_id, str(version), updated // 1000))


def _of_current(database: Database) -> Iterator[Damage]:
    try:
        with reading_past_the_net(database, "check") as session:
            found = session.connection().execute(text(_HEADLESS)).all()
    except DatabaseError:
        yield Damage("current resources", "cannot all be read")
        return
    for kind, logical_id in found:
        yield Damage(f"{_name(kind)}/{logical_id}", "what is current is not its last version")


def _name(kind: int) -> str:
    try:
        return type_name(kind)
    except LookupError:
        return f"type {kind}"
