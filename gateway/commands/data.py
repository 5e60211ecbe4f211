"""`backbridge worker | import`: the job child, and bringing files in.

What only these need (numpy among it) is imported when they run: the gateway loads this module too.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.terminal import open_database, refuse, settings_with
from gateway.people import organisations
from gateway.people.errors import PeopleError
from gateway.store.database import Database, DatabaseUnusable

Home = Annotated[Path | None, typer.Option(help="Folder of this installation's state.")]


def worker(parent: Annotated[int | None, typer.Option(help="Process to end with.")] = None, home: Home = None) -> None:
    """Do the work that follows from commits, and read uploaded files; `serve` starts it by itself."""
    from gateway.work.worker import run

    try:
        run(settings_with(home=home), parent)
    except DatabaseUnusable as unusable:
        refuse(unusable)


def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(help="FHIR JSON, Bundles, NDJSON, Apple Health exports.", exists=True, dir_okay=False),
    ],
    patient: Annotated[str | None, typer.Option(help="Patient/ID in whose name the files are imported.")] = None,
    organization: Annotated[str | None, typer.Option(help="Organization/ID in whose name they are imported.")] = None,
    home: Home = None,
) -> None:
    """Import files. Interrupt it as you like: the same command goes on where it stopped."""
    from gateway.intake.session import Actor, Session

    settings = settings_with(home=home)
    if patient and organization:
        refuse("name either --patient or --organization: a patient acts for no organisation")
    database = open_database(settings)
    try:
        actor = Actor(patient, None if patient else organization or _only_organisation(database))
        ended = asyncio.run(Session(settings, database, actor).run(files))
    except PeopleError as refused:
        refuse(refused)
    finally:
        database.close()
    raise typer.Exit(ended)


def _only_organisation(database: Database) -> str:
    with database.reading() as session:
        every = organisations.every(session)
    if len(every) != 1:
        known = "several organisations are" if every else "no organisation is"
        refuse(f"{known} registered here: name one with --organization Organization/ID, or a person with --patient")
    return f"Organization/{every[0].id}"
