"""Indexes of later versions: made while the tables are in use, and made again where that was interrupted.

PostgreSQL builds them CONCURRENTLY, outside a transaction, so a version that uses these functions does nothing else:
what was done before them would be committed without its version. An interrupted build leaves an invalid index, which is
dropped first. On SQLite the writers' lock is held anyway. Partitioned tables (docs/decisions/0026-partitions.md)
are held up for as long as it takes: the server builds such an index in no other way.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

_INVALID = sa.text(
    "SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE c.relname = :name AND pg_table_is_visible(c.oid) AND NOT i.indisvalid"
)

_PARTITIONED = sa.text("SELECT 1 FROM pg_partitioned_table WHERE partrelid = to_regclass(:table)")


def create_index(name: str, table: str, columns: Sequence[str], *, unique: bool = False) -> None:
    """Make an index without holding up readers and writers. Does nothing where it is there and whole."""
    if not _is_concurrent(table):
        op.create_index(name, table, columns, unique=unique, if_not_exists=True)
        return
    with op.get_context().autocommit_block():
        if op.get_bind().execute(_INVALID, {"name": name}).first() is not None:
            _drop_concurrently(name, table)
        op.create_index(name, table, columns, unique=unique, if_not_exists=True, postgresql_concurrently=True)


def drop_index(name: str, table: str) -> None:
    """Drop an index without holding up readers and writers. Does nothing where it is not there."""
    if not _is_concurrent(table):
        op.drop_index(name, table, if_exists=True)
        return
    with op.get_context().autocommit_block():
        _drop_concurrently(name, table)


def _drop_concurrently(name: str, table: str) -> None:
    op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


def _is_concurrent(table: str) -> bool:
    bind = op.get_bind()
    return bind.dialect.name == "postgresql" and bind.execute(_PARTITIONED, {"table": table}).first() is None
