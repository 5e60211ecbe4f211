"""The schema's versions: what the migrations make, in both directions, alone, and after a kill, on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect
from sqlmodel import SQLModel

import gateway.people.tables
import gateway.store.tables
import gateway.work.jobs  # noqa: F401 - importing a table module declares its tables
from gateway.settings import Settings
from gateway.store import migrations
from gateway.store.database import Database, DatabaseUnusable, open_database
from tests.postgresql import Server
from tests.store import later_version

# What only PostgreSQL has (gateway/store/migrations/postgresql_foundation.py).
POSTGRESQL_ONLY = {"administration_epoch", "read_audit"}


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """The settings of an installation whose database has nothing in it yet."""
    if request.param == "sqlite":
        yield Settings(home=tmp_path)
        return
    server: Server = request.getfixturevalue("server")
    url = server.new_database("template0")
    yield Settings(home=tmp_path, database_url=url)
    server.drop_database(url)


@pytest.fixture
def fresh(empty: Settings) -> Iterator[Database]:
    database = open_database(empty)
    yield database
    database.close()


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names()) - {"alembic_version"}


def test_the_migrations_make_what_the_tables_declare(fresh: Database) -> None:
    migrations.upgrade(fresh)
    with fresh.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    assert [step for step in found if not is_postgresql_only(step)] == []
    assert migrations.pending(fresh) == []


def is_postgresql_only(step: object) -> bool:
    if not isinstance(step, tuple) or step[0] not in ("remove_table", "remove_index"):
        return False
    table = step[1] if step[0] == "remove_table" else step[1].table
    return table.name in POSTGRESQL_ONLY


def test_going_back_to_base_leaves_nothing_and_the_way_up_is_open_again(fresh: Database) -> None:
    assert migrations.upgrade(fresh) == ["0001"]
    made = tables(fresh)
    assert {table.name for table in SQLModel.metadata.tables.values()} <= made
    assert migrations.downgrade(fresh, migrations.NOTHING) == ["0001"]
    assert tables(fresh) == set()
    assert migrations.upgrade(fresh) == ["0001"]
    assert tables(fresh) == made


def test_a_start_migrates_sqlite_and_refuses_postgresql_unless_it_is_told_to(fresh: Database) -> None:
    if fresh.dialect == "postgresql":
        with pytest.raises(DatabaseUnusable, match="lacks version 0001; run: backbridge migrate$"):
            migrations.make_ready(fresh)
        assert tables(fresh) == set()
    migrations.make_ready(fresh, migrate=True)
    migrations.make_ready(fresh)
    assert migrations.pending(fresh) == []


def test_a_schema_from_the_future_is_refused_in_one_line(fresh: Database, tmp_path: Path) -> None:
    versions = later_version.written(tmp_path / "later")
    migrations.upgrade(fresh, versions=versions)
    with pytest.raises(DatabaseUnusable, match="version 9001, which this program does not know"):
        migrations.make_ready(fresh)


def test_two_processes_that_migrate_at_once_take_turns(empty: Settings) -> None:
    command = [sys.executable, "-m", "gateway.cli", "migrate", "--home", str(empty.home)]
    environment = os.environ | {"BACKBRIDGE_DATABASE_URL": empty.database_url}
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate()[0].strip() for process in both)
    assert said == ["Applied 0001.", "The schema is the newest already."]
    assert [process.returncode for process in both] == [0, 0]


WAY_UP = ("table", "column", "index")
WAY_DOWN = ("no index", "no column")


@pytest.mark.parametrize("place", [*WAY_UP, *WAY_DOWN])
def test_a_migration_that_was_killed_is_completed_by_the_next(
    empty: Settings, fresh: Database, tmp_path: Path, place: str
) -> None:
    versions = later_version.written(tmp_path / "later")
    up = place in WAY_UP
    migrations.upgrade(fresh, "0001" if up else migrations.NEWEST, versions=versions)
    before = migrations.current(fresh)
    kill_at(place, empty, versions[-1], migrations.NEWEST if up else "0001")
    assert migrations.current(fresh) == before
    (migrations.upgrade if up else migrations.downgrade)(fresh, migrations.NEWEST if up else "0001", versions=versions)
    assert is_later(fresh) == (up, up, up)


def kill_at(place: str, settings: Settings, folder: Path, to: str) -> None:
    """Have a process of its own migrate, and kill it there."""
    stopped = settings.home / "stopped"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.later_version", str(settings.home), settings.database_url, str(folder), to],
        env=os.environ | {"STOP_AT": place, "STOPPED": str(stopped)},
    )
    until(stopped.exists)
    process.kill()
    process.wait()


def is_later(database: Database) -> tuple[bool, bool, bool]:
    """Whether the later version's table, column and index are there."""
    found = inspect(database.engine)
    columns = {column["name"] for column in found.get_columns("outbox")}
    indexes = {index["name"] for index in found.get_indexes("outbox")}
    return "later" in found.get_table_names(), "later" in columns, later_version.INDEX in indexes


def test_an_index_whose_building_was_interrupted_is_made_again(
    server: Server, postgresql_url: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, database_url=postgresql_url)
    database = open_database(settings)
    versions = later_version.written(tmp_path / "later")
    with psycopg.connect(postgresql_url) as somebody:
        # Building waits for transactions that are older than it.
        somebody.execute("INSERT INTO administration_epoch SELECT 2 WHERE false")
        somebody.execute("LOCK TABLE outbox IN ROW EXCLUSIVE MODE")
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.store.later_version",
                str(tmp_path),
                postgresql_url,
                str(versions[-1]),
                "head",
            ]
        )
        until(lambda: validity(postgresql_url) == [(False,)])
        process.kill()
        process.wait()
        # The lock ends with the server's own process, which finds out that its client is gone.
        until(lambda: not migrators(postgresql_url))
    assert validity(postgresql_url) == [(False,)]
    migrations.upgrade(database, versions=versions)
    assert validity(postgresql_url) == [(True,)]
    database.close()


def validity(url: str) -> list[tuple[bool]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname = %s",
            (later_version.INDEX,),
        ).fetchall()


def migrators(url: str) -> list[tuple[int]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        ).fetchall()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)
