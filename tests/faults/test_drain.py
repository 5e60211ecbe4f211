"""Shutting down: what was accepted is written, what comes too late is refused, nothing waits for ever."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.store.errors import Busy
from gateway.store.sqlite import SQLiteDatabase
from gateway.store.store import Store
from tests.faults.contents import patient_keys, patients_of_whole_transactions
from tests.faults.process import registration
from tests.store.actors import OPEN

COMMITS = 120


@pytest.mark.parametrize("seed", range(4))
def test_what_was_submitted_before_stop_is_durable_and_the_rest_refused(home: Path, seed: int) -> None:
    acknowledged, refused = asyncio.run(asyncio.wait_for(stopped_in_the_middle(home, random.Random(seed)), 60))
    found = patients_of_whole_transactions(home / "backbridge.sqlite")
    assert found == set(patient_keys(acknowledged))
    assert len(acknowledged) + refused == COMMITS
    assert acknowledged


async def stopped_in_the_middle(home: Path, rng: random.Random) -> tuple[list[list[str]], int]:
    """Stop while commits are on their way, some of them not yet prepared."""
    database = SQLiteDatabase(home / "backbridge.sqlite")
    store = Store(database, settings=Settings(home=home))
    await store.start()
    acknowledged: list[list[str]] = []

    async def register() -> bool:
        ids, changes = registration()
        try:
            await store.commit(OPEN, changes)
        except Busy:
            return False
        acknowledged.append(ids)
        return True

    tasks = [asyncio.create_task(register()) for _ in range(COMMITS)]
    await asyncio.sleep(rng.uniform(0.05, 0.3))
    await store.stop()
    done = await asyncio.gather(*tasks)
    database.close()
    return acknowledged, done.count(False)
