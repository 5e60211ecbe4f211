"""The one write path: every change of every request ends here, in one transaction with its index, audit and outbox.

Acknowledged means durable: results are handed out after the commit returned. Many waiting requests share one
transaction; each is checked on its own and refused on its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Container, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from consent.standing import relationship_grants, self_grants
from gateway.access import AccessContext
from gateway.r4.identity import key_of, new_id
from gateway.r4.issues import Issue
from gateway.store import guard, outbox
from gateway.store.changes import DELETE, METHODS, POST, PUT, Committed, Outcome, Version
from gateway.store.errors import (
    IdNotAllowed,
    Invalid,
    NotFound,
    SeveralMatches,
    StorageFailed,
    StoreError,
    VersionMismatch,
)
from gateway.store.facts import COLUMNS
from gateway.store.group_commit import in_slices
from gateway.store.prepare import Prepared
from gateway.store.rows import Pending, Row, insert, permits
from gateway.store.search import Searcher
from gateway.store.sqlite import Database
from gateway.store.tables import FAR_FUTURE

# From about here on the statements of a batch take longer than the hand-over to a thread.
_LARGE_ROWS = 1_500

Result = TypeVar("Result")
# Work that can be put aside after each step, so that other requests get a turn.
Steps = Generator[None, None, Result]


_OTHER_PERSON = "This NHS number and this birth date do not belong together here; check both with the person."


class Stale(Exception):
    """Prepare again: a condition now finds another resource than before, or another process took one of the ids."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The changes of one request: all or none of them happen."""

    context: AccessContext
    changes: Sequence[Prepared]


@dataclass(frozen=True, slots=True)
class _Current:
    version: int
    updated: int
    created: int
    deleted: bool
    author: int
    body: bytes | None
    readable: bool
    writable: bool
    facts: tuple[int, ...]


