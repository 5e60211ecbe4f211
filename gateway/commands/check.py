"""`backbridge check`: is what is stored still what was written?"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from sqlalchemy.exc import DatabaseError

from gateway.commands.terminal import err, open_database, out, refuse, settings_with
from gateway.settings import Settings
from gateway.store.database import Database
from gateway.store.integrity import damages


def check(
    home: Annotated[Path | None, typer.Option(help="Folder of this installation's state.")] = None,
    database_url: Annotated[
        str | None, typer.Option(help="sqlite:///FILE or postgresql://HOST/DATABASE; else as the settings say.")
    ] = None,
) -> None:
    """Read all that is stored and name what is damaged; exit code 1 where something is. The gateway may go on."""
    settings = settings_with(home=home, database_url=database_url)
    found = 0
    with closing(_opened(settings)) as database, Progress(console=err, transient=True) as progress:
        task = progress.add_task("Checking", total=None)
        for damage in damages(
            database,
            settings.home / "audit.sqlite",
            lambda number, total: progress.update(task, completed=number, total=total),
        ):
            found += 1
            out.print(f"{damage.place}: {damage.what}", markup=False)
    if found:
        raise typer.Exit(1)
    out.print("Nothing is damaged.")


def _opened(settings: Settings) -> Database:
    try:
        return open_database(settings)
    except DatabaseError:
        refuse("the database is damaged where it begins, and cannot be opened: restore a backup")
