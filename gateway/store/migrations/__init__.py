"""Schema versions: Alembic's, run by `backbridge migrate` and, on SQLite, at every start, under the writers' lock."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.store.sqlite import Database

# What it says about itself at every start is of no use to an operator.
logging.getLogger("alembic").setLevel(logging.WARNING)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def upgrade(database: Database) -> None:
    """Bring the schema to the newest version; does nothing where it is. One process at a time."""
    with database.lock.held(), database.engine.connect() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def pending(database: Database) -> list[str]:
    """The versions that the database still lacks, oldest first."""
    with database.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    script = ScriptDirectory.from_config(_config())
    missing = [revision.revision for revision in script.iterate_revisions("head", current or "base")]
    return missing[::-1]
