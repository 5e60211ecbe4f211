"""A job child's workplace on a temporary database, and a patient whose programme is activated."""

from __future__ import annotations

import pytest

from gateway.settings import Settings
from gateway.store.sqlite import Database
from gateway.store.store import Store
from gateway.work.engine import publish_engine
from gateway.work.worker import Worker
from gateway.work.workplace import Workplace
from tests.work.people import Person


@pytest.fixture
async def workplace(database: Database, store: Store, settings: Settings) -> Workplace:
    await publish_engine(store)
    return Workplace(database, store, settings)


@pytest.fixture
def worker(workplace: Workplace) -> Worker:
    return Worker(workplace)


@pytest.fixture
async def anna(workplace: Workplace) -> Person:
    """Registered by the clinic, activated, sharing nothing."""
    return await Person.activated(workplace)
