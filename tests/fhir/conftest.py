"""A FHIR endpoint on a fresh store."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fhir_client import Client
from sqlmodel import SQLModel

from gateway.settings import Settings
from gateway.store.sqlite import SQLiteDatabase
from gateway.store.store import Store


def make_settings(home: Path, **changes: Any) -> Settings:
    return Settings(home=home, public_base_url="http://testserver", audit_reads="within-1s", **changes)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with every table and no row, made once and copied."""
    path = tmp_path_factory.mktemp("empty") / "store.sqlite"
    database = SQLiteDatabase(path)
    SQLModel.metadata.create_all(database.engine)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


class Endpoints:
    """Endpoints with their own settings and stores, on one event loop, closed together."""

    def __init__(self, home: Path, empty_store: Path) -> None:
        self._home = home
        self._empty_store = empty_store
        self._loop = asyncio.new_event_loop()
        self._opened: list[tuple[Store, SQLiteDatabase]] = []

    def __call__(self, **changes: Any) -> Client:
        home = self._home / str(len(self._opened))
        home.mkdir()
        shutil.copy(self._empty_store, home / "store.sqlite")
        settings = make_settings(home, **changes)
        # These tests are about answers, not about power cuts.
        database = SQLiteDatabase(home / "store.sqlite", synchronous="OFF")
        store = Store(database, settings=settings)
        self._loop.run_until_complete(store.start())
        self._opened.append((store, database))
        return Client(store, settings, self._loop)

    def close(self) -> None:
        for store, database in self._opened:
            self._loop.run_until_complete(store.stop())
            database.close()
        self._loop.close()


@pytest.fixture
def make_client(tmp_path: Path, empty_store: Path) -> Iterator[Endpoints]:
    """Clients of endpoints with their own settings, for one test."""
    endpoints = Endpoints(tmp_path, empty_store)
    yield endpoints
    endpoints.close()


@pytest.fixture(scope="module")
def make_endpoint(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Endpoints]:
    """The same for a whole module."""
    endpoints = Endpoints(tmp_path_factory.mktemp("endpoints"), empty_store)
    yield endpoints
    endpoints.close()


@pytest.fixture
def client(make_client: Endpoints) -> Client:
    """A client of an empty endpoint with default settings."""
    return make_client()


@pytest.fixture
def patient() -> dict[str, Any]:
    """A synthetic patient."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:example:clinic", "value": "p-1"}],
        "name": [{"family": "Ødegård", "given": ["Kari"]}],
        "gender": "female",
        "birthDate": "1980-02-29",
    }
