"""`backbridge reindex`: facts, index rows and consent rules, computed anew from stored bodies while the gateway runs.

For when their one function changed. Each batch is one transaction that holds its resources still, so requests get their
turn in between and a run that is interrupted can simply be started again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Protocol, TypeVar

import orjson

from gateway.r4.definitions import type_name
from gateway.store.connection import Connection
from gateway.store.database import Database
from gateway.store.errors import UnsupportedConsent
from gateway.store.facts import COLUMNS
from gateway.store.guard import INNER_CODES
from gateway.store.postgresql.database import PostgreSQLDatabase
from gateway.store.postgresql.transactions import PostgreSQLTransactions
from gateway.store.prepare import Preparer
from gateway.store.rows import Pending, permits
from gateway.store.sqlite import SQLiteDatabase

BATCH = 200

Answer = TypeVar("Answer")
Progress = Callable[[int, int], None]


class Transactions(Protocol):
    """Runs work in transactions, one after the other."""

    def run(self, work: Callable[[Connection], Answer]) -> Answer: ...

    def hold(self, connection: Connection, keys: Sequence[int]) -> None:
        """Let nobody else write these resources until the transaction ends."""
        ...

    def flush(self, connection: Connection, pending: Pending) -> None: ...

    def close(self) -> None: ...


def reindex(database: Database, preparer: Preparer, progress: Progress) -> int:
    """
    Rewrite what is derived of every resource; returns how many resources were done.

    progress  called after each batch with the number done and the number there were at the start
    """
    with closing(_transactions(database)) as transactions:
        total = transactions.run(_count)
        done, last = 0, -1
        while keys := transactions.run(partial(_batch, preparer, transactions, last)):
            done, last = done + len(keys), keys[-1]
            progress(done, total)
        return done


def _transactions(database: Database) -> Transactions:
    if isinstance(database, PostgreSQLDatabase):
        return PostgreSQLTransactions(database.conninfo)
    assert isinstance(database, SQLiteDatabase), "a database is one of the two"
    return _SQLiteTransactions(database)


class _SQLiteTransactions:
    """Each under the writers' lock, so that everything holds still."""

    def __init__(self, database: SQLiteDatabase) -> None:
        self._lock = database.lock
        self._connection = database.connect(readonly=False)

    def run(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        with self._lock.held():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                answer = work(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
        return answer

    def hold(self, connection: Connection, keys: Sequence[int]) -> None:
        """The lock holds them all."""

    def flush(self, connection: Connection, pending: Pending) -> None:
        for _ in pending.flush(self._connection, in_thread=True):
            pass

    def close(self) -> None:
        self._connection.close()


def _count(connection: Connection) -> int:
    count: int = connection.execute("SELECT count(*) FROM resource").fetchone()[0]
    return count


def _batch(preparer: Preparer, transactions: Transactions, after: int, connection: Connection) -> list[int]:
    """Rewrite the next resources in the order of their keys; returns the keys."""
    found = connection.execute("SELECT pk FROM resource WHERE pk > ? ORDER BY pk LIMIT ?", (after, BATCH))
    keys = [row[0] for row in found]
    transactions.hold(connection, keys)
    pending = Pending()
    for key in keys:
        pk, version, created, deleted, author = connection.execute(
            "SELECT pk, version, created, deleted, author FROM resource WHERE pk = ?", (key,)
        ).fetchone()
        _resource(connection, preparer, pending, pk, version, created, bool(deleted), author)
    transactions.flush(connection, pending)
    return keys


def _resource(
    connection: Connection,
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
