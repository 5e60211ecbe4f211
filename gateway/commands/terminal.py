"""How commands speak: errors are one line and a non-zero exit, results go to standard output."""

from __future__ import annotations

from typing import NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console

from gateway.settings import Settings
from gateway.store import database as databases
from gateway.store import migrations
from gateway.store.database import Database, DatabaseUnusable

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def refuse(sentence: object) -> NoReturn:
    """End the command with one line of explanation."""
    err.print(f"backbridge: {sentence}", style="red", markup=False)
    raise typer.Exit(1)


def settings_with(**given: object) -> Settings:
    """The settings of the environment, overridden by the options that were given."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as wrong:
        refuse("; ".join(f"BACKBRIDGE_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in wrong.errors()))


def open_database(settings: Settings, *, migrate: bool = False) -> Database:
    """The installation's database, whose schema is this program's; with `migrate` it is made so."""
    database = open_as_it_is(settings)
    try:
        migrations.make_ready(database, migrate=migrate)
    except DatabaseUnusable as unusable:
        database.close()
        refuse(unusable)
    return database


def open_as_it_is(settings: Settings) -> Database:
    """The installation's database, whatever its schema is."""
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return databases.open_database(settings)
    except OSError as failure:
        refuse(f"{settings.home}: {failure.strerror}")
    except DatabaseUnusable as unusable:
        refuse(unusable)
