"""The tables and the guarded read are written so that PostgreSQL is a second dialect of the same text."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlmodel import SQLModel

import gateway.people.tables
import gateway.store.tables
import gateway.work.jobs  # noqa: F401 - importing a table module declares its tables
from gateway.store import guard
from tests.store.actors import clinic

CLUSTERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@pytest.fixture(scope="module")
def psql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The command line of psql on a server of its own, on a socket in a temporary folder."""
    if not CLUSTERS:
        pytest.skip("PostgreSQL is not installed on this machine")
    binaries, folder = CLUSTERS[-1].parent, tmp_path_factory.mktemp("postgresql")
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
        for parent in folder.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o011)
    data = folder / "data"
    subprocess.run([*as_user, binaries / "initdb", "-D", data, "-A", "trust", "-N"], check=True, capture_output=True)
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    start = [*as_user, binaries / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start"]
    subprocess.run(start, check=True, capture_output=True)
    yield [*as_user, str(binaries / "psql"), "-h", str(folder), "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-qAt"]
    subprocess.run([*as_user, binaries / "pg_ctl", "-D", data, "-m", "fast", "stop"], check=True, capture_output=True)


def statements(psql: list[str], text: str) -> str:
    done = subprocess.run(psql, input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_table_and_the_guarded_read_are_understood_by_postgresql(psql: list[str]) -> None:
    dialect = postgresql.dialect()
    tables = SQLModel.metadata.sorted_tables
    ddl = [str(CreateTable(table).compile(dialect=dialect)) for table in tables]
    ddl += [str(CreateIndex(index).compile(dialect=dialect)) for table in tables for index in table.indexes]
    context = clinic()
    read = (
        f"SELECT r.version FROM resource r CROSS JOIN history h WHERE h.seq = r.head AND {guard.visible('r', context)}"
    )
    bound = guard.parameters(context, 0)
    literal = re.sub(r":(\w+)", lambda name: str(bound[name[1]]), read)
    statements(psql, ";\n".join([*ddl, f"EXPLAIN {literal}"]) + ";")
