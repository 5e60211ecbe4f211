"""Seeding and the measurement of growth, at sizes that take seconds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from gateway.access import AccessContext, actor_key
from gateway.bench import growth
from gateway.bench.seed import A_HUNDRED, EVERYBODY, SHARING
from gateway.cli import app
from gateway.fhir.search_syntax import parse_search
from gateway.settings import Settings
from gateway.store.sqlite import SQLiteDatabase
from gateway.store.store import Store

PATIENTS, OBSERVATIONS = SHARING + 5, 2


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation that `backbridge seed` made."""
    home = tmp_path_factory.mktemp("seeded") / "home"
    options = ("--patients", str(PATIENTS), "--observations", str(OBSERVATIONS), "--home", str(home))
    done = CliRunner().invoke(app, ["seed", *options])
    assert done.exit_code == 0, done.output
    return Settings(home=home)


@pytest.fixture
async def store(seeded: Settings, anyio_backend: str) -> AsyncIterator[Store]:
    database = SQLiteDatabase(seeded.database_path)
    store = Store(database, settings=seeded)
    await store.start()
    yield store
    await store.stop()
    database.close()


async def total(store: Store, organization: str, kind: str, *params: tuple[str, str]) -> int | None:
    context = AccessContext(
        actors=(actor_key(organization),),
        agent=organization,
        organization=organization,
        client="test",
        activity="test",
        request_id="test",
    )
    search = parse_search(kind, params, strict=True).search
    return (await store.search(context, search, count_only=True)).total


@pytest.mark.anyio
@pytest.mark.parametrize(("organization", "patients"), [(EVERYBODY, PATIENTS), (A_HUNDRED, SHARING)])
async def test_one_organisation_sees_everybody_and_the_other_a_hundred(
    store: Store, organization: str, patients: int
) -> None:
    assert await total(store, organization, "Patient") == patients
    assert await total(store, organization, "Observation") == patients * OBSERVATIONS


@pytest.mark.anyio
async def test_everything_that_is_seeded_is_labelled_as_test_data(store: Store) -> None:
    label = ("_tag", "http://terminology.hl7.org/CodeSystem/v3-ActReason|HTEST")
    assert await total(store, EVERYBODY, "Observation", label) == PATIENTS * OBSERVATIONS


def test_a_seeded_database_has_the_indexes_of_any_other(seeded: Settings, empty_database: Path) -> None:
    def indexes(path: Path) -> list[tuple[str, str]]:
        connection = sqlite3.connect(path)
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name").fetchall()
        connection.close()
        return found

    assert indexes(seeded.database_path) == indexes(empty_database)


def test_an_installation_that_exists_is_not_filled_with_invented_people(seeded: Settings) -> None:
    done = CliRunner().invoke(app, ["seed", "--patients", "1", "--home", str(seeded.home)])
    assert done.exit_code == 1
    assert "invented people go into a new installation" in done.stderr


def test_growth_measures_every_search_at_every_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "OBSERVATIONS", 12)
    sizes = [SHARING, SHARING + 10]
    growth.measured_growth(tmp_path, sizes, 60, tmp_path / "growth.json", Console(quiet=True))
    rows = json.loads((tmp_path / "growth.json").read_text())["growth"]
    assert len(rows) == len(sizes) * len(growth.ACTORS) * len(growth.LOOKED)
    assert [row["errors"] for row in rows if row["errors"]] == []
    assert all(row["kinds"]["first"]["requests"] > 0 for row in rows)
    paged = {row["search"] for row in rows if "next" in row["kinds"]}
    assert paged >= {"panel: code, date", "panel, newest first"}


def test_a_number_of_patients_below_a_hundred_is_refused_in_one_line() -> None:
    done = CliRunner().invoke(app, ["bench", "--growth", "--sizes", "10,many"])
    assert done.exit_code == 1
    assert "10 is not a number of patients of at least 100" in done.stderr
