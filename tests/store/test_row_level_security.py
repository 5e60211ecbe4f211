"""The net below the guard on PostgreSQL: it refuses who says nothing, holds where the guard is gone, changes nothing.

docs/decisions/0022-row-level-security.md
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import psycopg
import pytest
from psycopg import errors

from consent.standing import relationship_grants
from gateway.access import AccessContext, actor_key
from gateway.fhir.search_syntax import parse_search
from gateway.people import care
from gateway.r4.identity import is_server_id, key_of, new_id
from gateway.settings import Settings
from gateway.store import guard, rules
from gateway.store.errors import IdNotAllowed, NotFound, StorageFailed, StoreError
from gateway.store.integrity import damages
from gateway.store.keys import derived, root_key, token_hash
from gateway.store.migrations.row_level_security import OF_PATIENTS, TABLES
from gateway.store.prepare import Preparer
from gateway.store.registration import NHS_NUMBER_SYSTEM, verified
from gateway.store.reindex import reindex
from gateway.store.search import Shape
from gateway.store.store import now_us
from gateway.store.tables import FAR_FUTURE, FAR_PAST
from tests.consent import worlds
from tests.postgresql import Server
from tests.store import searchable
from tests.store.actors import (
    CLINIC,
    OPEN,
    OTHER_CLINIC,
    clinic,
    create,
    delete,
    observation,
    patient,
    person,
    search,
    update,
)
from tests.store.secured import Secured, fill, net_of, secured, tell

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(server: Server, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Secured]:
    async with secured(server, tmp_path) as made:
        yield made


@pytest.fixture
def no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every statement loses its guard, as by a mistake in the query builder."""
    monkeypatch.setattr(guard, "visible", lambda *_, **__: guard.EVERYTHING)


# -- who says nothing ----------------------------------------------------------------------------------------


async def test_a_statement_that_does_not_say_who_asks_fails_on_every_clinical_table(world: Secured) -> None:
    await fill(world.store)
    for table in TABLES:
        assert world.as_superuser(f"SELECT count(*) FROM {table}")[0][0], f"{table} is empty"
        with pytest.raises(errors.UndefinedObject):
            world.as_application(f"SELECT count(*) FROM {table}")


async def test_what_one_transaction_said_does_not_hold_for_the_next(world: Secured) -> None:
    await fill(world.store)
    with psycopg.connect(world.application_url) as connection:
        tell(connection, net_of(clinic()))
        assert connection.execute("SELECT count(*) FROM resource").fetchone() != (0,)
        connection.rollback()
        with pytest.raises(errors.InvalidTextRepresentation):
            connection.execute("SELECT count(*) FROM resource")


async def test_sessions_of_administration_see_no_clinical_table_and_change_rules_all_the_same(world: Secured) -> None:
    [whose, _] = await fill(world.store)
    key = key_of("Patient", whose)
    with pytest.raises(NotFound):
        await world.store.read(clinic(OTHER_CLINIC), "Patient", whose)
    with world.database.writing() as session:
        rules.replace(session, 1, relationship_grants(actor_key(OTHER_CLINIC), key, FAR_PAST, FAR_FUTURE))
    assert (await world.store.read(clinic(OTHER_CLINIC), "Patient", whose)).version == 1
    with world.database.writing() as session:
        rules.replace(session, 1, [])
    with pytest.raises(NotFound):
        await world.store.read(clinic(OTHER_CLINIC), "Patient", whose)


# -- the guard is gone ---------------------------------------------------------------------------------------


