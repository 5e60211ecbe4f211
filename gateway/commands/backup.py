"""`backbridge backup FILE | backup rotate-key | restore FILE`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway.commands.terminal import err, out, refuse, settings_with
from gateway.privacy import backup as backups
from gateway.privacy import backup_keys, backup_restore
from gateway.privacy.errors import BackupRefused

Home = Annotated[Path | None, typer.Option(help="Folder of this installation's state.")]
_MAKE = "make"


class _FileFirst(TyperGroup):
    """A group whose first word may be a file: then it is made."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = [_MAKE, *args]
        return super().parse_args(ctx, args)


backup = typer.Typer(cls=_FileFirst, help="Sealed backups of a running installation.", no_args_is_help=True)


@backup.command(_MAKE)
def make(
    file: Annotated[Path, typer.Argument(help="File to make; it must not exist.", dir_okay=False)],
    home: Home = None,
) -> None:
    """Back up database, audit and keys into one sealed file while the gateway runs; short form: backup FILE."""
    with _refusals():
        made = backups.backup(settings_with(home=home), file)
        key = backup_keys.file_of(settings_with(home=home).home, made.key)
    out.print(f"{file}: {made.bytes:,} bytes, from {made.contents:,}; opened by {key}.", markup=False)
    if made.key.epoch == 1:
        err.print("Keep a copy of that key apart from the backups: without it nobody can open them.", style="yellow")


@backup.command("rotate-key")
def rotate_key(
    destroy_older_than_days: Annotated[
        float | None,
        typer.Option(min=0, help="Destroy the keys that were replaced longer ago: their backups end with them."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Destroy keys without being asked.")] = False,
    home: Home = None,
) -> None:
    """Seal the backups from now on with a new key; with --destroy-older-than-days, end the older backups."""
    folder = settings_with(home=home).home
    with _refusals():
        now = backups.now()
        fresh = backup_keys.rotate(folder, now)
        out.print(f"Backups are sealed with {backup_keys.file_of(folder, fresh)} from now on.", markup=False)
        if destroy_older_than_days is None:
            return
        old = backup_keys.superseded(folder, now - timedelta(days=destroy_older_than_days))
        if old and not yes:
            typer.confirm(f"Destroy {len(old)} key(s)? No backup of theirs can ever be opened again.", abort=True)
        backup_keys.destroy(folder, old)
    out.print(f"{len(old)} older key(s) destroyed; destroy your copies of them too.", markup=False)


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.", exists=True, dir_okay=False)],
    key: Annotated[Path, typer.Option(help="Key of the backup's epoch, or a folder of such keys.", exists=True)],
    home: Home = None,
) -> None:
    """Restore a backup into an empty home, verified before anything appears there."""
    settings = settings_with(home=home)
    with _refusals():
        restored = backup_restore.restore(settings, file, backup_keys.every(key))
    out.print(f"{settings.home}: {restored.rows:,} rows as of {restored.begun:%Y-%m-%d %H:%M:%S} UTC.", markup=False)
    err.print(
        "What was erased or withdrawn after that moment is there again: erase and withdraw it before you start.",
        style="yellow",
    )


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except BackupRefused as refused:
        refuse(refused)
