"""What `backbridge` says, in one line, where its PostgreSQL server cannot be used; never a role or a password."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.store import database
from gateway.store.database import DatabaseUnusable
from tests.postgresql import Server


def refusal(home: Path, url: str, *arguments: str) -> str:
    environment = os.environ | {"BACKBRIDGE_HOME": str(home), "BACKBRIDGE_DATABASE_URL": url}
    command = [sys.executable, "-m", "gateway.cli", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize("arguments", [("serve",), ("migrate",), ("clients", "list"), ("worker",)])
def test_a_server_that_does_not_answer_is_one_line_without_its_password(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{nobody.getsockname()[1]}"
    said = refusal(tmp_path, f"postgresql://ward:open-sesame@{place}/clinic", *arguments)
    assert said == f"backbridge: PostgreSQL at {place} does not answer, or does not let this role in"


@pytest.mark.parametrize("arguments", [("serve",), ("clients", "list"), ("worker",)])
def test_a_schema_that_lacks_versions_is_refused_with_the_command_that_helps(
    server: Server, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    url = server.new_database("template0")
    said = refusal(tmp_path, url, *arguments)
    assert said == "backbridge: the schema lacks version 0001; run: backbridge migrate"
    server.drop_database(url)


def test_a_server_that_is_too_old_is_refused(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "OLDEST_POSTGRESQL", 99)
    with pytest.raises(
        DatabaseUnusable, match=r"^PostgreSQL at the default socket is version \d+; 99 or newer is needed$"
    ):
        database.open_database(Settings(home=tmp_path, database_url=postgresql_url))


def test_a_url_of_neither_database_is_refused_without_repeating_it(tmp_path: Path) -> None:
    said = refusal(tmp_path, "mysql://ward:open-sesame@h/clinic", "clients", "list")
    assert said.startswith("backbridge: BACKBRIDGE_DATABASE_URL: ")
    assert "sesame" not in said
