"""`backbridge outbox list | replay`: work that was given up, and another life for it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.terminal import open_database, out, settings_with
from gateway.store import outbox as letters
from gateway.store.outbox import DeadLetter
from gateway.store.store import now_us

Home = Annotated[Path | None, typer.Option(help="Folder of this installation's state.")]

outbox = typer.Typer(help="Work that failed for the last time and waits for you.", no_args_is_help=True)


@outbox.command("list")
def list_dead(home: Home = None) -> None:
    """Print every piece of work that was given up: its number, kind, subject by id, tries, last error, and when."""
    database = open_database(settings_with(home=home))
    with database.reading() as session:
        found = letters.dead(session)
    database.close()
    for letter in found:
        typer.echo(_line(letter))
    if not found:
        out.print("Nothing was given up.")


@outbox.command("replay")
def replay(
    numbers: Annotated[list[int] | None, typer.Argument(help="Numbers from the list; all where none is given.")] = None,
    home: Home = None,
) -> None:
    """Have work that was given up done again, from the first try on."""
    database = open_database(settings_with(home=home))
    with database.working() as session:
        count = letters.replay(session, now_us(), numbers or None)
    database.close()
    out.print(f"{count} piece(s) of work will be done again.")


def _line(letter: DeadLetter) -> str:
    when = datetime.fromtimestamp(letter.created / 1_000_000, UTC).isoformat(timespec="seconds")
    return f"{letter.id}\t{letter.kind}\t{letter.reference}\t{letter.tries} tries\t{letter.note}\t{when}"