async def test_without_the_guard_a_statement_shows_the_rows_of_nobody_who_granted_nothing(world: Secured) -> None:
    made = await fill(world.store)
    keys = ",".join(str(key_of("Patient", each)) for each in made)
    for table in OF_PATIENTS:
        about_them = f"SELECT count(*) FROM {table} WHERE patient IN ({keys})"
        there = world.as_superuser(about_them)
        assert there != [(0,)], table
        assert world.as_application(about_them, net_of(clinic(OTHER_CLINIC))) == [(0,)], table
        assert world.as_application(about_them, net_of(clinic())) == there, table
        only = world.as_application(
            f"SELECT DISTINCT patient FROM {table} WHERE patient <> 0", net_of(patient(made[0]))
        )
        assert only == [(key_of("Patient", made[0]),)], table
    assert world.as_application("SELECT count(*) FROM past_code", net_of(clinic(OTHER_CLINIC))) == [(0,)]
    # What names no patient may pass.
    assert world.as_application("SELECT count(*) FROM index_uri WHERE patient = 0", net_of(clinic(OTHER_CLINIC))) != [
        (0,)
    ]


@pytest.mark.usefixtures("no_guard")
async def test_without_the_guard_the_store_still_answers_with_nothing_about_others(world: Secured) -> None:
    [whose, other] = await fill(world.store)
    stranger = clinic(OTHER_CLINIC)
    # So it would be without the net.
    assert (await world.unsecured.read(stranger, "Patient", whose)).version == 1
    assert len((await world.unsecured.search(stranger, search("Patient", "family=s"))).matches) == 2
    with pytest.raises(NotFound):
        await world.store.read(stranger, "Patient", whose)
    for query in ("", "family=s", "_sort=-_lastUpdated", "_revinclude=Observation:subject", f"_id={whose}"):
        page = await world.store.search(stranger, search("Patient", query))
        assert not page.matches, query
        assert not page.included, query
    page = await world.store.search(patient(whose), search("Patient", "family=s&_total=accurate"))
    assert ([each.id for each in page.matches], page.total) == ([whose], 1)
    seen = await world.store.history(stranger, count=100)
    assert {entry.type for entry in seen.entries} == {"Questionnaire"}
    seen = await world.store.history(patient(other), type="Patient")
    assert {entry.id for entry in seen.entries} == {other}


@pytest.mark.usefixtures("no_guard")
async def test_requests_that_share_a_connection_do_not_share_what_they_may_see(world: Secured) -> None:
    made = await fill(world.store)

    async def sees(who: str, whose: str) -> bool:
        try:
            await world.store.read(patient(who), "Patient", whose)
        except NotFound:
            return False
        return True

    pairs = [(who, whose) for who in made for whose in made] * 12
    assert await asyncio.gather(*(sees(*pair) for pair in pairs)) == [who == whose for who, whose in pairs]


@pytest.mark.usefixtures("no_guard")
async def test_without_the_guard_nothing_is_written_about_others(world: Secured) -> None:
    [whose, _] = await fill(world.store)
    before = world.as_superuser("SELECT count(*), max(seq) FROM history")
    [given] = (await world.unsecured.search(OPEN, search("Observation", f"subject=Patient/{whose}"))).matches
    stranger = clinic(OTHER_CLINIC)
    with pytest.raises(StorageFailed):
        await world.store.commit(stranger, [create(observation(whose))])
    for change in (update(given.id, observation(whose, value=9.0)), delete("Observation", given.id)):
        with pytest.raises((NotFound, IdNotAllowed)):
            await world.store.commit(stranger, [change])
    assert world.as_superuser("SELECT count(*), max(seq) FROM history") == before


