"""A job child's workplace on a temporary database."""

from __future__ import annotations

import pytest

from gateway.settings import Settings
from gateway.store.sqlite import SQLiteDatabase
from gateway.store.store import Store
from gateway.work.engine import publish_engine
from gateway.work.workplace import Workplace


@pytest.fixture
async def workplace(database: SQLiteDatabase, store: Store, settings: Settings) -> Workplace:
    await publish_engine(store)
    return Workplace(database, store, settings)
