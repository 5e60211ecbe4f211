"""The store: the only way to clinical data. Every call takes an AccessContext; every answer is from one snapshot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from gateway.access import AccessContext
from gateway.r4.identity import LOGICAL_ID, key_of, new_id
from gateway.r4.questionnaire_lookup import unfit_answers
from gateway.settings import Settings
from gateway.store import reader, registration
from gateway.store.audit import Look, ReadAudit
from gateway.store.changes import Change, Committed, Create, Delete, HistoryPage, SearchPage, Version
from gateway.store.connection import Connection
from gateway.store.cursor import Cursors
from gateway.store.database import Database
from gateway.store.definitions import definition
from gateway.store.errors import Busy, Forbidden, Invalid, NotFound, SeveralMatches, SignInMoved, StoreError
from gateway.store.group_commit import SLICE_SECONDS
from gateway.store.keys import derived, root_key, token_hash
from gateway.store.past_the_net import past_the_net
from gateway.store.prepare import Prepared, Preparer
from gateway.store.query import Search
from gateway.store.search import Searcher, Shape, patients_of
from gateway.store.staged import Commit, Stale
from gateway.store.ways import dialect_of, ways_of

_ATTEMPTS = 8
# Outcomes that answer with what was stored before, and leave no row in the audit of writes.
_SHOWN = frozenset(("matched", "unchanged"))


def now_us() -> int:
    """The time, in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Store:
    """
    One store on one database. `start` and `stop` belong to the event loop that uses it.

    Everything raises the errors of `gateway.store.errors`; hidden and absent resources are NotFound alike.
    """

    def __init__(self, database: Database, *, settings: Settings, clock: Callable[[], int] = now_us) -> None:
        root = root_key(settings.home)
        self.clock = clock
        self._hash_token = token_hash(derived(root, "token index"))
        self._cursors = Cursors(derived(root, "page cursors"))
        self._dialect = dialect_of(database)
        self._searcher = Searcher(self._hash_token, self._cursors, settings.max_chain_depth, self._dialect)
        must_refer = settings.references == "existing"
        self._preparer = Preparer(self._hash_token, settings.fhir_base_url, must_refer=must_refer)
        ways = ways_of(database, settings, self._searcher, clock)
        self._snapshots, self._commits = ways.reading, ways.writing
        self._audit = ReadAudit(ways.log, before_response=settings.audit_reads == "before-response")

    async def start(self) -> None:
        self._audit.start()

    async def stop(self) -> None:
        """Write what is waiting, then close."""
        await self._commits.stop()
        await self._audit.stop()
        self._snapshots.close()

    # -- reading -----------------------------------------------------------------------------------------------------

    async def read(self, context: AccessContext, resource_type: str, logical_id: str) -> Version:
        now = self.clock()
        found = await self._looked_up(
            context,
            "read",
            resource_type,
            logical_id,
            lambda connection: reader.read(connection, context, resource_type, logical_id, now, self._dialect),
            now,
        )
        return found.version

    async def vread(self, context: AccessContext, resource_type: str, logical_id: str, version: int) -> Version:
        now = self.clock()
        found = await self._looked_up(
            context,
            "vread",
            resource_type,
            logical_id,
            lambda connection: reader.vread(
                connection, context, resource_type, logical_id, version, now, self._dialect
            ),
            now,
        )
        return found.version

    async def history(
        self,
        context: AccessContext,
        *,
        type: str | None = None,
        id: str | None = None,
        since: int | None = None,
        count: int = 20,
        cursor: str | None = None,
        oldest_first: bool = False,
        at: tuple[int, int] | None = None,
    ) -> HistoryPage:
        """Versions in the order of commit, newest first unless asked otherwise; see reader.HistoryRequest."""
        request = reader.HistoryRequest(type, id, since, count, cursor, oldest_first, at)
        now = self.clock()
        page, patients = await self._snapshots.run(
            lambda connection: reader.history(connection, context, request, self._cursors, now, self._dialect),
            context,
            now,
        )
        await self._audit.record(context, "history", type, id or "", patients, now)
        return page

    async def search(
        self, context: AccessContext, search: Search, *, count_only: bool = False, shape: Shape = "auto"
    ) -> SearchPage:
        """One page; `shape` is for the test that all shapes of the query answer alike."""
        now = self.clock()
        asked = _only_counted(search) if count_only else search
        found = await self._snapshots.run(
            lambda connection: self._searcher.search(connection, context, asked, now, shape=shape),
            context,
            now,
            is_one=self._searcher.is_one_statement(asked),
        )
        only = search.types[0] if len(search.types) == 1 else None
        await self._audit.record(context, "search", only, "", found.patients, now)
        return found.page

    async def find(self, context: AccessContext, search: Search, *, limit: int = 2) -> list[Version]:
        """The first matches of a condition: enough to tell none, one and several apart."""
        found = await self._found(context, search, limit)
        await self._record_shown(context, "search", found)
        return found

    async def _found(self, context: AccessContext, search: Search, limit: int = 2) -> list[Version]:
        now = self.clock()
        return await self._snapshots.run(
            lambda connection: self._searcher.first(connection, context, search, now, limit),
            context,
            now,
            is_one=True,
        )

    async def _record_shown(self, context: AccessContext, interaction: str, shown: Sequence[Version]) -> None:
        """Record what a condition or a write that changed nothing let the client see."""
        for version in shown:
            keys = [key_of(version.type, version.id)]
            patients = await self._snapshots.run(partial(_whose, keys))
            await self._audit.record(context, interaction, version.type, version.id, patients, self.clock())

    async def looks(self, context: AccessContext, limit: int = 200) -> list[Look]:
        """Who read the data of the patient who asks, newest first. Forbidden for everybody else."""
        if context.subject is None:
            raise Forbidden("Who looked is told to the patient themself.")
        return await self._audit.looks(context.subject, limit)

    # -- writing -----------------------------------------------------------------------------------------------------

    async def commit(
        self, context: AccessContext, changes: Sequence[Change], *, references: Mapping[str, str] | None = None
    ) -> list[Committed]:
        """
        Make all changes or none; they are on the disk when this returns.

        references  complete string values, such as conditional references, and the `Type/id` they stand for
        raises      Invalid, NotFound, IdNotAllowed, VersionMismatch, SeveralMatches, Forbidden, Busy, StorageFailed;
                    `entry` says which change was refused
        """
        for _ in range(_ATTEMPTS):
            prepared = await self._prepared(context, changes, references or {})
            try:
                done = await self._commits.submit(Commit(context, prepared))
            except Stale:
                continue
            shown = [each.version for each in done if each.outcome in _SHOWN]
            await self._record_shown(context, "read", shown)
            return done
        raise Busy

    async def _prepared(
        self, context: AccessContext, changes: Sequence[Change], references: Mapping[str, str]
    ) -> list[Prepared]:
        ids = [_id_of(change) for change in changes]
        resolved = dict(references)
        expected: dict[int, int] = {}
        for number, change in enumerate(changes):
            if isinstance(change, Create) and len(changes) > 1 and _may_exist(context, change):
                expected[number] = await self._match(context, change, number, resolved)
            if not (expected.get(number) or _alias(change) is None):
                resolved[str(_alias(change))] = f"{change.type}/{ids[number]}"
        prepared = []
        started = time.perf_counter()
        for number, (change, logical_id) in enumerate(zip(changes, ids, strict=True)):
            try:
                item = self._preparer.prepare(context, change, logical_id, resolved)
                await self._refuse_unfit_answers(context, change)
            except StoreError as refusal:
                refusal.entry = number
                raise
            item.expected = expected.get(number)
            prepared.append(item)
            if time.perf_counter() - started > SLICE_SECONDS:
                await asyncio.sleep(0)
                started = time.perf_counter()
        return prepared

    async def _refuse_unfit_answers(self, context: AccessContext, change: Change) -> None:
        """Raises Invalid where a QuestionnaireResponse does not fit its Questionnaire, if the writer may see that."""
        if isinstance(change, Delete) or change.type != "QuestionnaireResponse":
            return
        look = partial(self._newest, context)
        if issues := await unfit_answers(change.resource, partial(definition, look)):
            raise Invalid(issues)

    async def _newest(self, context: AccessContext, search: Search) -> Sequence[Version]:
        now = self.clock()
        found = await self._snapshots.run(
            lambda connection: self._searcher.search(connection, context, search, now), context, now
        )
        return found.page.matches

    async def _match(self, context: AccessContext, change: Create, number: int, resolved: dict[str, str]) -> int:
        """The key of what a create of a transaction stands for already, 0 for nothing; its alias then means that."""
        found = await self._found(context, change.condition) if change.condition is not None else []
        registered = registration.of(change.resource) if change.type == "Patient" else None
        if not found and registered is not None and context.organization is not None:
            found = (await self._found(replace(context, bypass=True), registered.search))[:1]
        if len(found) > 1:
            raise SeveralMatches(entry=number)
        if not found:
            return 0
        if change.alias is not None:
            resolved[change.alias] = found[0].reference
        return key_of(found[0].type, found[0].id)

    async def _looked_up(
        self,
        context: AccessContext,
        interaction: str,
        resource_type: str,
        logical_id: str,
        query: Callable[[Connection], reader.Read],
        now: int,
    ) -> reader.Read:
        """Run a read and record it: who asked is recorded whether or not there was something to see."""
        try:
            found = await self._snapshots.ask(query, context, now)
        except SignInMoved:
            raise
        except StoreError:
            await self._audit.record(context, interaction, resource_type, logical_id, (), self.clock())
            raise
        await self._audit.record(context, interaction, resource_type, logical_id, found.patients, self.clock())
        return found


def _whose(keys: Sequence[int], connection: Connection) -> tuple[int, ...]:
    """The patients of what a client was shown, which a feed may have been that may not read it."""
    with past_the_net(connection, "audit"):
        return patients_of(connection, keys)


def _id_of(change: Change) -> str:
    logical_id = change.id or new_id()
    if not LOGICAL_ID.match(logical_id):
        raise NotFound
    return logical_id


def _may_exist(context: AccessContext, change: Create) -> bool:
    return change.condition is not None or (change.type == "Patient" and context.organization is not None)


def _alias(change: Change) -> str | None:
    return getattr(change, "alias", None)


def _only_counted(search: Search) -> Search:
    return replace(search, count=0, total=True, includes=(), sort=())
