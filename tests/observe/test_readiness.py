"""/readyz: each part by name, 503 where requests cannot be served, nothing secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.people.hashing import sign_in_key
from gateway.readiness import checks, readiness
from gateway.settings import Settings
from gateway.store.database import Database
from gateway.store.keys import root_key
from gateway.store.store import now_us
from tests.work.people import Person

WELL = {"database": "ok", "keys": "ok", "work": "ok", "disk": "ok"}

pytestmark = pytest.mark.anyio


@pytest.fixture
def installation(settings: Settings, database: Database) -> Settings:
    """A database and the keys that belong to it."""
    root_key(settings.home)
    sign_in_key(settings.home / "keys")
    return settings


async def answered(database: Database, settings: Settings) -> int:
    return (await readiness(database, settings, now_us)()).status_code


async def test_an_installation_that_lacks_nothing_is_ready(installation: Settings, database: Database) -> None:
    assert checks(database, installation, now_us()) == WELL
    assert await answered(database, installation) == 200


@pytest.mark.parametrize("name", ["root.key", "sign-in.key"])
async def test_without_a_key_it_is_not_ready(installation: Settings, database: Database, name: str) -> None:
    (installation.home / "keys" / name).unlink()
    assert checks(database, installation, now_us()) == {**WELL, "keys": "missing"}
    assert await answered(database, installation) == 503


async def test_with_too_little_space_it_is_not_ready(installation: Settings, database: Database) -> None:
    greedy = installation.model_copy(update={"min_free_bytes": 1 << 62})
    assert checks(database, greedy, now_us()) == {**WELL, "disk": "full"}
    assert await answered(database, greedy) == 503


async def test_a_database_that_does_not_answer_is_told(installation: Settings, database: Database) -> None:
    Path(installation.database_path).write_bytes(b"this is no database" * 1000)
    assert checks(database, installation, now_us()) == {**WELL, "database": "no answer", "work": "unknown"}
    assert await answered(database, installation) == 503


async def test_late_work_is_told_and_requests_go_on(anna: Person, installation: Settings, database: Database) -> None:
    await anna.answers("pain-nrs")
    assert checks(database, installation, now_us()) == WELL
    assert checks(database, installation, now_us() + 301_000_000) == {**WELL, "work": "late"}
    late = installation.model_copy(update={"late_work_seconds": 1e-9})
    assert await answered(database, late) == 200
