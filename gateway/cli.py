"""The `backbridge` command."""

from __future__ import annotations

import os

import typer

from gateway.commands import administration, data
from gateway.commands.backup import backup, restore
from gateway.commands.bench import bench, seed
from gateway.commands.check import check
from gateway.commands.demo import demo
from gateway.commands.migrate import migrate
from gateway.commands.outbox import outbox
from gateway.commands.serve import gateway, serve

app = typer.Typer(
    name="backbridge",
    help="FHIR R4 gateway for back and neck pain self-management. Start with: backbridge serve --demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(serve)
app.command(hidden=True)(gateway)
app.command()(bench)
app.command()(seed)
app.command()(demo)
app.command("import")(data.import_files)
app.command()(data.worker)
app.command()(administration.token)
app.command()(migrate)
app.command()(administration.reindex)
app.command()(check)
app.command()(restore)
app.add_typer(backup, name="backup")
app.add_typer(outbox, name="outbox")
app.add_typer(administration.clients, name="clients")
app.add_typer(administration.staff_commands, name="staff")


def main() -> None:
    # Databases, keys and uploads are nobody else's to read.
    os.umask(0o077)
    app()


if __name__ == "__main__":
    main()
