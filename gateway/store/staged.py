"""One commit: every change is checked first, then all of them become rows, with index, rules, audit and outbox."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from consent.standing import relationship_grants, self_grants
from gateway.access import AccessContext
from gateway.r4.identity import key_of, new_id
from gateway.store import outbox
from gateway.store.changes import DELETE, METHODS, POST, PUT, Committed, Outcome, Version
from gateway.store.checks import Checks, Current
from gateway.store.errors import AlreadyExists, IdNotAllowed, Invalid, NotFound, StoreError, VersionMismatch
from gateway.store.prepare import Prepared
from gateway.store.references import nowhere
from gateway.store.rows import Pending, Row, permits
from gateway.store.tables import FAR_FUTURE, FAR_PAST

Result = TypeVar("Result")
# Work that can be put aside after each step, so that other requests get a turn.
Steps = Generator[None, None, Result]
# What is to be written for a change that has passed its checks.
Stage = Callable[[], Committed]


class Stale(Exception):
    """Prepare again: a condition now finds another resource than before, or another process took one of the ids."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The changes of one request: all or none of them happen."""

    context: AccessContext
    changes: Sequence[Prepared]


class Transaction(Protocol):
    """
    What a commit needs of the transaction that it is part of.

    now       the time of its versions, which never runs backwards in the feed
    next_seq  the next place in the feed
    write_now writes rows that later checks of the same commit depend on; a refusal takes them back
    """

    @property
    def checks(self) -> Checks: ...

    @property
    def now(self) -> int: ...

    def next_seq(self) -> int: ...

    def write_now(self, rows: Mapping[str, Sequence[Row]]) -> None: ...


