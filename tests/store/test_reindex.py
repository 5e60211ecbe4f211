"""Reindexing writes every derived row anew from the bodies: exactly those that were there, while writes go on."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text

from gateway.r4.definitions import type_id
from gateway.settings import Settings
from gateway.store.clauses import TABLES
from gateway.store.database import Database
from gateway.store.keys import derived, root_key, token_hash
from gateway.store.prepare import Preparer
from gateway.store.reindex import reindex
from gateway.store.store import Store
from tests.consent.worlds import World
from tests.store import searchable
from tests.store.actors import OPEN, clinic, create, observation, person, search, update
from tests.store.databases import Databases
from tests.store.stored_rows import rows
from tests.store.stored_world import Clock, StoredWorld, opened

pytestmark = pytest.mark.anyio

DERIVED = (*TABLES.values(), "named_patient", "past_code", "grant_row", "deny_row", "resource", "history")
Rows = dict[str, list[tuple[object, ...]]]


def preparer_of(home: Path) -> Preparer:
    settings = Settings(home=home, public_base_url="http://testserver")
    return Preparer(token_hash(derived(root_key(home), "token index")), settings.fhir_base_url)


def everything(database: Database) -> Rows:
    """All rows of the tables that hold something derived; rules without the number that the database gave them."""
    found = {}
    for table in DERIVED:
        columns = [column["name"] for column in inspect(database.engine).get_columns(table)]
        kept = ", ".join(each for each in columns if not (table.endswith("_row") and each == "id"))
        found[table] = sorted(rows(database, f"SELECT {kept} FROM {table}"), key=repr)
    return found


def tampered(database: Database, rng: random.Random) -> None:
    """Index rows lost and altered, facts changed, rules of Consents gone and widened."""
    with database.engine.begin() as connection:
        for table in (*TABLES.values(), "named_patient", "past_code"):
            _tear(connection, table, rng)
        connection.execute(text("UPDATE index_string SET value = 'tampered' WHERE pk % 2 = 1"))
        for table in ("resource", "history"):
            connection.execute(
                text(
                    f"UPDATE {table} SET category = 0, labels = 0, confidentiality = 0, open = 1, patients = 0,"
                    " patient = 0, effective_from = 0, effective_to = 1 WHERE pk % 3 > 0"
                )
            )
        consents = f"SELECT pk FROM resource WHERE type = {type_id('Consent')} AND deleted = 0"
        widened = "UPDATE grant_row SET categories = 255, valid_to = 4611686018427387904"
        connection.execute(text(f"{widened} WHERE source IN ({consents})"))
        connection.execute(text(f"DELETE FROM deny_row WHERE source IN ({consents})"))


def _tear(connection: Connection, table: str, rng: random.Random) -> None:
    keys = [row[0] for row in connection.execute(text(f"SELECT DISTINCT pk FROM {table} ORDER BY pk"))]
    for pk in rng.sample(keys, len(keys) // 2):
        connection.execute(text(f"DELETE FROM {table} WHERE pk = :pk"), {"pk": pk})


@pytest.mark.parametrize("seed", range(4))
async def test_reindexing_restores_what_was_tampered_with(seed: int, tmp_path: Path, databases: Databases) -> None:
    home, clock = tmp_path / "home", Clock()
    async with opened(home, databases, clock) as (store, database):
        await StoredWorld(World.random(seed), store, database, clock).load()
        rng = random.Random(seed)
        for each in searchable.IDS:
            await store.commit(OPEN, [update(f"s-{each}", searchable.resource(rng, each))])
        before = everything(database)
        tampered(database, rng)
        assert everything(database) != before
        done = await asyncio.to_thread(reindex, database, preparer_of(home), lambda done, total: None)
        assert done == len(before["resource"])
        after = everything(database)
    for table in DERIVED:
        assert after[table] == before[table], table
    assert all(before[table] for table in DERIVED), "each table took part"


async def test_writes_and_searches_go_on_while_reindexing(store: Store, database: Database, settings: Settings) -> None:
    """What is written meanwhile is found meanwhile and afterwards; a second run finds nothing to change."""
    whose = [made.version.id for made in await store.commit(OPEN, [create(person()) for _ in range(300)])]
    await store.commit(OPEN, [create(observation(each)) for each in whose])
    preparer = Preparer(token_hash(derived(root_key(settings.home), "token index")), settings.fhir_base_url)
    progress: list[int] = []
    running = asyncio.create_task(
        asyncio.to_thread(reindex, database, preparer, lambda done, total: progress.append(done))
    )
    written = 0
    while not running.done() or written < 5:
        logical_id = whose[written]
        await store.commit(OPEN, [create(observation(logical_id, code="41950-7"))])
        await store.commit(OPEN, [update(logical_id, person(f"Renamed{written}"))])
        page = await store.search(OPEN, search("Observation", f"subject=Patient/{logical_id}&code=41950-7"))
        assert len(page.matches) == 1
        assert [each.id for each in (await store.search(OPEN, search("Patient", f"family=renamed{written}"))).matches]
        written += 1
    assert await running >= 600
    assert progress == sorted(progress)
    before = everything(database)
    await asyncio.to_thread(reindex, database, preparer, lambda done, total: None)
    assert everything(database) == before
    assert len(before["resource"]) == 600 + written


async def test_reindexing_leaves_alone_what_no_consent_says(
    store: Store, database: Database, settings: Settings
) -> None:
    """Grants of care relationships and of the patients themselves are nobody's to compute from a body."""
    await store.commit(clinic(), [create(person())])
    standing = rows(database, "SELECT * FROM grant_row")
    await asyncio.to_thread(reindex, database, preparer_of(settings.home), lambda done, total: None)
    assert rows(database, "SELECT * FROM grant_row") == standing
    assert len({row[1] for row in standing}) == 2, "of the patient and of the organisation"
