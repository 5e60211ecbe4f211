"""Several workers on one outbox: each piece is one worker's, a patient's in their order, and late effects are void."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest
from sqlmodel import select

from gateway.settings import Settings
from gateway.store import outbox
from gateway.store.database import Database
from gateway.store.errors import LeaseLost
from gateway.store.outbox import DONE, LEASE_US, Work
from gateway.store.store import Store
from gateway.store.tables import Outbox
from gateway.work import orders
from gateway.work.worker import Worker
from gateway.work.workplace import Workplace
from tests.store.actors import create
from tests.work.people import Person

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000_000_000
WORKERS, PATIENTS, PIECES = 4, 6, 60


def ask(database: Database, patient: int, count: int = 1) -> None:
    with database.working() as session:
        for _ in range(count):
            orders.ask(session, "test", patient=patient, resource_type="Patient", logical_id=f"p{patient}", now_us=NOW)


def lease(database: Database, now_us: int, limit: int = 16) -> list[Work]:
    with database.working() as session:
        return outbox.lease(session, now_us, limit)


def test_several_workers_do_each_piece_once_and_each_patients_in_order(database: Database) -> None:
    for _ in range(PIECES // 2):
        ask(database, random.Random(_).randint(1, PATIENTS), count=2)
    done: list[tuple[int, int]] = []
    noting = threading.Lock()

    def work_off() -> None:
        while len(done) < PIECES:
            for work in lease(database, NOW, limit=2):
                with noting:
                    done.append((work.patient, work.id))
                with database.working() as session:
                    assert outbox.done(session, work)

    with ThreadPoolExecutor(WORKERS) as pool:
        for future in [pool.submit(work_off) for _ in range(WORKERS)]:
            future.result()
    assert len(done) == len({number for _, number in done}) == PIECES
    for patient in range(1, PATIENTS + 1):
        own = [number for each, number in done if each == patient]
        assert own == sorted(own)


def test_a_lease_that_has_passed_on_settles_nothing_any_more(database: Database) -> None:
    ask(database, patient=1)
    [first] = lease(database, NOW)
    assert lease(database, NOW + LEASE_US - 1) == []
    [second] = lease(database, NOW + LEASE_US)
    with database.working() as session:
        assert not outbox.done(session, first)
        assert not outbox.failed(session, first, "Late", NOW + LEASE_US)
        assert outbox.done(session, second)
    with database.working() as session:
        assert not outbox.failed(session, second, "AfterTheEnd", NOW + LEASE_US)
        assert [row.state for row in session.exec(select(Outbox))] == [DONE]


class Clock:
    """A time that the test moves."""

    now_us = NOW

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def workplace(
    database: Database, settings: Settings, clock: Clock, anyio_backend: str
) -> AsyncIterator[Workplace]:
    store = Store(database, settings=settings, clock=clock)
    await store.start()
    yield Workplace(database, store, settings)
    await store.stop()


async def test_a_worker_that_stood_still_for_too_long_commits_nothing(workplace: Workplace, clock: Clock) -> None:
    anna = await Person.activated(workplace)
    ask(workplace.database, anna.key)
    stands_still, goes_on = asyncio.Event(), asyncio.Event()
    refused: list[type[Exception]] = []

    async def observe(place: Workplace, work: Work) -> None:
        seen = {"resourceType": "Observation", "status": "final", "code": {"text": "steps"}}
        note = create({**seen, "subject": {"reference": anna.reference}})
        await place.store.commit(replace(anna.context, lease=work.lease), [note])

    async def late(place: Workplace, work: Work) -> None:
        stands_still.set()
        await goes_on.wait()
        try:
            await observe(place, work)
        except LeaseLost as lost:
            refused.append(type(lost))
            raise

    stopped = asyncio.create_task(Worker(workplace, {"test": late}).step())
    await stands_still.wait()
    clock.now_us += LEASE_US
    assert await Worker(workplace, {"test": observe}).step()
    goes_on.set()
    await stopped
    assert refused == [LeaseLost]
    assert len(await anna.sees("Observation")) == 1
    with workplace.database.reading() as session:
        assert [(row.state, row.tries) for row in session.exec(select(Outbox))] == [(DONE, 0)]


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_work_waits_for_transactions_that_may_still_come_before_it(database: Database, settings: Settings) -> None:
    """On SQLite transactions follow one another."""
    with psycopg.connect(settings.database_url) as slow:
        slow.execute("SELECT pg_current_xact_id()")
        ask(database, patient=1)
        assert lease(database, NOW) == []
    assert [work.patient for work in lease(database, NOW)] == [1]
