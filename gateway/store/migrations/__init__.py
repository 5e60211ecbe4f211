"""Schema versions: Alembic's, one transaction each, applied by one process at a time (docs/decisions/0017).

SQLite is brought to the newest version at every start; PostgreSQL by `backbridge migrate`, so that an operator chooses
the hour. A version that was interrupted leaves nothing behind, or only indexes that the next try completes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from sqlalchemy import Connection

from gateway.store.database import Database, DatabaseUnusable
from gateway.store.migrations import partitions, row_level_security
from gateway.store.postgresql.database import PostgreSQLDatabase

HERE = Path(__file__).parent
VERSIONS = (HERE / "versions",)
NEWEST, NOTHING = "head", "base"

# What it says about itself at every start is of no use to an operator.
logging.getLogger("alembic").setLevel(logging.WARNING)


def make_ready(database: Database, *, migrate: bool = False, versions: Sequence[Path] = VERSIONS) -> None:
    """
    Make sure that the schema is this program's; does nothing where it is.

    migrate  bring PostgreSQL to the newest version too, as is done with SQLite in any case
    raises   DatabaseUnusable where the schema is older and must not be touched, or newer than this program knows, or
             where its row-level security is not as the settings say or would not hold this role
    """
    if missing := pending(database, versions=versions):
        if database.dialect != "sqlite" and not migrate:
            raise DatabaseUnusable(f"the schema lacks version {', '.join(missing)}; run: backbridge migrate")
        upgrade(database, versions=versions)
    if isinstance(database, PostgreSQLDatabase):
        row_level_security.check(database)


def pending(database: Database, *, versions: Sequence[Path] = VERSIONS) -> list[str]:
    """The versions that the database still lacks, oldest first; DatabaseUnusable where it has one unknown here."""
    script = ScriptDirectory.from_config(_config(versions))
    present = current(database)
    try:
        missing = [each.revision for each in script.iterate_revisions(NEWEST, present or NOTHING)]
    except RevisionError:
        raise DatabaseUnusable(f"the schema is of version {present}, which this program does not know") from None
    return missing[::-1]


def current(database: Database) -> str | None:
    """The version that the schema has; None for an empty database."""
    with database.engine.connect() as connection:
        return _revision(connection)


def upgrade(database: Database, to: str = NEWEST, *, versions: Sequence[Path] = VERSIONS) -> list[str]:
    """Apply what is missing, up to a version, and say what that was; whoever comes second finds it done."""
    before, after = _run(command.upgrade, database, to, versions)
    return _between(before, after, versions)[::-1]


def downgrade(database: Database, to: str, *, versions: Sequence[Path] = VERSIONS) -> list[str]:
    """
    Take back every version after `to`, with what only they can hold, and say which; NOTHING takes back all.

    raises  DatabaseUnusable where the tables are partitioned
    """
    if isinstance(database, PostgreSQLDatabase):
        with database.engine.connect() as connection:
            partitions.refuse_the_way_back(connection)
    before, after = _run(command.downgrade, database, to, versions)
    return _between(after, before, versions)


def partition(database: PostgreSQLDatabase, number: int) -> None:
    """Divide the tables of the newest schema by patient; DatabaseUnusable where they are not empty, or divided."""
    with database.migrating() as connection:
        partitions.install(connection, number)
        connection.commit()


def secure(database: PostgreSQLDatabase, *, on: bool) -> None:
    """Give the tables the policies of row-level security, or take them away; whoever comes second finds it done."""
    with database.migrating() as connection:
        if on:
            row_level_security.install(connection)
        else:
            row_level_security.remove(connection)
        connection.commit()


def is_known(to: str, *, versions: Sequence[Path] = VERSIONS) -> bool:
    """Whether there is such a version, or name for one."""
    script = ScriptDirectory.from_config(_config(versions))
    return to in (NEWEST, NOTHING) or any(each.revision == to for each in script.walk_revisions())


def _run(
    step: Callable[[Config, str], None], database: Database, to: str, versions: Sequence[Path]
) -> tuple[str | None, str | None]:
    """The versions before and after, both looked at while nobody else may change them."""
    with database.migrating() as connection:
        before = _revision(connection)
        config = _config(versions)
        config.attributes["connection"] = connection
        step(config, to)
        return before, _revision(connection)


def _revision(connection: Connection) -> str | None:
    found: str | None = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return found


def _between(older: str | None, newer: str | None, versions: Sequence[Path]) -> list[str]:
    """The versions after `older` up to `newer`, newest first."""
    if older == newer:
        return []
    script = ScriptDirectory.from_config(_config(versions))
    return [each.revision for each in script.iterate_revisions(newer or NOTHING, older or NOTHING)]


def _config(versions: Sequence[Path]) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, versions)))
    return config
