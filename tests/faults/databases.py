"""The databases that the faults are tried on: one fixture, so that a test is written once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import Server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """BACKBRIDGE_DATABASE_URL of an empty database; empty for SQLite in the home folder."""
    if request.param == "sqlite":
        yield ""
        return
    server: Server = request.getfixturevalue("server")
    url = server.new_database()
    yield url
    server.drop_database(url)


def environment(database_url: str) -> dict[str, str]:
    return {"BACKBRIDGE_DATABASE_URL": database_url} if database_url else {}
