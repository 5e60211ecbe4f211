"""The checks of test_operations have teeth: whatever is taken from a sound installation, one of them notices."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlmodel import text

from gateway.settings import Settings
from gateway.store.database import Database, open_database
from tests.faults.operations import Client, Ledger
from tests.faults.serving import running, wait_until
from tests.faults.stored import Stored
from tests.faults.test_operations import (
    activated,
    check_creates,
    check_deletions,
    check_effects,
    check_registers,
    is_worked_off,
)

OPERATIONS = 400
CLIENTS = 4

_SCORE = "(SELECT max(pk) FROM history WHERE instr(CAST(body AS TEXT), '\"derivedFrom\"') > 0)"
_UPDATED = "(SELECT pk FROM history WHERE version = 3 AND method = 2 ORDER BY seq LIMIT 1)"
_FIRST = "(SELECT min(seq) FROM history WHERE instr(CAST(body AS TEXT), 'urn:ledger') > 0)"


@dataclass(frozen=True)
class World:
    database: Database
    ledger: Ledger
    patients: list[str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An installation that some clients have worked with, undisturbed."""
    home, ledger = tmp_path_factory.mktemp("checks") / "home", Ledger()
    with contextlib.ExitStack() as closing:
        with running(home) as gateway:
            database = closing.enter_context(contextlib.closing(open_database(Settings(home=home))))
            patients = asyncio.run(activated(gateway, database))

            async def worked() -> None:
                clients = [Client(number, gateway.port, ledger, patients) for number in range(CLIENTS)]
                await asyncio.gather(*(client.work(OPERATIONS) for client in clients))

            asyncio.run(worked())
            wait_until(lambda: is_worked_off(database), "the job child has done everything")
        yield World(database, ledger, patients)


def all_checks(world: World, stored: Stored) -> None:
    check_creates(world.ledger, stored)
    check_registers(world.ledger, stored)
    check_deletions(world.ledger, stored)
    check_effects(world.ledger, stored, world.patients)


def test_an_undisturbed_installation_passes(world: World) -> None:
    all_checks(world, Stored.in_database(world.database))


@pytest.mark.parametrize(
    "change",
    [
        f"DELETE FROM history WHERE seq = {_FIRST}",
        f"DELETE FROM history WHERE pk = {_UPDATED} AND version = 2",
        "DELETE FROM write_audit WHERE id = (SELECT max(id) FROM write_audit)",
        f"UPDATE resource SET version = 2 WHERE pk = {_UPDATED}",
        f"DELETE FROM resource WHERE pk = {_SCORE}",
        "UPDATE outbox SET state = 2 WHERE id = (SELECT max(id) FROM outbox)",
    ],
    ids=[
        "a create lost",
        "an update lost",
        "an audit row lost",
        "an old version current",
        "a score lost",
        "work given up",
    ],
)
def test_what_is_taken_away_is_noticed(world: World, change: str) -> None:
    with pytest.raises(AssertionError):
        check_after(world, change)


def check_after(world: World, change: str) -> None:
    """The failure of a check takes the change back."""
    with world.database.writing() as session:
        session.connection().execute(text(change))
        all_checks(world, Stored(session))


@pytest.mark.parametrize("kind", ["a create", "a score"])
def test_what_is_done_twice_is_noticed(world: World, kind: str) -> None:
    """A second resource with the same text but another id, whole with its version and its audit."""
    source = _FIRST if kind == "a create" else f"(SELECT seq FROM history WHERE pk = {_SCORE})"
    with world.database.reading() as session:
        logical_id = session.connection().execute(text(f"SELECT id FROM history WHERE seq = {source}")).scalar_one()
    stored = Stored.in_database(world.database)
    twin = next(versions for (_, each), versions in stored.versions.items() if each == logical_id)
    stored.versions[twin[0].type, "twin"] = twin
    with pytest.raises(AssertionError):
        all_checks(world, stored)
