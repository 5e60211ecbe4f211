"""The schema that the migrations make is the schema that the tables declare."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlmodel import SQLModel

import gateway.people.tables
import gateway.store.tables
import gateway.work.jobs  # noqa: F401 - importing a table module declares its tables
from gateway.store import migrations
from gateway.store.sqlite import Database


def test_the_migrations_make_what_the_tables_declare(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []
    assert migrations.pending(database) == []
