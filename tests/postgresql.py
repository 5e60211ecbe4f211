"""A PostgreSQL server of the test run's own: one private cluster, a fresh database a test, everything durable."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from gateway.store import migrations
from gateway.store.postgresql.database import PostgreSQLDatabase

BINARIES = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")] or [
    Path(found).parent for found in [shutil.which("initdb")] if found
]
_TEMPLATE = "backbridge_template"
_SECURED_TEMPLATE = "backbridge_secured_template"
_PARTITIONED_TEMPLATE = "backbridge_partitioned_template"
PARTITIONS = 3
# Who the application connects as where row-level security shall hold it: it owns nothing.
APPLICATION = "backbridge_application"
# Durable as in production; small, because a test run shares its machine.
_OPTIONS = "-c listen_addresses= -c max_connections=200 -c shared_buffers=64MB -c max_wal_size=256MB"


class Server:
    """One cluster in a folder of its own, reached by a socket in it."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries = binaries
        self.folder = folder
        self._data = folder / "data"
        self._count = 0
        self._has_partitioned_template = False

    def conninfo(self, database: str = "postgres", role: str = "postgres") -> str:
        return f"postgresql://{role}@/{database}?host={self.folder}"

    def initialise(self) -> None:
        self._run("initdb", "-D", self._data, "-A", "trust", "-N", "-U", "postgres", "-E", "UTF8", "--locale=C")

    def start(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self.folder / "log", "-o", self._options(), "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def kill(self) -> None:
        """End every process of the server at once, as a crash of the machine's user space would."""
        os.kill(int((self._data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def new_database(self, template: str = _TEMPLATE) -> str:
        """A database of the newest schema (or a copy of another); its conninfo."""
        self._count += 1
        name = f"test_{self._count}"
        self.ask(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.conninfo(name)

    def new_secured_database(self) -> str:
        """The same with row-level security; its conninfo for the superuser, whom it does not hold."""
        return self.new_database(_SECURED_TEMPLATE)

    def new_partitioned_database(self) -> str:
        """The same as `new_secured_database` with its tables divided into PARTITIONS."""
        if not self._has_partitioned_template:
            self._make_partitioned_template()
        return self.new_database(_PARTITIONED_TEMPLATE)

    def of_application(self, conninfo: str) -> str:
        """The conninfo of the same database for the application's role, whom row-level security holds."""
        return self.conninfo(self.name_of(conninfo), APPLICATION)

    def drop_database(self, conninfo: str) -> None:
        self.ask(f"DROP DATABASE {self.name_of(conninfo)} WITH (FORCE)")

    def name_of(self, conninfo: str) -> str:
        """The database that a conninfo of this server leads to."""
        return conninfo.split("@/")[1].split("?")[0]

    def ask(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.conninfo(database), autocommit=True) as connection:
            found = connection.execute(sql.encode())
            return found.fetchall() if found.description else []

    def make_template(self) -> None:
        self.ask(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
        database = PostgreSQLDatabase(self.conninfo(_TEMPLATE))
        migrations.upgrade(database)
        database.close()

    def make_secured_template(self) -> None:
        self.ask(f"CREATE ROLE {APPLICATION} LOGIN")
        self.ask(f"CREATE DATABASE {_SECURED_TEMPLATE} TEMPLATE {_TEMPLATE}")
        self._secure(_SECURED_TEMPLATE)

    def _make_partitioned_template(self) -> None:
        self.ask(f"CREATE DATABASE {_PARTITIONED_TEMPLATE} TEMPLATE {_TEMPLATE}")
        database = PostgreSQLDatabase(self.conninfo(_PARTITIONED_TEMPLATE))
        migrations.partition(database, PARTITIONS)
        database.close()
        self._secure(_PARTITIONED_TEMPLATE)
        self._has_partitioned_template = True

    def _secure(self, template: str) -> None:
        database = PostgreSQLDatabase(self.conninfo(template))
        migrations.secure(database, on=True)
        database.close()
        for kind, rights in (("TABLES", "SELECT, INSERT, UPDATE, DELETE"), ("SEQUENCES", "USAGE, SELECT, UPDATE")):
            self.ask(f"GRANT {rights} ON ALL {kind} IN SCHEMA public TO {APPLICATION}", template)

    def _options(self) -> str:
        return f"-k {self.folder} {_OPTIONS}"

    def _run(self, program: str, *arguments: object) -> None:
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_user, str(self.binaries / program), *map(str, arguments)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=self.folder, check=False)
        assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The run's server; the tests that need it are skipped where PostgreSQL is not installed."""
    if not BINARIES:
        pytest.skip("PostgreSQL is not installed on this machine")
    # A socket's path may have 107 characters; pytest's own folders can be longer.
    folder = Path(tempfile.mkdtemp(prefix="backbridge-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    running = Server(sorted(BINARIES)[-1], folder)
    running.initialise()
    running.start()
    try:
        running.make_template()
        running.make_secured_template()
        yield running
    finally:
        running.stop(mode="immediate")
        shutil.rmtree(folder)


@pytest.fixture
def postgresql_url(server: Server) -> Iterator[str]:
    """The URL of a fresh, empty database of the newest schema."""
    url = server.new_database()
    yield url
    server.drop_database(url)
