"""PostgreSQL in a backup: its own pg_dump and pg_restore, on one snapshot that is also counted.

They are the honest way: they know every kind of object and every version of the server. Whoever needs to go back to
any moment, or has hundreds of gigabytes, uses the server's own base backups and log archive (docs/operations.md).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from gateway.privacy.errors import BackupRefused, Damaged, NotEmpty
from gateway.store.postgresql.net import SEEN

_PIECE = 1 << 20
# A backup holds everybody: it looks past row-level security (decision 0022), which refuses who does not say so.
_PAST_THE_NET = f"-c backbridge.open={SEEN}"
_TABLES: LiteralString = (
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> 'information_schema'"
    " AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 1, 2"
)
# libpq's names for what a connection string says; in the environment nobody else on the machine can read them.
_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "passfile": "PGPASSFILE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "application_name": "PGAPPNAME",
}


class Snapshot:
    """One moment of a database; what is dumped and what is counted are the same."""

    def __init__(self, connection: psycopg.Connection[Any], conninfo: str) -> None:
        self._connection = connection
        self._conninfo = conninfo
        self._name: str = connection.execute("SELECT pg_export_snapshot()").fetchone()[0]  # type: ignore[index]

    def dump(self) -> Iterator[bytes]:
        """The dump in pg_dump's custom format, not compressed; BackupRefused where pg_dump gives up."""
        options = ["--format=custom", "--compress=0", "--no-owner", "--no-privileges", f"--snapshot={self._name}"]
        # Without this pg_dump refuses tables that have policies, to a role that they hold.
        options.append("--enable-row-security")
        with _started("pg_dump", options, self._conninfo, stdout=subprocess.PIPE) as running:
            assert running.stdout is not None, "it was asked for"
            while piece := running.stdout.read(_PIECE):
                yield piece

    def counts(self) -> dict[str, int]:
        """The rows of each table."""
        return _counts(self._connection)

    def schema(self) -> str:
        """The version of the schema."""
        found: str = self._connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]  # type: ignore[index]
        return found


@contextmanager
def snapshot(conninfo: str) -> Iterator[Snapshot]:
    """Hold one moment of the database; writers go on. BackupRefused where the server does not answer."""
    with _connected(conninfo) as connection:
        connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield Snapshot(connection, conninfo)
        connection.execute("ROLLBACK")


def refuse_unless_empty(conninfo: str) -> None:
    """Raises NotEmpty where the database has tables already."""
    with _connected(conninfo) as connection:
        if connection.execute(_TABLES).fetchone() is not None:
            raise NotEmpty("the PostgreSQL database has tables already; restore into an empty one")


def restore(dump: Path, conninfo: str, expected: Mapping[str, int]) -> None:
    """
    Put a dump into an empty database in one transaction, and count what is there then.

    raises  BackupRefused where pg_restore gives up, Damaged where the rows are not what the manifest says
    """
    name = conninfo_to_dict(conninfo).get("dbname", "")
    options = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", f"--dbname={name}"]
    with _started("pg_restore", [*options, str(dump)], conninfo):
        pass
    with _connected(conninfo) as connection:
        if _counts(connection) != dict(expected):
            raise Damaged("the restored database does not have the rows that the manifest says; drop it")


def _counts(connection: psycopg.Connection[Any]) -> dict[str, int]:
    found = {}
    for schema, table in connection.execute(_TABLES).fetchall():
        statement = sql.SQL("SELECT COUNT(*) FROM {}").format(sql.Identifier(schema, table))
        found[f"{schema}.{table}"] = connection.execute(statement).fetchone()[0]  # type: ignore[index]
    return found


@contextmanager
def _connected(conninfo: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        connection = psycopg.connect(conninfo, autocommit=True, options=_options(conninfo))
    except psycopg.OperationalError:
        raise BackupRefused("the PostgreSQL server does not answer, or does not let this role in") from None
    with connection:
        yield connection


@contextmanager
def _started(program: str, options: list[str], conninfo: str, **pipes: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program of PostgreSQL's that must end well; it is ended where the block is left early."""
    try:
        running = subprocess.Popen(  # noqa: S603 - our own options
            [program, *options], env=_environment(conninfo), stderr=subprocess.PIPE, **pipes
        )
    except FileNotFoundError:
        raise BackupRefused(f"{program} is not on this machine: install PostgreSQL's client programs") from None
    with running:
        try:
            yield running
        except BaseException:
            running.kill()
            raise
        assert running.stderr is not None, "it was asked for"
        said = running.stderr.read().decode(errors="replace").strip().splitlines()
    if running.returncode:
        raise BackupRefused(f"{program} gave up: {said[0] if said else running.returncode}")


def _environment(conninfo: str) -> dict[str, str]:
    given = conninfo_to_dict(conninfo)
    told = {variable: str(given[option]) for option, variable in _VARIABLES.items() if given.get(option) is not None}
    return os.environ | told | {"PGOPTIONS": _options(conninfo)}


def _options(conninfo: str) -> str:
    """The server's settings of a connection: those that its string or the environment names, and ours."""
    given = conninfo_to_dict(conninfo).get("options") or os.environ.get("PGOPTIONS", "")
    return f"{given} {_PAST_THE_NET}".strip()
