"""A version of the schema after the newest, for tests of migrations: a table, a column with a default, an index."""

from __future__ import annotations

from pathlib import Path

from gateway.settings import Settings
from gateway.store import migrations
from gateway.store.database import Database, open_database

NEXT = "9001"
INDEX = "outbox_kind"

_VERSION = '''
import os
import time
from pathlib import Path

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations.indexes import create_index, drop_index

revision = "{next}"
down_revision = "{newest}"


def stop_here(name):
    """Wait to be killed where the test wants that; say that the place is reached."""
    if os.environ.get("STOP_AT") == name:
        Path(os.environ["STOPPED"]).touch()
        time.sleep(600)


def upgrade():
    op.create_table("later", sa.Column("id", sa.Integer, primary_key=True))
    stop_here("table")
    op.add_column("outbox", sa.Column("later", sa.Integer, nullable=False, server_default="7"))
    stop_here("column")
    create_index("{index}", "outbox", ["kind"])
    stop_here("index")


def downgrade():
    drop_index("{index}", "outbox")
    stop_here("no index")
    op.drop_column("outbox", "later")
    stop_here("no column")
    op.drop_table("later")
'''


def written(folder: Path) -> tuple[Path, ...]:
    """The folders of versions, the later one among them."""
    folder.mkdir()
    newest = sorted(path.name for path in migrations.VERSIONS[0].glob("[0-9]*.py"))[-1].partition("_")[0]
    (folder / f"{NEXT}_later.py").write_text(_VERSION.format(next=NEXT, newest=newest, index=INDEX), "utf-8")
    return (*migrations.VERSIONS, folder)


def run(home: str, url: str, folder: str, to: str) -> None:
    """What a process does that goes to a version; the way back where it is an earlier one."""
    database: Database = open_database(Settings(home=Path(home), database_url=url))
    versions = (*migrations.VERSIONS, Path(folder))
    step = migrations.upgrade if to == migrations.NEWEST else migrations.downgrade
    step(database, to, versions=versions)
    database.close()


if __name__ == "__main__":
    import sys

    run(*sys.argv[1:])
