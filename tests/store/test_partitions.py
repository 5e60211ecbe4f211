"""Tables divided by patient: what a statement touches, where rows are, and that a key stays unique over partitions."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlmodel import text
from typer.testing import CliRunner

from gateway.cli import app
from gateway.people.hashing import sign_in_key
from gateway.privacy import backup_keys
from gateway.privacy.backup import backup
from gateway.privacy.backup_restore import restore
from gateway.r4.identity import new_id
from gateway.settings import Settings
from gateway.store import migrations, reader
from gateway.store.cursor import Cursors
from gateway.store.dialect import PARTITIONED
from gateway.store.keys import derived, root_key, token_hash
from gateway.store.migrations import partitions
from gateway.store.postgresql import snapshots
from gateway.store.postgresql.database import PostgreSQLDatabase
from gateway.store.postgresql.text import translated
from gateway.store.search import Searcher
from gateway.store.store import Store, now_us
from tests.postgresql import PARTITIONS, Server
from tests.store.actors import OPEN, clinic, create, delete, observation, person, search, update

pytestmark = pytest.mark.anyio

_TYPES = {int: "bigint", str: "text", float: "double precision"}
# A table's part that took part: what was pruned is missing from the plan, or was never executed.
_EXECUTED = re.compile(rf" on ({'|'.join(partitions.TABLES)})_(\d+) .*\(actual")


class Explaining:
    """Runs statements as the store's readers do, by a plan for any parameters, and keeps what they touched."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._number = 0
        self.touched: set[tuple[str, int]] = set()

    def execute(self, asked: str, parameters: Any = ()) -> psycopg.Cursor[Any]:
        statement = translated(asked)
        values = statement.values(parameters)
        self._number += 1
        name = f"asked_{self._number}"
        types = ", ".join(_TYPES[type(value)] for value in values)
        self._connection.execute(f"PREPARE {name} ({types}) AS ".encode() + statement.sql)
        run = sql.SQL("EXECUTE " + name + " ({})").format(sql.SQL(", ").join(map(sql.Literal, values)))
        plan = self._connection.execute(sql.SQL("EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) ") + run)
        self.touched |= {(found[1], int(found[2])) for (line,) in plan if (found := _EXECUTED.search(line))}
        return self._connection.execute(run)


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    made = server.new_partitioned_database()
    yield made
    server.drop_database(made)


@pytest.fixture
def divided(url: str) -> Iterator[PostgreSQLDatabase]:
    database = PostgreSQLDatabase(url)
    yield database
    database.close()


@pytest.fixture
async def store(divided: PostgreSQLDatabase, settings: Settings, anyio_backend: str) -> AsyncIterator[Store]:
    running = Store(divided, settings=settings)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
def explaining(url: str) -> Iterator[Explaining]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(snapshots.settings_for(60.0).encode())
        yield Explaining(connection)


def rows(database: PostgreSQLDatabase, asked: str) -> list[tuple[Any, ...]]:
    with database.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(asked))]


async def filled(store: Store, number: int = 12) -> list[str]:
    """The ids of so many patients of the clinic, each with two Observations that have two versions."""
    made = [each.version.id for each in await store.commit(clinic(), [create(person()) for _ in range(number)])]
    for each in made:
        codes = ("8302-2", "29463-7")
        done = await store.commit(clinic(), [create(observation(each, code)) for code in codes])
        changes = [update(one.version.id, observation(each, code, 2.0)) for one, code in zip(done, codes, strict=True)]
        await store.commit(clinic(), changes)
    return made


def place_of(database: PostgreSQLDatabase, logical_id: str) -> int:
    """The number of the partition of `resource` that a resource is in."""
    [(where,)] = rows(database, f"SELECT tableoid::regclass::text FROM resource WHERE id = '{logical_id}'")
    return int(where.rpartition("_")[2])


async def test_a_read_by_id_touches_one_partition(
    store: Store, divided: PostgreSQLDatabase, explaining: Explaining
) -> None:
    await filled(store)
    [(logical_id,)] = rows(divided, "SELECT id FROM resource WHERE type <> 0 AND patient <> pk LIMIT 1")
    found = reader.read(explaining, clinic(), "Observation", logical_id, now_us(), PARTITIONED)
    assert found.version.version == 2
    assert {number for _, number in explaining.touched} == {place_of(divided, logical_id)}
    assert {table for table, _ in explaining.touched} >= {"resource", "history", "grant_row"}