async def test_rows_about_others_are_refused_and_those_there_are_not_touched(world: Secured) -> None:
    [whose, _] = await fill(world.store)
    key = key_of("Patient", whose)
    stranger = net_of(clinic(OTHER_CLINIC))
    for table in OF_PATIENTS:
        [(row,)] = world.as_superuser(f"SELECT to_jsonb(t)::text FROM {table} t WHERE patient = {key} LIMIT 1")
        copied = f"INSERT INTO {table} SELECT (jsonb_populate_record(NULL::{table}, $row${row}$row$::jsonb)).*"
        with pytest.raises(errors.InsufficientPrivilege):
            world.as_application(copied, stranger)
        assert world.as_application(f"DELETE FROM {table} WHERE patient = {key} RETURNING 1", stranger) == []
        assert world.as_application(f"UPDATE {table} SET pk = pk WHERE patient = {key} RETURNING 1", stranger) == []
    # Who may only read does not write either.
    reader = clinic("Organization/reader")
    with world.database.adding() as session:
        grants = [
            each._replace(actions=guard.READ)
            for each in relationship_grants(actor_key("Organization/reader"), key, FAR_PAST, FAR_FUTURE)
        ]
        rules.replace(session, 1, grants)
    about = f"FROM resource WHERE patient = {key}"
    assert world.as_application(f"SELECT 1 {about} LIMIT 1", net_of(reader)) == [(1,)]
    assert world.as_application(f"DELETE {about} RETURNING 1", net_of(reader)) == []


# -- nothing changes -----------------------------------------------------------------------------------------


async def test_one_transaction_may_bring_a_patient_and_what_is_about_them(world: Secured) -> None:
    """Nobody has granted anything about a patient who is being created; a client without organisation gets nothing."""
    nobodys = AccessContext(
        actors=(actor_key("Device/app"),), agent="Device/app", client="app", activity="import", request_id="test"
    )
    for context in (clinic(), nobodys):
        logical_id = new_id()
        changes = [create(person(), id=logical_id), *(create(observation(logical_id)) for _ in range(3))]
        made = await world.store.commit(context, changes)
        assert [each.outcome for each in made] == ["created"] * 4
    with pytest.raises(NotFound):
        await world.store.commit(nobodys, [create(observation(logical_id))])


async def test_a_feed_corrects_what_it_wrote_and_may_not_read_and_learns_that_an_id_is_taken(world: Secured) -> None:
    feed = clinic(feed_prefix="ehr1-")
    await world.store.commit(feed, [update("ehr1-7", person("Old"))])
    await world.store.commit(OPEN, [update("ehr1-8", person("Other"))])
    care.end(world.database, organisation=actor_key(CLINIC), patient=key_of("Patient", "ehr1-7"), now_us=now_us())
    opened = clinic(feed_prefix="ehr1-")
    for logical_id in ("ehr1-7", "ehr1-8"):
        results: list[str] = []
        for store in (world.store, world.unsecured):
            try:
                results.append((await store.commit(opened, [update(logical_id, person("New"))]))[0].outcome)
            except StoreError as refusal:
                results.append(type(refusal).__name__)
        assert results[0] == results[1], logical_id
    # About somebody else now, although the feed may no longer read what it was about.
    [whose, other] = await fill(world.store)
    await world.store.commit(feed, [update("ehr1-9", observation(whose))])
    care.end(world.database, organisation=actor_key(CLINIC), patient=key_of("Patient", whose), now_us=now_us())
    [done] = await world.store.commit(feed, [update("ehr1-9", observation(other, value=3.0))])
    assert done.outcome == "updated"
    rows = world.as_superuser(f"SELECT DISTINCT patient FROM index_token WHERE pk = {key_of('Observation', 'ehr1-9')}")
    assert rows == [(key_of("Patient", other),)]


async def test_registering_a_person_who_is_registered_elsewhere_links_the_organisation(world: Secured) -> None:
    number = {"system": NHS_NUMBER_SYSTEM, "value": "9434765919", "extension": [verified()]}
    someone = person("Sand", birthDate="1980-02-03", identifier=[number])
    [first] = await world.store.commit(clinic(), [create(someone)])
    [again] = await world.store.commit(clinic(OTHER_CLINIC), [create(someone)])
    assert (again.outcome, again.version.id) == ("created", first.version.id)
    assert (await world.store.read(clinic(OTHER_CLINIC), "Patient", first.version.id)).version == 1


