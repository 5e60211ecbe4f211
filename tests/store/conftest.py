"""The store's tests run on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.store.database import Database
from tests.postgresql import Server
from tests.store.databases import Databases, PartitionedDatabases, PostgreSQLDatabases, SQLiteDatabases

# Tests of what partitions change: how statements find rows, and how rows are written, moved and rewritten.
_ALSO_PARTITIONED = ("test_commit", "test_shapes", "test_two_worlds", "test_reindex")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of the store runs on both databases, unless it names its own, some on partitioned tables too."""
    named = [mark for mark in metafunc.definition.iter_markers("parametrize") if mark.args[0] == "databases"]
    if "databases" in metafunc.fixturenames and not named:
        partitioned = metafunc.module.__name__.rpartition(".")[2] in _ALSO_PARTITIONED
        also = ["postgresql-partitioned"] if partitioned else []
        metafunc.parametrize("databases", ["sqlite", "postgresql", *also], indirect=True, scope="module")


@pytest.fixture(scope="module")
def databases(request: pytest.FixtureRequest, empty_database: Path) -> Iterator[Databases]:
    """Where databases come from, by the parameter that `pytest_generate_tests` chose."""
    found: Databases = SQLiteDatabases(empty_database)
    if request.param != "sqlite":
        server: Server = request.getfixturevalue("server")
        found = (PostgreSQLDatabases if request.param == "postgresql" else PartitionedDatabases)(server)
    yield found
    found.close()


@pytest.fixture
def database(databases: Databases, settings: Settings, tmp_path: Path) -> Iterator[Database]:
    """An empty database of the newest schema."""
    home = settings.home / "home"
    databases.create(home)
    opened = databases.open(home)
    yield opened
    opened.close()