class Writer:
    """
    Applies commits on the one connection that writes.

    Checks and small writes run on the event loop, in slices: handing each statement to a thread would cost more in
    passing the interpreter's lock to and fro than the statements take. Large writes, whose statements are long, and
    the COMMIT, which waits for the disk, have a thread.
    """

    def __init__(self, database: Database, searcher: Searcher, clock: Callable[[], int]) -> None:
        self._database = database
        self._searcher = searcher
        self._clock = clock
        self._connection = database.connect(readonly=False)
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="commit")

    def close(self) -> None:
        self._disk.shutdown()
        self._connection.close()

    async def write(self, commits: Sequence[Commit]) -> Sequence[list[Committed] | Exception]:
        """One transaction for all commits; where a row clashes with another process's, each is tried alone."""
        try:
            return await self._transaction(commits)
        except sqlite3.IntegrityError:
            if len(commits) == 1:
                return [Stale()]
            return [(await self.write([commit]))[0] for commit in commits]
        except sqlite3.OperationalError:
            return [StorageFailed()] * len(commits)

    async def _transaction(self, commits: Sequence[Commit]) -> list[list[Committed] | Exception]:
        loop = asyncio.get_running_loop()
        async with self._database.lock.held_by_loop(self._disk):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                transaction = _Transaction(self._connection, self._searcher, self._clock())
                results = await in_slices(_attempted(transaction, commits))
                if transaction.pending.rows > _LARGE_ROWS:
                    await loop.run_in_executor(self._disk, transaction.write)
                else:
                    await in_slices(transaction.pending.flush(self._connection))
                await loop.run_in_executor(self._disk, self._connection.execute, "COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        return results


def _attempted(transaction: _Transaction, commits: Sequence[Commit]) -> Steps[list[list[Committed] | Exception]]:
    results = []
    for commit in commits:
        results.append((yield from transaction.attempt(commit)))
    return results


class _Transaction:
    """The state of one transaction: the next sequence number, its time, and the rows that wait."""

    def __init__(self, connection: sqlite3.Connection, searcher: Searcher, clock_us: int) -> None:
        self._connection = connection
        self._searcher = searcher
        self.pending = Pending()
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'history'").fetchone()
        self._seq = row[0] if row else 0
        last = connection.execute("SELECT updated FROM history WHERE seq = ?", (self._seq,)).fetchone()
        # Time never runs backwards in the feed, whatever the clock does.
        self._now = max(clock_us, last[0]) if last else clock_us

    def attempt(self, commit: Commit) -> Steps[list[Committed] | Exception]:
        """Check every change, then stage all of them; a refusal stages nothing."""
        seq = self._seq
        if self._depends_on_pending(commit):
            yield from self.pending.flush(self._connection)
        staged = _Staged(self, commit)
        try:
            with self._savepoint(any(change.registers is not None for change in commit.changes)):
                results = yield from staged.apply_all(commit.changes)
        except (StoreError, Stale) as refusal:
            self._seq = seq
            return refusal
        self.pending.merge(staged.pending)
        return results

    @contextmanager
    def _savepoint(self, needed: bool) -> Iterator[None]:
        """Takes back what was written while checking, where something may be."""
        if not needed:
            yield
            return
        self._connection.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO attempt")
            raise
        finally:
            self._connection.execute("RELEASE attempt")

    def _depends_on_pending(self, commit: Commit) -> bool:
        """Whether the checks of a commit must see what earlier commits of this group have staged."""
        searches = any(change.condition is not None or change.registers is not None for change in commit.changes)
        if searches or any(change.pk in self.pending.touched for change in commit.changes):
            return True
        if all(change.method == POST and change.facts is not None for change in commit.changes):
            named = {patient for change in commit.changes if change.facts for patient in change.facts.named}
            return self.pending.changes_rules_of(named)
        return self.pending.changes_rules_of(None)

    def write(self) -> None:
        """Write everything that is staged, in one go."""
        for _ in self.pending.flush(self._connection):
            pass

    @property
    def now(self) -> int:
        return self._now

    def write_now(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Write rows that checks of the same commit depend on; a refusal takes them back."""
        for table, several in rows.items():
            insert(self._connection, table, several)

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def match(self, context: AccessContext, change: Prepared) -> Version | None:
        """What the condition of a create finds in the context's own world; SeveralMatches for more than one."""
        if change.condition is None:
            return None
        found = self._searcher.first(self._connection, context, change.condition, self._now, limit=2)
        if len(found) > 1:
            raise SeveralMatches
        return found[0] if found else None

    def registered(self, context: AccessContext, change: Prepared) -> Version | None:
        """Whoever has this NHS number already, visible to the context or not (see gateway.store.registration)."""
        if change.registers is None:
            return None
        everywhere = replace(context, bypass=True)
        found = self._searcher.first(self._connection, everywhere, change.registers.search, self._now, limit=1)
        if found and not change.registers.same_person(found[0].body):
            raise Invalid([Issue("error", "business-rule", "Patient.identifier", _OTHER_PERSON)])
        return found[0] if found else None

    def is_cared_for(self, organisation: int, patient: int) -> bool:
        row = self._connection.execute(
            "SELECT 1 FROM care_relationship"
            " WHERE organisation = ? AND patient = ? AND valid_from <= ? AND valid_to > ?",
            (organisation, patient, self._now, self._now),
        ).fetchone()
        return row is not None

    def current(self, context: AccessContext, change: Prepared) -> _Current | None:
        facts = ", ".join(f"r.{column}" for column in COLUMNS)
        row = self._connection.execute(
            "SELECT r.version, r.updated, r.created, r.deleted, r.author, h.body,"
            f" {guard.visible('r', context)}, {guard.visible('r', context, guard.WRITE)}, {facts}"
            " FROM resource r CROSS JOIN history h WHERE r.pk = :pk AND r.type = :type AND r.id = :id"
            " AND h.seq = r.head",
            {"pk": change.pk, "type": change.kind, "id": change.id, **guard.parameters(context, self._now)},
        ).fetchone()
        if row is None:
            return None
        version, updated, created, deleted, author, body, readable, writable = row[:8]
        return _Current(
            version, updated, created, bool(deleted), author, body, bool(readable), bool(writable), tuple(row[8:])
        )

    def named(self, pk: int, version: int) -> tuple[int, ...]:
        rows = self._connection.execute("SELECT patient FROM named_patient WHERE pk = ? AND version = ?", (pk, version))
        return tuple(row[0] for row in rows)

    def writable(self, context: AccessContext, change: Prepared, patient: int, author: int) -> bool:
        """Whether this patient permits the context to write a resource with these facts."""
        facts = change.facts
        assert facts is not None, "deletions are judged by the current version"
        values = {
            "new_patient": patient,
            "new_category": facts.category,
            "new_confidentiality": facts.confidentiality,
            "new_labels": facts.labels,
            "new_from": facts.columns(author, self._now)[5],
            "new_to": facts.columns(author, self._now)[6],
            "new_author": author,
            "new_type": change.kind,
            "new_pk": change.pk,
            "new_own_codes": _codes(change, guard.OWN_CODES),
            "new_inner_codes": _codes(change, guard.INNER_CODES),
        }
        row = self._connection.execute(
            "SELECT 1 FROM (SELECT :new_patient AS patient, 1 AS patients, :new_category AS category,"
            " :new_confidentiality AS confidentiality, :new_labels AS labels, :new_from AS effective_from,"
            " :new_to AS effective_to, :new_author AS author, 0 AS open, :new_type AS type, :new_pk AS pk,"
            f" 1 AS version) n0 WHERE {guard.visible('n0', context, guard.WRITE, of='new')}",
            {**values, **guard.parameters(context, self._now)},
        ).fetchone()
        return row is not None


def _codes(change: Prepared, parameters: Container[int]) -> str:
    """The codes that rules may name, each between commas."""
    found = (value - system for param, _, value, system in change.index.token if param in parameters)
    return f",{','.join(map(str, found))},"


class _Staged:
    """The rows of one commit while its checks run."""

    def __init__(self, transaction: _Transaction, commit: Commit) -> None:
        self._transaction = transaction
        self._context = commit.context
        self._author = commit.context.organization_key
        self.pending = Pending()
        # A transaction may write about the patients that it creates itself.
        self._new_patients = {
            change.pk
            for change in commit.changes
            if change.type == "Patient"
            and (change.method == POST or (change.may_assign and transaction.current(commit.context, change) is None))
        }

    def apply_all(self, changes: Sequence[Prepared]) -> Steps[list[Committed]]:
        """Registrations first: what else is written about a person may depend on who cares for them."""
        order = sorted(range(len(changes)), key=lambda number: changes[number].registers is None)
        results = {}
        for number in order:
            results[number] = self.apply(number, changes[number])
            yield
        return [results[number] for number in range(len(changes))]

    def apply(self, number: int, change: Prepared) -> Committed:
        try:
            if change.method == POST:
                return self._create(change)
            if change.method == PUT:
                return self._update(change)
            return self._delete(change)
        except StoreError as refusal:
            refusal.entry = number
            raise

    def _create(self, change: Prepared) -> Committed:
        matched = self._transaction.match(self._context, change)
        known = matched or self._transaction.registered(self._context, change)
        if change.expected is not None and change.expected != (key_of(known.type, known.id) if known else 0):
            raise Stale
        if matched is not None:
            return Committed(matched, "matched")
        if known is not None:
            return self._link(change, known)
        self._refuse_unless_writable(change, self._author)
        return self._store(change, "created", 1, self._author, self._transaction.now)

    def _link(self, change: Prepared, known: Version) -> Committed:
        """The organisation cares for a person who is registered already; it learns that registration succeeded."""
        patient = key_of(known.type, known.id)
        if not self._transaction.is_cared_for(self._context.organization_key, patient):
            self._transaction.write_now(self._relationship(patient))
        self._audited("link", change, known.version, (patient,))
        return Committed(known, "created")

    def _update(self, change: Prepared) -> Committed:
        current = self._transaction.current(self._context, change)
        if current is None or not (current.readable or self._is_own_feed(change, current)):
            if current is not None or not change.may_assign:
                raise IdNotAllowed
            if change.if_match is not None:
                raise VersionMismatch
            self._refuse_unless_writable(change, self._author)
            return self._store(change, "created", 1, self._author, self._transaction.now)
        if change.if_match is not None and change.if_match != current.version:
            raise VersionMismatch
        if not (current.writable or self._is_own_feed(change, current)):
            raise NotFound
        if not current.deleted and change.is_body(current.body, current.version, current.updated):
            return Committed(self._version(change, current.version, current.updated, current.body), "unchanged")
        self._refuse_unless_writable(change, current.author)
        outcome: Outcome = "created" if current.deleted else "updated"
        self.pending.supersede(change.pk, (current.version,))
        return self._store(change, outcome, current.version + 1, current.author, current.created)

    def _delete(self, change: Prepared) -> Committed:
        current = self._transaction.current(self._context, change)
        if current is None or not current.readable:
            raise NotFound
        if change.if_match is not None and change.if_match != current.version:
            raise VersionMismatch
        if not current.writable:
            raise NotFound
        if current.deleted:
            return Committed(self._version(change, current.version, current.updated, None), "deleted")
        now = self._transaction.now
        self.pending.supersede(change.pk, (current.version, current.version + 1))
        self._rows(change, current.version + 1, current.created, None, current.facts)
        if change.type == "Consent":
            self.pending.rules_replaced.append(change.pk)
        return Committed(self._version(change, current.version + 1, now, None), "deleted")

    def _is_own_feed(self, change: Prepared, current: _Current) -> bool:
        """A feed may correct what it wrote, even where it may not read it back."""
        return change.may_assign and self._author != 0 and current.author == self._author

    def _refuse_unless_writable(self, change: Prepared, author: int) -> None:
        assert change.facts is not None, "deletions are judged by the current version"
        if self._context.bypass:
            return
        for patient in change.facts.named:
            if patient not in self._new_patients and not self._transaction.writable(
                self._context, change, patient, author
            ):
                raise NotFound("A patient that this resource names does not exist, or none that you may write about.")

    def _store(self, change: Prepared, outcome: Outcome, version: int, author: int, created: int) -> Committed:
        assert change.facts is not None, "only deletions have no facts"
        now = self._transaction.now
        body = change.body(version, now)
        facts = change.facts.columns(author, created)
        self._rows(change, version, created, body, facts)
        self.pending.add_index(change.pk, change.index, change.facts.named)
        if change.consent is not None:
            self._rules(change)
        if change.type == "Patient" and version == 1:
            self._open_relationship(change)
        self.pending.add("outbox", outbox.rows(change, version, now))
        return Committed(self._version(change, version, now, body), outcome)

    def _rows(self, change: Prepared, version: int, created: int, body: bytes | None, facts: tuple[int, ...]) -> None:
        seq, now = self._transaction.next_seq(), self._transaction.now
        self.pending.touched.add(change.pk)
        stored = (seq, change.pk, change.kind, change.id, version, now, change.method, body, *facts)
        self.pending.add("history", [stored])
        deleted = int(body is None)
        self.pending.add("resource", [(change.pk, change.kind, change.id, version, now, created, deleted, seq, *facts)])
        patients = change.facts.named if change.facts else self._carried_over(change, version, facts)
        if len(patients) > 1:
            self.pending.add("named_patient", [(change.pk, version, patient) for patient in patients])
        self._audited(METHODS[change.method].lower(), change, version, patients)

    def _audited(self, interaction: str, change: Prepared, version: int, patients: Sequence[int]) -> None:
        context = self._context
        who = (self._transaction.now, context.agent, context.organization or "", context.client, int(context.purpose))
        what = (context.activity, context.request_id, interaction, change.kind, change.id, version)
        self.pending.add("write_audit", [(*who, *what, patient, int(context.bypass)) for patient in patients or (0,)])

    def _carried_over(self, change: Prepared, version: int, facts: tuple[int, ...]) -> tuple[int, ...]:
        """The patients of a deletion: those of the version before."""
        patient, patients = facts[:2]
        if patients > 1:
            return self._transaction.named(change.pk, version - 1)
        return (patient,) if patients else ()

    def _rules(self, change: Prepared) -> None:
        """The grants and denies of a Consent, in force with this commit."""
        assert change.consent is not None, "only a Consent has rules"
        self.pending.rules_replaced.append(change.pk)
        self.pending.add("grant_row", permits(change.pk, change.consent.grants))
        self.pending.add("deny_row", [(*deny, change.pk) for deny in change.consent.denies])

    def _open_relationship(self, change: Prepared) -> None:
        """A new patient may see their own record; whoever registered them cares for them (architecture rule 5b)."""
        self.pending.add("grant_row", permits(change.pk, self_grants(change.pk)))
        if self._context.organization is not None:
            for table, rows in self._relationship(change.pk).items():
                self.pending.add(table, rows)

    def _relationship(self, patient: int) -> dict[str, list[Row]]:
        """The rows by which the context's organisation cares for the patient from now on."""
        now, own = self._transaction.now, self._author
        key = key_of("CareRelationship", new_id())
        opened_by = self._context.actors[0] if self._context.actors else 0
        return {
            "care_relationship": [(key, own, patient, now, FAR_FUTURE, opened_by, "registration")],
            "grant_row": permits(key, relationship_grants(own, patient, now, FAR_FUTURE)),
        }

    def _version(self, change: Prepared, version: int, updated: int, body: bytes | None) -> Version:
        method = DELETE if body is None else change.method
        return Version(change.type, change.id, version, updated, method, body)