class Staged:
    """The rows of one commit. `check_all` first; nothing may have been written when it refuses."""

    def __init__(self, transaction: Transaction, commit: Commit) -> None:
        self._transaction = transaction
        self._checks = transaction.checks
        self._context = commit.context
        self._author = commit.context.organization_key
        self.pending = Pending()
        # A transaction may write about the patients that it creates itself.
        self.new_patients = {
            change.pk
            for change in commit.changes
            if change.type == "Patient"
            and (change.method == POST or (change.may_assign and self._checks.current(self._context, change) is None))
        }
        self._own = {change.pk for change in commit.changes if change.facts is not None}

    def check_all(self, changes: Sequence[Prepared]) -> Steps[list[Stage]]:
        """Registrations first: what else is written about a person may depend on who cares for them."""
        order = sorted(range(len(changes)), key=lambda number: changes[number].registers is None)
        stages = {}
        for number in order:
            stages[number] = self._checked(number, changes[number])
            yield
        return [stages[number] for number in range(len(changes))]

    def stage_all(self, stages: Sequence[Stage]) -> Steps[list[Committed]]:
        """Rows for all of them, in the order of the request."""
        results = []
        for stage in stages:
            results.append(stage())
            yield
        return results

    def _checked(self, number: int, change: Prepared) -> Stage:
        try:
            if change.method == POST:
                return self._create(change)
            if change.method == PUT:
                return self._update(change)
            return self._delete(change)
        except StoreError as refusal:
            refusal.entry = number
            raise

    # -- checks ------------------------------------------------------------------------------------------------------

    def _create(self, change: Prepared) -> Stage:
        matched = self._checks.match(self._context, change)
        known = matched or self._checks.registered(self._context, change)
        if change.expected is not None and change.expected != (key_of(known.type, known.id) if known else 0):
            raise Stale
        if matched is not None and change.refuses_match:
            raise VersionMismatch
        if matched is not None:
            return partial(Committed, matched, "matched")
        if known is not None:
            return self._link(change, known)
        self._refuse_unless_writable(change, self._author)
        return partial(self._store, change, "created", 1, self._author)

    def _link(self, change: Prepared, known: Version) -> Stage:
        """The organisation cares for a person who is registered already; it learns that registration succeeded."""
        patient = key_of(known.type, known.id)
        if not self._checks.is_cared_for(self._author, patient):
            self._transaction.write_now(self._relationship(patient))
        return partial(self._linked, change, known, patient)

    def _update(self, change: Prepared) -> Stage:
        current = self._checks.current(self._context, change)
        if current is None or not (current.readable or self._is_own_feed(change, current)):
            if current is not None or not change.may_assign:
                raise IdNotAllowed
            if change.if_match is not None:
                raise VersionMismatch
            self._refuse_unless_writable(change, self._author)
            return partial(self._store, change, "created", 1, self._author)
        if change.if_match is not None and change.if_match != current.version:
            raise VersionMismatch
        if change.must_be_new and not current.deleted:
            raise AlreadyExists
        if not (current.writable or self._is_own_feed(change, current)):
            raise NotFound
        if not current.deleted and change.is_body(current.body, current.version, current.updated):
            return partial(self._unchanged, change, current, "unchanged")
        self._refuse_unless_writable(change, current.author)
        return partial(self._replace, change, current)

    def _delete(self, change: Prepared) -> Stage:
        current = self._checks.current(self._context, change)
        if current is None or not current.readable:
            raise NotFound
        if change.if_match is not None and change.if_match != current.version:
            raise VersionMismatch
        if not current.writable:
            raise NotFound
        if current.deleted:
            return partial(self._unchanged, change, current, "deleted")
        patient, patients = current.facts[:2]
        named = self._checks.named(change.pk, current.version) if patients > 1 else (patient,) * patients
        return partial(self._remove, change, current, named)

    def _is_own_feed(self, change: Prepared, current: Current) -> bool:
        """A feed may correct what it wrote, even where it may not read it back."""
        return change.may_assign and self._author != 0 and current.author == self._author

    def _refuse_unless_writable(self, change: Prepared, author: int) -> None:
        assert change.facts is not None, "deletions are judged by the current version"
        self._refuse_broken(change)
        if self._context.bypass:
            return
        for patient in change.facts.named:
            if patient not in self.new_patients and not self._checks.writable(self._context, change, patient, author):
                raise NotFound("A patient that this resource names does not exist, or none that you may write about.")

    def _refuse_broken(self, change: Prepared) -> None:
        """References must lead to what is there or comes with this commit, where the setting asks for it."""
        targets = [target for target in change.targets if target.key not in self._own]
        broken = self._checks.broken(self._context, targets) if targets else []
        if broken:
            raise Invalid(nowhere(broken))

    # -- rows --------------------------------------------------------------------------------------------------------

    def _linked(self, change: Prepared, known: Version, patient: int) -> Committed:
        self._audited("link", change, known.version, (patient,))
        return Committed(known, "created")

    def _unchanged(self, change: Prepared, current: Current, outcome: Outcome) -> Committed:
        return Committed(self._version(change, current.version, current.updated, current.body), outcome)

    def _replace(self, change: Prepared, current: Current) -> Committed:
        self.pending.supersede(change.pk, (current.version,))
        outcome: Outcome = "created" if current.deleted else "updated"
        return self._store(change, outcome, current.version + 1, current.author, current.created)

    def _remove(self, change: Prepared, current: Current, named: Sequence[int]) -> Committed:
        """A deletion keeps the facts, the patients and the codes of the version before."""
        version = current.version + 1
        self.pending.supersede(change.pk, (current.version, version))
        self._rows(change, version, current.created, None, current.facts, named)
        if change.type == "Consent":
            self.pending.rules_replaced.append(change.pk)
        return Committed(self._version(change, version, self._transaction.now, None), "deleted")

    def _store(
        self, change: Prepared, outcome: Outcome, version: int, author: int, created: int | None = None
    ) -> Committed:
        assert change.facts is not None, "only deletions have no facts"
        now = self._transaction.now
        created = now if created is None else created
        body = change.body(version, now)
        self._rows(change, version, created, body, change.facts.columns(author, created), change.facts.named)
        self.pending.add_index(change.pk, change.index, change.facts.named)
        if change.consent is not None:
            self._rules(change)
        if change.type == "Patient" and version == 1:
            self._open_relationship(change)
        self.pending.add("outbox", outbox.rows(change, version, now))
        return Committed(self._version(change, version, now, body), outcome)

    def _rows(
        self,
        change: Prepared,
        version: int,
        created: int,
        body: bytes | None,
        facts: tuple[int, ...],
        named: Sequence[int],
    ) -> None:
        seq, now = self._transaction.next_seq(), self._transaction.now
        self.pending.touched.add(change.pk)
        stored = (seq, change.pk, change.kind, change.id, version, now, change.method, body, *facts)
        self.pending.add("history", [stored])
        deleted = int(body is None)
        self.pending.add("resource", [(change.pk, change.kind, change.id, version, now, created, deleted, seq, *facts)])
        if len(named) > 1:
            self.pending.add("named_patient", [(change.pk, version, patient) for patient in named])
        self._audited(METHODS[change.method].lower(), change, version, named)

    def _audited(self, interaction: str, change: Prepared, version: int, patients: Sequence[int]) -> None:
        context = self._context
        who = (self._transaction.now, context.agent, context.organization or "", context.client, int(context.purpose))
        what = (context.activity, context.request_id, interaction, change.kind, change.id, version)
        self.pending.add("write_audit", [(*who, *what, patient, int(context.bypass)) for patient in patients or (0,)])

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
            # In force whatever the clock says next: put back, it must not hide the patient from who registered them.
            "grant_row": permits(key, relationship_grants(own, patient, FAR_PAST, FAR_FUTURE)),
        }

    def _version(self, change: Prepared, version: int, updated: int, body: bytes | None) -> Version:
        method = DELETE if body is None else change.method
        return Version(change.type, change.id, version, updated, method, body)
