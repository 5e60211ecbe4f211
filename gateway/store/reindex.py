"""`backbridge reindex`: facts, index rows and consent rules, computed anew from stored bodies while the gateway runs.

For when their one function changed. Each batch is one transaction under the writers' lock, so requests get their turn
in between and a run that is interrupted can simply be started again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import orjson

from gateway.r4.definitions import type_name
from gateway.store.errors import UnsupportedConsent
from gateway.store.facts import COLUMNS
from gateway.store.guard import INNER_CODES
from gateway.store.prepare import Preparer
from gateway.store.rows import Pending, permits
from gateway.store.sqlite import Database

BATCH = 200

Progress = Callable[[int, int], None]


def reindex(database: Database, preparer: Preparer, progress: Progress) -> int:
    """
    Rewrite what is derived of every resource; returns how many resources were done.

    progress  called after each batch with the number done and the number there were at the start
    """
    connection = database.connect(readonly=False)
    try:
        total = connection.execute("SELECT count(*) FROM resource").fetchone()[0]
        done, last = 0, -1
        while True:
            with database.lock.held():
                count, last = _batch(connection, preparer, last)
            if not count:
                return done
            done += count
            progress(done, total)
    finally:
        connection.close()


def _batch(connection: sqlite3.Connection, preparer: Preparer, after: int) -> tuple[int, int]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        rows = connection.execute(
            "SELECT pk, version, created, deleted, author FROM resource WHERE pk > ? ORDER BY pk LIMIT ?",
            (after, BATCH),
        ).fetchall()
        pending = Pending()
        for pk, version, created, deleted, author in rows:
            _resource(connection, preparer, pending, pk, version, created, bool(deleted), author)
        for _ in pending.flush(connection):
            pass
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return len(rows), rows[-1][0] if rows else after


def _resource(
    connection: sqlite3.Connection,
    preparer: Preparer,
    pending: Pending,
    pk: int,
    current: int,
    created: int,
    deleted: bool,
    author: int,
) -> None:
    """All versions of one resource; a deletion keeps the facts of the version before it."""
    assignments = ", ".join(f"{column} = ?" for column in COLUMNS)
    pending.replaced.append(pk)
    connection.execute("DELETE FROM named_patient WHERE pk = ?", (pk,))
    connection.execute("DELETE FROM past_code WHERE pk = ?", (pk,))
    values: tuple[int, ...] = ()
    named: tuple[int, ...] = ()
    codes: set[tuple[int, int]] = set()
    versions = connection.execute("SELECT type, id, version, body FROM history WHERE pk = ? ORDER BY version", (pk,))
    for kind, logical_id, version, body in versions.fetchall():
        if body is not None:
            facts, index = preparer.derived(type_name(kind), logical_id, body)
            values, named = facts.columns(author, created), facts.named
            codes = {(row[0], row[2] - row[3]) for row in index.token if row[0] in INNER_CODES}
            if version == current and not deleted:
                pending.add_index(pk, index, named)
                _rules(preparer, pending, pk, type_name(kind), body)
        connection.execute(f"UPDATE history SET {assignments} WHERE pk = ? AND version = ?", (*values, pk, version))
        if len(named) > 1:
            pending.add("named_patient", [(pk, version, patient) for patient in named])
        if version != current or deleted:
            pending.add("past_code", [(pk, version, *code) for code in sorted(codes)])
    connection.execute(f"UPDATE resource SET {assignments} WHERE pk = ?", (*values, pk))


def _rules(preparer: Preparer, pending: Pending, pk: int, resource_type: str, body: bytes) -> None:
    if resource_type != "Consent":
        return
    try:
        rules = preparer.rules(orjson.loads(body))
    except UnsupportedConsent:
        # It was understood when it was accepted, and what it said then stays in force.
        return
    pending.rules_replaced.append(pk)
    pending.add("grant_row", permits(pk, rules.grants))
    pending.add("deny_row", [(*deny, pk) for deny in rules.denies])
