"""Two gateway processes on one database: races have one winner, and neither process starves the other."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.faults.process import create_on_condition, opened, started, update_version_one, write_for
from tests.store.actors import OPEN, create, person, search

SECONDS = 3.0


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path) -> Path:
    """A home with an empty database of either kind, for processes to share."""
    if request.param == "postgresql":
        (tmp_path / "database.url").write_text(request.getfixturevalue("postgresql_url"))
    else:
        shutil.copy(empty_database, tmp_path / "backbridge.sqlite")
    return tmp_path


def told_by_both(work: Any, home: Path, *arguments: tuple[Any, ...]) -> list[Any]:
    """Two processes that begin at the same moment; what each tells at its end."""
    pairs = [started(work, home, *each) for each in arguments]
    try:
        for _, connection in pairs:
            assert connection.recv() == "ready"
        for _, connection in pairs:
            connection.send("go")
        return [connection.recv() for _, connection in pairs]
    finally:
        for process, connection in pairs:
            process.join(10)
            connection.close()


def test_sixteen_identical_conditional_creates_from_two_processes_make_one_resource(home: Path) -> None:
    told = told_by_both(create_on_condition, home, (8,), (8,))
    outcomes = Counter(outcome for each in told for outcome, _ in each)
    assert outcomes == {"created": 1, "matched": 15}
    assert len({logical_id for each in told for _, logical_id in each}) == 1


def test_of_eight_updates_of_one_version_from_two_processes_exactly_one_succeeds(home: Path) -> None:
    logical_id = asyncio.run(registered(home))
    told = told_by_both(
        update_version_one,
        home,
        (logical_id, [f"A{n}" for n in range(4)]),
        (logical_id, [f"B{n}" for n in range(4)]),
    )
    results = Counter(result for each in told for result in each)
    assert results == {"list": 1, "VersionMismatch": 7}
    assert asyncio.run(versions(home, logical_id)) == [2, 1]


def test_two_processes_that_write_as_fast_as_they_can_share_the_disk(home: Path) -> None:
    one, other = told_by_both(write_for, home, (SECONDS,), (SECONDS,))
    assert min(one, other) > 0
    assert max(one, other) <= 3 * min(one, other), (one, other)
    assert asyncio.run(people(home)) == one + other


async def registered(home: Path) -> str:
    async with opened(home) as store:
        [made] = await store.commit(OPEN, [create(person())])
        return made.version.id


async def versions(home: Path, logical_id: str) -> list[int]:
    async with opened(home) as store:
        return [entry.version for entry in (await store.history(OPEN, type="Patient", id=logical_id)).entries]


async def people(home: Path) -> int | None:
    async with opened(home) as store:
        return (await store.search(OPEN, search("Patient"), count_only=True)).total
