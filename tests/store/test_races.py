"""Races on either database: withdrawal against readers and writers, and followers of a feed while many write slowly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from sqlmodel import text

from consent import forms
from gateway.access import Lease
from gateway.settings import Settings
from gateway.store.changes import Version
from gateway.store.database import Database
from gateway.store.errors import LeaseLost, NotFound, SignInMoved, StorageFailed
from gateway.store.store import Store
from tests.store.actors import OPEN, OTHER_CLINIC, clinic, create, patient, person, search, update
from tests.store.stored_rows import rows
from tests.store.test_access import answers, registered, sharing

pytestmark = pytest.mark.anyio

READERS, WRITERS, ROUNDS = 200, 16, 12
Place = tuple[str, str, int]

# A transaction that is slow to write and slow to commit: later ones overtake it, and its numbers come late.
_SLOW = (
    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN PERFORM pg_sleep(random() * random() * 0.06); RETURN NEW; END $$",
    "CREATE TRIGGER slow_write BEFORE INSERT ON history FOR EACH ROW EXECUTE FUNCTION slow()",
    "CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON history DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION slow()",
)


@pytest.fixture
async def gateways(database: Database, settings: Settings, anyio_backend: str) -> AsyncIterator[list[Store]]:
    """Two stores on the one database, as two gateways would be."""
    stores = [Store(database, settings=settings) for _ in range(2)]
    for each in stores:
        await each.start()
    yield stores
    for each in stores:
        await each.stop()


async def shared_answers(store: Store) -> tuple[str, str, str]:
    """A patient who shares an answer with the clinic: the ids of patient, Consent and answer."""
    whose = await registered(store)
    [consent] = await store.commit(patient(whose), [create(sharing(whose))])
    [answer] = await store.commit(patient(whose), [create(answers(whose))])
    return whose, consent.version.id, answer.version.id


async def withdraw(store: Store, whose: str, consent: str) -> None:
    await store.commit(patient(whose), [update(consent, forms.withdrawn(sharing(whose), store.clock()))])


async def test_no_read_that_starts_after_a_withdrawal_sees_what_was_withdrawn(gateways: list[Store]) -> None:
    whose, consent, answer = await shared_answers(gateways[0])
    withdrawn = asyncio.Event()
    seen = {"before": 0, "refused after": 0}

    async def read(number: int) -> None:
        store = gateways[number % 2]
        for _ in range(10_000):
            late = withdrawn.is_set()
            try:
                await store.read(clinic(), "QuestionnaireResponse", answer)
            except NotFound:
                seen["refused after"] += late
                if late:
                    return
            else:
                assert not late, "a read that started after the acknowledgement was answered"
                seen["before"] += 1

    async def change_mind() -> None:
        while seen["before"] < READERS:
            await asyncio.sleep(0.001)
        await withdraw(gateways[0], whose, consent)
        withdrawn.set()

    await asyncio.gather(change_mind(), *(read(number) for number in range(READERS)))
    assert seen["before"] >= READERS
    assert seen["refused after"] == READERS


async def test_what_is_written_after_a_withdrawal_is_refused_and_comes_before_it_in_the_feed(
    gateways: list[Store],
) -> None:
    """A write that was checked under the Consent is in the feed before its withdrawal, never behind it."""
    store = gateways[0]
    whose = await registered(store)
    permitted = sharing(whose, OTHER_CLINIC, actions=("access", "collect"))
    [consent] = await store.commit(patient(whose), [create(permitted)])
    withdrawn = asyncio.Event()
    written: list[Version] = []
    refused = 0

    async def write(number: int) -> None:
        nonlocal refused
        while True:
            late = withdrawn.is_set()
            try:
                [made] = await gateways[number % 2].commit(clinic(OTHER_CLINIC), [create(answers(whose))])
            except NotFound:
                refused += 1
                return
            assert not late, "a write that started after the acknowledgement was accepted"
            written.append(made.version)

    async def change_mind() -> None:
        while len(written) < 3 * WRITERS:
            await asyncio.sleep(0.001)
        await withdraw(store, whose, consent.version.id)
        withdrawn.set()

    await asyncio.gather(change_mind(), *(write(number) for number in range(WRITERS)))
    assert refused == WRITERS
    feed = [place_of(each) for each in await everything(store)]
    last = feed.index(("Consent", consent.version.id, 2))
    assert all(feed.index(place_of(each)) < last for each in written)


async def everything(store: Store) -> list[Version]:
    """The whole feed, oldest first."""
    found: list[Version] = []
    cursor = None
    while True:
        page = await store.history(OPEN, count=100, cursor=cursor, oldest_first=True)
        found += page.entries
        cursor = page.next
        if cursor is None:
            return found


def place_of(version: Version) -> Place:
    return version.type, version.id, version.version


async def test_followers_of_the_feed_see_every_version_once_and_in_order_while_many_write_slowly(
    gateways: list[Store], database: Database
) -> None:
    if database.dialect == "postgresql":
        with database.engine.begin() as connection:
            for statement in _SLOW:
                connection.execute(text(statement))
    done = asyncio.Event()

    async def write(number: int) -> None:
        store = gateways[number % 2]
        for round_ in range(ROUNDS):
            [made, _] = await store.commit(OPEN, [create(person(f"P{number}")), create(person(f"Q{number}"))])
            await store.commit(OPEN, [update(made.version.id, person(f"R{round_}"))])

    async def write_all() -> None:
        await asyncio.gather(*(write(number) for number in range(WRITERS)))
        done.set()

    by_cursor, by_since = Follower(gateways[0]), Follower(gateways[1])
    await asyncio.gather(write_all(), by_cursor.follow_cursor(done), by_since.follow_since(done))
    whole = [place_of(each) for each in await everything(gateways[0])]
    assert len(whole) == WRITERS * ROUNDS * 3
    assert [place_of(each) for each in by_cursor.seen] == whole
    assert [place_of(each) for each in by_since.seen] == whole
    times = [each.updated for each in by_since.seen]
    assert times == sorted(times)
    assert by_cursor.pages > 5
    assert by_since.pages > 5


class Follower:
    """Reads the feed while it grows, the one way or the other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.seen: list[Version] = []
        self.pages = 0

    async def follow_cursor(self, done: asyncio.Event) -> None:
        """By the link of the last full page: what is behind it is taken once the next page is full or writing ends."""
        cursor = None
        while True:
            finished = done.is_set()
            page = await self._store.history(OPEN, count=5, cursor=cursor, oldest_first=True)
            if page.next is not None or finished:
                self.seen += page.entries
                self.pages += 1
            cursor = page.next or cursor
            if finished and page.next is None:
                return
            if page.next is None:
                await asyncio.sleep(0.01)

    async def follow_since(self, done: asyncio.Event) -> None:
        """By the time of the last version seen: what has that very time comes again and is known."""
        while True:
            finished = done.is_set()
            since = self.seen[-1].updated if self.seen else None
            known = {place_of(each) for each in self.seen if each.updated == since}
            page = await self._store.history(OPEN, count=1000, since=since, oldest_first=True)
            fresh = [each for each in page.entries if place_of(each) not in known]
            self.seen += fresh
            self.pages += bool(fresh)
            if finished and not fresh:
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_a_remembered_sign_in_is_compared_in_the_question_itself(
    gateways: list[Store], database: Database
) -> None:
    """SQLite's number is in shared memory and compared before, so there the store has nothing to compare."""
    store = gateways[0]
    [made] = await store.commit(OPEN, [create(person("Same"))])
    number = await asyncio.to_thread(database.epoch_number)
    remembered = replace(OPEN, epoch=number)
    questions: list[Callable[[], Awaitable[object]]] = [
        lambda: store.read(remembered, "Patient", made.version.id),
        lambda: store.search(remembered, search("Patient", "family=same")),
        lambda: store.history(remembered, type="Patient"),
        lambda: store.commit(remembered, [create(person("New"))]),
    ]
    for ask in questions:
        await ask()
    await asyncio.to_thread(move_epoch, database)
    for ask in questions:
        with pytest.raises(SignInMoved):
            await ask()
    assert len((await store.search(OPEN, search("Patient", "family=new"))).matches) == 1


