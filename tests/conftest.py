"""What every test may ask for: a clean environment, and a real store on a temporary SQLite file."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.store import migrations
from gateway.store.sqlite import SQLiteDatabase
from gateway.store.store import Store
from tests.postgresql import postgresql_url, server

__all__ = ["postgresql_url", "server"]

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith("BACKBRIDGE_") and name not in _SWITCHES]:
        del os.environ[name]


# Settings of the test run itself, not of a gateway.
_SWITCHES = {
    "BACKBRIDGE_FUZZ",
    "BACKBRIDGE_BENCH_MB",
    "BACKBRIDGE_DECISIONS",
    "BACKBRIDGE_REQUESTS",
    "BACKBRIDGE_FAULT_OPERATIONS",
    "BACKBRIDGE_FAKETIME",
    "BACKBRIDGE_MIGRATION_ROWS",
}


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real inputs beside the checkout; a plain clone has none and skips."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the real inputs in ../shared/data, which a plain clone does not have")
    return SHARED_DATA


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty database of the newest schema, migrated once and copied for each test."""
    path = tmp_path_factory.mktemp("template") / "empty.sqlite"
    database = SQLiteDatabase(path)
    migrations.upgrade(database)
    database.close()
    return path


@pytest.fixture
def database(settings: Settings, empty_database: Path) -> Iterator[SQLiteDatabase]:
    """An empty database of the newest schema."""
    path = settings.home / "backbridge.sqlite"
    shutil.copy(empty_database, path)
    database = SQLiteDatabase(path)
    yield database
    database.close()


@pytest.fixture
async def store(database: SQLiteDatabase, settings: Settings, anyio_backend: str) -> AsyncIterator[Store]:
    """A running store."""
    store = Store(database, settings=settings)
    await store.start()
    yield store
    await store.stop()