@pytest.mark.parametrize(
    ("query", "matches"),
    [("subject=Patient/{}", 2), ("patient={}&code=8302-2", 1), ("patient={}&code=8302-2&value-quantity=gt3", 0)],
)
async def test_a_search_about_one_patient_touches_one_partition(
    store: Store, divided: PostgreSQLDatabase, explaining: Explaining, settings: Settings, query: str, matches: int
) -> None:
    whose, *_ = await filled(store)
    hash_token = token_hash(derived(root_key(settings.home), "token index"))
    searcher = Searcher(hash_token, Cursors(bytes(32)), 4, PARTITIONED)
    found = searcher.search(explaining, clinic(), search("Observation", query.format(whose)), now_us())
    assert len(found.page.matches) == matches
    assert {number for _, number in explaining.touched} == {place_of(divided, whose)}


async def test_everything_about_a_patient_is_in_one_partition(store: Store, divided: PostgreSQLDatabase) -> None:
    await filled(store)
    for table in partitions.TABLES:
        found = rows(divided, f"SELECT patient, count(DISTINCT tableoid) FROM {table} GROUP BY patient")
        assert all(number == 1 for _, number in found), table
    used = rows(divided, "SELECT DISTINCT tableoid FROM resource")
    assert len(used) > 1, "the patients are spread"
    same = rows(
        divided,
        "SELECT DISTINCT right(r.tableoid::regclass::text, 2) = right(h.tableoid::regclass::text, 2)"
        " FROM resource r JOIN history h ON h.patient = r.patient",
    )
    assert same == [(True,)]


async def test_the_locator_says_of_every_resource_whose_it_is(store: Store, divided: PostgreSQLDatabase) -> None:
    first, second, *_ = await filled(store)
    await store.commit(OPEN, [update("moves", observation(first))])
    await store.commit(OPEN, [update("moves", observation(second))])
    await store.commit(OPEN, [update("loses", observation(first))])
    await store.commit(OPEN, [update("loses", {**observation(first), "subject": {"display": "nobody here"}})])
    await store.commit(OPEN, [update("goes", observation(first))])
    await store.commit(OPEN, [delete("Observation", "goes")])
    assert rows(divided, "SELECT pk, patient FROM locator ORDER BY pk") == rows(
        divided, "SELECT pk, patient FROM resource ORDER BY pk"
    )
    assert rows(divided, "SELECT count(*) FROM locator WHERE patient = 0") == [(1,)]


async def test_a_resource_that_becomes_somebody_elses_moves(store: Store, divided: PostgreSQLDatabase) -> None:
    everyone = await filled(store)
    first = everyone[0]
    second = next(each for each in everyone if place_of(divided, each) != place_of(divided, first))
    await store.commit(OPEN, [update("moves", observation(first, code="41950-7"))])
    assert place_of(divided, "moves") == place_of(divided, first)
    await store.commit(OPEN, [update("moves", observation(second, code="41950-7"))])
    assert place_of(divided, "moves") == place_of(divided, second)
    assert (await store.read(OPEN, "Observation", "moves")).version == 2
    assert (await store.vread(OPEN, "Observation", "moves", 1)).version == 1
    assert [each.version for each in (await store.history(OPEN, type="Observation", id="moves")).entries] == [2, 1]
    found = [
        len((await store.search(OPEN, search("Observation", f"subject=Patient/{each}&code=41950-7"))).matches)
        for each in (first, second)
    ]
    assert found == [0, 1]


async def test_of_two_creates_of_one_id_at_once_one_succeeds(store: Store, divided: PostgreSQLDatabase) -> None:
    """About different patients, so that no partition knows of both."""
    everyone = await filled(store)
    second = next(each for each in everyone if place_of(divided, each) != place_of(divided, everyone[0]))
    for _ in range(5):
        logical_id = new_id()
        both = [create(observation(whose), id=logical_id) for whose in (everyone[0], second)]
        done = await asyncio.gather(*(store.commit(OPEN, [each]) for each in both), return_exceptions=True)
        assert sum(isinstance(each, BaseException) for each in done) == 1, done
        assert rows(divided, f"SELECT count(*) FROM resource WHERE id = '{logical_id}'") == [(1,)]
        assert rows(divided, f"SELECT count(*) FROM history WHERE id = '{logical_id}'") == [(1,)]


