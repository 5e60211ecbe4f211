"""`backbridge migrate`: the schema's versions, forwards and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway.commands.terminal import open_as_it_is, out, refuse, settings_with
from gateway.store import migrations
from gateway.store.database import Database, DatabaseUnusable
from gateway.store.migrations.partitions import FEWEST, MOST
from gateway.store.postgresql.database import PostgreSQLDatabase


def migrate(
    to: Annotated[
        str, typer.Option(metavar="VERSION", help="Version to go to, forwards or back; base takes everything back.")
    ] = migrations.NEWEST,
    row_level_security: Annotated[
        Literal["on", "off"] | None,
        typer.Option(help="Install or remove the policies of PostgreSQL's row-level security; else they stay."),
    ] = None,
    partitions: Annotated[
        int | None,
        typer.Option(
            min=FEWEST, max=MOST, metavar="N", help="Divide the tables by patient into N parts; PostgreSQL, empty."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Go back without being asked.")] = False,
    home: Annotated[Path | None, typer.Option(help="Folder of this installation's state.")] = None,
    database_url: Annotated[
        str | None, typer.Option(help="sqlite:///FILE or postgresql://HOST/DATABASE; else as the settings say.")
    ] = None,
) -> None:
    """Bring the database to the newest schema, or to another version of it. One process at a time; others wait."""
    if not migrations.is_known(to):
        refuse(f"there is no version {to} of the schema")
    database = open_as_it_is(settings_with(home=home, database_url=database_url))
    try:
        if row_level_security is not None and not isinstance(database, PostgreSQLDatabase):
            refuse("SQLite has no row-level security; the guard alone decides there")
        if partitions is not None and not isinstance(database, PostgreSQLDatabase):
            refuse("SQLite has no partitions; one machine's file needs none")
        if partitions is not None and to != migrations.NEWEST:
            refuse("partitions are made of the newest schema; leave out --to")
        if _is_back(database, to):
            _go_back(database, to, yes)
        else:
            _go_forwards(database, to)
        if partitions is not None and isinstance(database, PostgreSQLDatabase):
            migrations.partition(database, partitions)
            out.print(f"The tables are divided into {partitions} partitions.")
        if row_level_security is not None and isinstance(database, PostgreSQLDatabase):
            migrations.secure(database, on=row_level_security == "on")
            out.print(f"Row-level security is {row_level_security}.")
    except DatabaseUnusable as unusable:
        refuse(unusable)
    finally:
        database.close()


def _is_back(database: Database, to: str) -> bool:
    return to != migrations.NEWEST and to not in migrations.pending(database)


def _go_forwards(database: Database, to: str) -> None:
    applied = migrations.upgrade(database, to)
    out.print(f"Applied {', '.join(applied)}." if applied else "The schema is the newest already.")


def _go_back(database: Database, to: str, yes: bool) -> None:
    if not yes:
        typer.confirm(f"Go back to {to}? What only later versions can hold is lost.", abort=True)
    taken_back = migrations.downgrade(database, to)
    out.print(f"Took back {', '.join(taken_back)}." if taken_back else f"The schema is of version {to} already.")
