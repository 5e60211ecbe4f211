"""Versions of the schema after the newest, for tests of migrations: a table and a column, then an index of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.settings import Settings
from gateway.store import migrations
from gateway.store.database import open_database

NEWEST = "0001"
TABLE, INDEX = "9001", "9002"
INDEX_NAME = "outbox_kind"

_VERSION = '''
import os
import time
from pathlib import Path

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations.indexes import create_index, drop_index

revision = "{revision}"
down_revision = "{previous}"


def stop_here(name):
    """Wait to be killed where the test wants that; say that the place is reached."""
    if os.environ.get("STOP_AT") == name:
        Path(os.environ["STOPPED"]).touch()
        time.sleep(600)
'''
_TABLE = """

def upgrade():
    op.create_table("later", sa.Column("id", sa.Integer, primary_key=True))
    stop_here("table made")
    op.add_column("outbox", sa.Column("later", sa.Integer, nullable=False, server_default="7"))
    stop_here("column made")


def downgrade():
    op.drop_column("outbox", "later")
    stop_here("column dropped")
    op.drop_table("later")
    stop_here("table dropped")
"""
_INDEX = """

def upgrade():
    create_index("{name}", "outbox", ["kind"])
    stop_here("index made")


def downgrade():
    drop_index("{name}", "outbox")
    stop_here("index dropped")
"""


def written(folder: Path) -> tuple[Path, ...]:
    """The folders of versions, the later ones among them."""
    folder.mkdir()
    table = _VERSION.format(revision=TABLE, previous=NEWEST) + _TABLE
    index = _VERSION.format(revision=INDEX, previous=TABLE) + _INDEX.format(name=INDEX_NAME)
    (folder / f"{TABLE}_table.py").write_text(table, "utf-8")
    (folder / f"{INDEX}_index.py").write_text(index, "utf-8")
    return (*migrations.VERSIONS, folder)


def main(home: str, url: str, folder: str, to: str) -> None:
    """Go to a version: forwards to the newest, else back."""
    database = open_database(Settings(home=Path(home), database_url=url))
    step = migrations.upgrade if to == migrations.NEWEST else migrations.downgrade
    step(database, to, versions=(*migrations.VERSIONS, Path(folder)))
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