async def test_feeds_that_choose_the_same_id_at_once_write_one_resource(
    store: Store, divided: PostgreSQLDatabase
) -> None:
    everyone = await filled(store, 6)
    done = await asyncio.gather(*(store.commit(OPEN, [update("same", observation(each))]) for each in everyone))
    assert sorted(each.version.version for [each] in done) == [1, 2, 3, 4, 5, 6]
    assert [each.outcome for [each] in done].count("created") == 1
    assert rows(divided, "SELECT count(*), max(version) FROM resource WHERE id = 'same'") == [(1, 6)]


# -- the command -----------------------------------------------------------------------------------------------------


def migrate(home: Path, url: str, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["migrate", "--home", str(home), "--database-url", url, *options])
    return done.exit_code, " ".join(done.output.split())


def test_an_empty_database_is_partitioned_by_the_command_and_knows_it(server: Server, tmp_path: Path) -> None:
    made = server.new_database("template0")
    code, said = migrate(tmp_path, made, "--partitions", "3")
    assert (code, said) == (0, "Applied 0001. The tables are divided into 3 partitions.")
    database = PostgreSQLDatabase(made)
    assert database.is_partitioned()
    assert {number for (number,) in rows(database, "SELECT count(*) FROM pg_inherits GROUP BY inhparent")} == {3}
    database.close()
    code, said = migrate(tmp_path, made)
    assert (code, said) == (0, "The schema is the newest already.")
    code, said = migrate(tmp_path, made, "--partitions", "3")
    assert code == 1
    assert "partitioned already" in said
    code, said = migrate(tmp_path, made, "--to", "base", "--yes")
    assert code == 1
    assert "no way back" in said
    server.drop_database(made)


async def test_a_database_with_something_in_it_is_not_partitioned(
    server: Server, settings: Settings, tmp_path: Path, anyio_backend: str
) -> None:
    made = server.new_database()
    database = PostgreSQLDatabase(made)
    assert not database.is_partitioned()
    running = Store(database, settings=settings)
    await running.start()
    await running.commit(OPEN, [create(person())])
    await running.stop()
    before = rows(database, "SELECT pk FROM resource")
    code, said = await asyncio.to_thread(migrate, tmp_path, made, "--partitions", str(PARTITIONS))
    assert code == 1
    assert "not empty" in said
    assert rows(database, "SELECT pk FROM resource") == before
    database.close()
    server.drop_database(made)


def test_a_later_version_may_add_an_index(divided: PostgreSQLDatabase, tmp_path: Path) -> None:
    later = """
from gateway.store.migrations.indexes import create_index

revision, down_revision, branch_labels, depends_on = "9001", "0001", None, None


def upgrade():
    create_index("resource_author", "resource", ["author", "pk"])
"""
    (tmp_path / "9001_later.py").write_text(later)
    assert migrations.upgrade(divided, versions=(*migrations.VERSIONS, tmp_path)) == ["9001"]
    parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'resource_author'::regclass"
    assert rows(divided, parts) == [(PARTITIONS,)]


async def test_a_backup_by_the_owner_is_restored_with_its_partitions(
    server: Server, tmp_path: Path, anyio_backend: str
) -> None:
    made = server.new_database("template0")
    settings = Settings(home=tmp_path / "home", database_url=made)
    assert migrate(settings.home, made, "--partitions", "3")[0] == 0
    database = PostgreSQLDatabase(made)
    running = Store(database, settings=settings)
    await running.start()
    everyone = await filled(running, 6)
    await running.stop()
    sign_in_key(settings.home / "keys")
    backup(settings, tmp_path / "b")
    copy = Settings(home=tmp_path / "there", database_url=server.new_database("template0"))
    restore(copy, tmp_path / "b", backup_keys.every(backup_keys.folder_of(settings.home)))
    restored = PostgreSQLDatabase(copy.database_url)
    assert restored.is_partitioned()
    where = "SELECT pk, patient, tableoid::regclass::text FROM resource ORDER BY pk"
    assert rows(restored, where) == rows(database, where)
    running = Store(restored, settings=copy)
    await running.start()
    [done] = await running.commit(clinic(), [create(observation(everyone[0]))])
    assert (await running.read(clinic(), "Observation", done.version.id)).version == 1
    await running.stop()
    for each in (database, restored):
        each.close()
    for url in (made, copy.database_url):
        server.drop_database(url)


def test_sqlite_has_no_partitions_and_says_so(tmp_path: Path) -> None:
    code, said = migrate(tmp_path, f"sqlite:///{tmp_path / 'backbridge.sqlite'}", "--partitions", "4")
    assert code == 1
    assert "SQLite has no partitions" in said