async def test_searches_of_all_shapes_answer_as_they_do_without_it(world: Secured) -> None:
    rng = random.Random(7)
    for reference in worlds.PATIENTS:
        logical_id = reference.split("/")[1]
        made = {k: v for k, v in searchable.resource(rng, logical_id).items() if k != "id"}
        change = create(made, id=logical_id) if is_server_id(logical_id) else update(logical_id, made)
        await world.store.commit(replace(OPEN, organization=CLINIC), [change])
    for each in searchable.IDS:
        await world.store.commit(OPEN, [update(each, searchable.resource(rng, each))])
    few = worlds.PATIENTS[0].split("/")[1]
    found = 0
    for number in range(40):
        kind = rng.choice(searchable.SEARCHED)
        asked = parse_search(kind, searchable.pairs(rng, kind, conditions=(0, 1, 1, 2)), strict=True).search
        for context in (clinic(), patient(few), clinic(OTHER_CLINIC)):
            for shape in get_args(Shape):
                with_net = await world.store.search(context, asked, shape=shape)
                without = await world.unsecured.search(context, asked, shape=shape)
                assert (with_net.matches, with_net.included) == (without.matches, without.included), (number, shape)
                assert (with_net.total, with_net.next is None) == (without.total, without.next is None), number
                found += len(with_net.matches)
    assert found > 50
    for context in (clinic(), patient(few), clinic(OTHER_CLINIC)):
        pages = [await store.history(context, count=1000) for store in (world.store, world.unsecured)]
        assert pages[0].entries == pages[1].entries


async def test_reindexing_rewrites_everybodys_rows(world: Secured) -> None:
    await fill(world.store)
    counts = [world.as_superuser(f"SELECT count(*), min(pk), max(pk) FROM {table}") for table in TABLES]
    world.as_superuser("DELETE FROM index_date")
    settings = Settings(home=world.home, public_base_url="http://testserver")
    preparer = Preparer(token_hash(derived(root_key(world.home), "token index")), settings.fhir_base_url)
    await asyncio.to_thread(reindex, world.database, preparer, lambda done, total: None)
    assert [world.as_superuser(f"SELECT count(*), min(pk), max(pk) FROM {table}") for table in TABLES] == counts


async def test_a_check_of_what_is_stored_reads_everybodys_rows(world: Secured) -> None:
    await fill(world.store)
    seen: list[int] = []
    found = await asyncio.to_thread(
        lambda: list(damages(world.database, world.home / "none", lambda number, total: seen.append(number)))
    )
    assert found == []
    assert seen[-1] == world.as_superuser("SELECT max(seq) FROM history")[0][0]
    world.as_superuser("UPDATE resource SET version = version + 1 WHERE patient <> 0")
    assert await asyncio.to_thread(
        lambda: list(damages(world.database, world.home / "none", lambda number, total: None))
    )


async def test_the_net_asks_of_each_row_and_never_gathers_all_that_was_granted(world: Secured) -> None:
    await fill(world.store)
    with psycopg.connect(world.application_url) as connection:
        tell(connection, net_of(clinic()))
        plan = connection.execute("EXPLAIN SELECT body FROM history WHERE seq > 0 ORDER BY seq").fetchall()
    assert not [line for (line,) in plan if "hashed" in line], plan


def test_the_places_that_look_past_the_net_are_those_that_the_decision_names() -> None:
    root = Path(guard.__file__).parents[1]
    past = re.compile(r"past_the_net\(\w[\w.]*, \"|\.passing\(|net=ALL|backbridge\.open=")
    found = Counter(
        str(path.relative_to(root)) for path in root.rglob("*.py") for _ in past.findall(path.read_text("utf-8"))
    )
    assert found == {
        "privacy/backup_postgresql.py": 1,
        "store/checks.py": 1,
        "store/integrity.py": 3,
        "store/search.py": 1,
        "store/store.py": 1,
        "store/postgresql/connection.py": 1,
        "store/postgresql/transactions.py": 1,
        "store/postgresql/writer.py": 1,
    }
