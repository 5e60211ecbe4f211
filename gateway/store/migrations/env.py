"""Alembic's environment: the connection comes from `migrations.upgrade`, never from a URL in a file."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

import gateway.people.tables
import gateway.store.tables
import gateway.work.jobs  # noqa: F401 - importing a table module declares its tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    transactional_ddl=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
