"""A job child's workplace on each database, and a patient whose programme is activated."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.store.database import Database, open_database
from gateway.store.store import Store
from gateway.work.engine import publish_engine
from gateway.work.worker import Worker
from gateway.work.workplace import Workplace
from tests.work.people import Person


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path) -> Settings:
    """An installation whose database is empty and of the newest schema."""
    if request.param == "postgresql":
        return Settings(home=tmp_path, database_url=request.getfixturevalue("postgresql_url"))
    settings = Settings(home=tmp_path)
    shutil.copy(empty_database, settings.database_path)
    return settings


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = open_database(settings)
    yield database
    database.close()


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