def move_epoch(database: Database) -> None:
    with database.writing():
        pass


async def test_a_commit_whose_lease_was_lost_writes_nothing(gateways: list[Store], database: Database) -> None:
    store = gateways[0]
    [made] = await store.commit(OPEN, [create(answers("somebody"))])
    [(work, until)] = rows(database, "SELECT id, leased_until FROM outbox WHERE kind = 'score'")
    await store.commit(replace(OPEN, lease=Lease(work, until)), [create(person("Mine"))])
    with pytest.raises(LeaseLost):
        await store.commit(replace(OPEN, lease=Lease(work, until + 1)), [create(person("Late"))])
    assert not (await store.search(OPEN, search("Patient", "family=late"))).matches
    assert (await store.read(OPEN, made.version.type, made.version.id)).version == 1


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_a_commit_whose_answer_was_cut_off_is_answered_by_what_became_of_it(
    gateways: list[Store], database: Database
) -> None:
    """Connections end again and again, also between COMMIT and its answer: acknowledged is there, refused is not."""
    with database.engine.begin() as connection:
        for statement in _SLOW:
            connection.execute(text(statement))
    done = asyncio.Event()
    acknowledged: set[str] = set()
    refused: set[str] = set()

    async def write(number: int) -> None:
        for round_ in range(ROUNDS):
            family = f"writer{number}round{round_}end"
            try:
                await gateways[number % 2].commit(OPEN, [create(person(family))])
                acknowledged.add(family)
            except StorageFailed:
                refused.add(family)

    async def write_all() -> None:
        await asyncio.gather(*(write(number) for number in range(WRITERS)))
        done.set()

    async def cut() -> int:
        times = 0
        while not done.is_set():
            times += await asyncio.to_thread(cut_all, database)
            await asyncio.sleep(0.05)
        return times

    _, times = await asyncio.gather(write_all(), cut())
    assert times > WRITERS
    stored = [each for each in await everything(gateways[0]) if each.type == "Patient"]
    families = [json.loads(each.body or b"{}")["name"][0]["family"] for each in stored]
    assert len(families) == len(set(families)), "a commit was done twice"
    assert set(families) == acknowledged
    assert acknowledged.isdisjoint(refused)
    assert acknowledged


def cut_all(database: Database) -> int:
    """Ends every other connection to the database."""
    with database.engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        )
        times: int = found.scalar_one()
        return times
