"""The schema's versions: what the migrations make, in both directions, alone, and after a kill, on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect
from sqlmodel import SQLModel, text

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
        with pytest.raises(DatabaseUnusable, match=r"lacks version 0001; run: backbridge migrate$"):
            migrations.make_ready(fresh)
        assert tables(fresh) == set()
    migrations.make_ready(fresh, migrate=True)
    migrations.make_ready(fresh)
    assert migrations.pending(fresh) == []


def test_a_schema_from_the_future_is_refused_in_one_line(fresh: Database, tmp_path: Path) -> None:
    versions = later_version.written(tmp_path / "later")
    migrations.upgrade(fresh, versions=versions)
    with pytest.raises(DatabaseUnusable, match="version 9002, which this program does not know"):
        migrations.make_ready(fresh)


def test_two_processes_that_migrate_at_once_take_turns(empty: Settings) -> None:
    command = [sys.executable, "-m", "gateway.cli", "migrate", "--home", str(empty.home)]
    environment = os.environ | {"BACKBRIDGE_DATABASE_URL": empty.database_url}
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate()[0].strip() for process in both)
    assert said == ["Applied 0001.", "The schema is the newest already."]
    assert [process.returncode for process in both] == [0, 0]


WAY_UP = ("table made", "column made", "index made")
WAY_DOWN = ("index dropped", "column dropped", "table dropped")


@pytest.mark.parametrize("place", [*WAY_UP, *WAY_DOWN])
def test_a_migration_that_was_killed_is_completed_by_the_next(
    empty: Settings, fresh: Database, tmp_path: Path, place: str
) -> None:
    versions = later_version.written(tmp_path / "later")
    begin, end = "0001", migrations.NEWEST
    if place in WAY_DOWN:
        begin, end = end, begin
    migrations.upgrade(fresh, begin, versions=versions)
    kill_at(place, empty, versions[-1], end)
    assert table_and_column(fresh) == (has_table(fresh), has_table(fresh))
    step = migrations.upgrade if place in WAY_UP else migrations.downgrade
    step(fresh, end, versions=versions)
    assert table_and_column(fresh) == (place in WAY_UP, place in WAY_UP)
    assert has_index(fresh) == (place in WAY_UP)


def kill_at(place: str, settings: Settings, folder: Path, to: str) -> None:
    """Have a process of its own migrate, and kill it there."""
    stopped = settings.home / "stopped"
    process = migrating(settings, folder, to, STOP_AT=place, STOPPED=str(stopped))
    until(stopped.exists)
    process.kill()
    process.wait()


def migrating(settings: Settings, folder: Path, to: str, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.store.later_version"]
    arguments = [str(settings.home), settings.database_url, str(folder), to]
    return subprocess.Popen([*command, *arguments], env=os.environ | environment)


def has_table(database: Database) -> bool:
    """Whether the version that the schema says it has makes the table."""
    return migrations.current(database) in (later_version.TABLE, later_version.INDEX)


def table_and_column(database: Database) -> tuple[bool, bool]:
    found = inspect(database.engine)
    return "later" in found.get_table_names(), "later" in {column["name"] for column in found.get_columns("outbox")}


def has_index(database: Database) -> bool:
    return later_version.INDEX_NAME in {index["name"] for index in inspect(database.engine).get_indexes("outbox")}


def test_an_index_whose_building_was_interrupted_is_made_again(postgresql_url: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url=postgresql_url)
    database = open_database(settings)
    versions = later_version.written(tmp_path / "later")
    migrations.upgrade(database, later_version.TABLE, versions=versions)
    with psycopg.connect(postgresql_url) as somebody:
        # Building waits for transactions that write to the table.
        somebody.execute("LOCK TABLE outbox IN ROW EXCLUSIVE MODE")
        process = migrating(settings, versions[-1], migrations.NEWEST)
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
            (later_version.INDEX_NAME,),
        ).fetchall()


def migrators(url: str) -> list[tuple[int]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        ).fetchall()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


ROWS = int(os.environ.get("BACKBRIDGE_MIGRATION_ROWS", "20000"))
_FILL = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)",
    "postgresql": "WITH n(i) AS (SELECT generate_series(1, :rows))",
}


@pytest.mark.timeout(1_800)
def test_a_large_table_goes_up_and_down_while_others_write(empty: Settings, fresh: Database, tmp_path: Path) -> None:
    """Prints how long each version took, and how long at most another process waited to write to the table."""
    versions = later_version.written(tmp_path / "later")
    migrations.upgrade(fresh)
    with fresh.working() as session:
        session.connection().execute(text(f"{_FILL[fresh.dialect]} {_INSERT} FROM n"), {"rows": ROWS})
    way = (later_version.TABLE, later_version.INDEX, later_version.TABLE, "0001")
    with ThreadPoolExecutor(1) as pool:
        ended = threading.Event()
        writing = pool.submit(longest_wait, empty, ended)
        for number, to in enumerate(way):
            began = time.monotonic()
            (migrations.upgrade if number < 2 else migrations.downgrade)(fresh, to, versions=versions)
            print(f"{fresh.dialect}: {'up' if number < 2 else 'down'} to {to}: {time.monotonic() - began:.1f} s")
            assert migrations.current(fresh) == to
        ended.set()
        written, wait = writing.result()
    print(f"{fresh.dialect}: {written} rows were written meanwhile; the longest wait was {wait:.1f} s")
    with fresh.reading() as session:
        assert session.connection().execute(text("SELECT count(*) FROM outbox")).scalar_one() == ROWS + written


_INSERT = (
    "INSERT INTO outbox (kind, patient, type, resource, version, state, due, tries, leased_until, note, created)"
    " SELECT 'test', i, 1, 'r', 1, 1, 0, 0, 0, '', 0"
)


def longest_wait(settings: Settings, ended: threading.Event) -> tuple[int, float]:
    """Write row after row from a database of its own; how many, and the longest time that one took."""
    database, written, longest = open_database(settings), 0, 0.0
    while not ended.wait(0.01):
        began = time.monotonic()
        with database.working() as session:
            session.connection().execute(text(f"{_INSERT} FROM (SELECT 1 AS i) n"))
        written, longest = written + 1, max(longest, time.monotonic() - began)
    database.close()
    return written, longest
