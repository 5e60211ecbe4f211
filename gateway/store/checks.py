"""What a write asks before it may happen, inside its own transaction: conditions, current versions, permissions."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.access import AccessContext, Lease
from gateway.r4.issues import Issue
from gateway.store import guard
from gateway.store.changes import Version
from gateway.store.connection import Connection
from gateway.store.dialect import Dialect
from gateway.store.errors import Invalid, SeveralMatches
from gateway.store.facts import COLUMNS
from gateway.store.past_the_net import past_the_net
from gateway.store.prepare import Prepared
from gateway.store.references import Target
from gateway.store.search import Searcher

Asked = tuple[str, dict[str, Any]]

_FACTS = ", ".join(f"r.{column}" for column in COLUMNS)
_OTHER_PERSON = "This NHS number and this birth date do not belong together here; check both with the person."


@dataclass(frozen=True, slots=True)
class Current:
    """The version that is there, and what the context may do with it."""

    version: int
    updated: int
    created: int
    deleted: bool
    author: int
    body: bytes | None
    readable: bool
    writable: bool
    facts: tuple[int, ...]


class Checks:
    """Questions of one transaction about the state that its changes meet; `now` is when its rules must hold."""

    def __init__(self, connection: Connection, searcher: Searcher, now_us: int) -> None:
        self.connection = connection
        self.moment = now_us
        self._searcher = searcher
        self.dialect = searcher.dialect

    def match(self, context: AccessContext, change: Prepared) -> Version | None:
        """What the condition of a create finds in the context's own world; SeveralMatches for more than one."""
        if change.condition is None:
            return None
        found = self._searcher.first(self.connection, context, change.condition, self.moment, limit=2)
        if len(found) > 1:
            raise SeveralMatches
        return found[0] if found else None

    def registered(self, context: AccessContext, change: Prepared) -> Version | None:
        """Whoever has this NHS number already, visible to the context or not (see gateway.store.registration)."""
        if change.registers is None:
            return None
        everywhere = replace(context, bypass=True)
        with past_the_net(self.connection, "registration"):
            found = self._searcher.first(self.connection, everywhere, change.registers.search, self.moment, limit=1)
        if found and not change.registers.same_person(found[0].body):
            raise Invalid([Issue("error", "business-rule", "Patient.identifier", _OTHER_PERSON)])
        return found[0] if found else None

    def is_cared_for(self, organisation: int, patient: int) -> bool:
        row = self.connection.execute(
            "SELECT 1 FROM care_relationship"
            " WHERE organisation = ? AND patient = ? AND valid_from <= ? AND valid_to > ?",
            (organisation, patient, self.moment, self.moment),
        ).fetchone()
        return row is not None

    def holds(self, lease: Lease) -> bool:
        """Whether the work is still the worker's own."""
        row = self.connection.execute(
            "SELECT 1 FROM outbox WHERE id = ? AND leased_until = ? AND state = 0", (lease.work, lease.until_us)
        ).fetchone()
        return row is not None

    def current(self, context: AccessContext, change: Prepared) -> Current | None:
        return as_current(self.connection.execute(*ask_current(context, change, self.moment, self.dialect)).fetchone())

    def broken(self, context: AccessContext, targets: Sequence[Target]) -> list[Target]:
        """The targets that do not exist, or not in the context's world."""
        marks = ", ".join(f":t{number}" for number in range(len(targets)))
        rows = self.connection.execute(
            f"SELECT r.pk FROM {self.dialect.source('r')} WHERE {self.dialect.at('r', f'IN ({marks})')}"
            f" AND r.deleted = 0 AND {guard.visible('r', context, partitioned=self.dialect.partitioned)}",
            {**guard.parameters(context, self.moment), **{f"t{n}": target.key for n, target in enumerate(targets)}},
        )
        found = {row[0] for row in rows}
        return [target for target in targets if target.key not in found]

    def named(self, pk: int, version: int) -> tuple[int, ...]:
        rows = self.connection.execute("SELECT patient FROM named_patient WHERE pk = ? AND version = ?", (pk, version))
        return tuple(row[0] for row in rows)

    def writable(self, context: AccessContext, change: Prepared, patient: int, author: int) -> bool:
        """Whether this patient permits the context to write a resource with these facts."""
        asked = ask_writable(context, change, patient, author, self.moment)
        return self.connection.execute(*asked).fetchone() is not None


def ask_current(context: AccessContext, change: Prepared, now_us: int, dialect: Dialect) -> Asked:
    readable = guard.visible("r", context, partitioned=dialect.partitioned)
    writable = guard.visible("r", context, guard.WRITE, partitioned=dialect.partitioned)
    sql = (
        "SELECT r.version, r.updated, r.created, r.deleted, r.author, h.body,"
        f" {readable}, {writable}, {_FACTS} FROM {dialect.source('r')} CROSS JOIN history h"
        f" WHERE {dialect.at('r', '= :pk')} AND r.type = :type AND r.id = :id AND {dialect.head('h', 'r')}"
    )
    return sql, {"pk": change.pk, "type": change.kind, "id": change.id, **guard.parameters(context, now_us)}


def as_current(row: Any) -> Current | None:
    """The answer to `ask_current`."""
    if row is None:
        return None
    version, updated, created, deleted, author, body, readable, writable = row[:8]
    return Current(
        version, updated, created, bool(deleted), author, body, bool(readable), bool(writable), tuple(row[8:])
    )


def ask_writable(context: AccessContext, change: Prepared, patient: int, author: int, now_us: int) -> Asked:
    """One row where the patient permits it, none otherwise."""
    facts = change.facts
    assert facts is not None, "deletions are judged by the current version"
    values = {
        "new_patient": patient,
        "new_category": facts.category,
        "new_confidentiality": facts.confidentiality,
        "new_labels": facts.labels,
        "new_from": facts.columns(author, now_us)[5],
        "new_to": facts.columns(author, now_us)[6],
        "new_author": author,
        "new_type": change.kind,
        "new_pk": change.pk,
        "new_own_codes": _codes(change, guard.OWN_CODES),
        "new_inner_codes": _codes(change, guard.INNER_CODES),
    }
    sql = (
        "SELECT 1 FROM (SELECT :new_patient AS patient, 1 AS patients, :new_category AS category,"
        " :new_confidentiality AS confidentiality, :new_labels AS labels, :new_from AS effective_from,"
        " :new_to AS effective_to, :new_author AS author, 0 AS open, :new_type AS type, :new_pk AS pk,"
        f" 1 AS version) n0 WHERE {guard.visible('n0', context, guard.WRITE, of='new')}"
    )
    return sql, {**values, **guard.parameters(context, now_us)}


def _codes(change: Prepared, parameters: Container[int]) -> str:
    """The codes that rules may name, each between commas."""
    found = (value - system for param, _, value, system in change.index.token if param in parameters)
    return f",{','.join(map(str, found))},"
