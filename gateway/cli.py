"""The `backbridge` command."""

from __future__ import annotations

import os

import typer

from gateway.commands import administration, data
from gateway.commands.bench import bench
from gateway.commands.demo import demo
from gateway.commands.serve import serve

app = typer.Typer(
    name="backbridge",
    help="FHIR R4 gateway for back and neck pain self-management. Start with: backbridge serve --demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(serve)
app.command()(bench)
app.command()(demo)
app.command("import")(data.import_files)
app.command()(data.worker)
app.command()(administration.token)
app.command()(administration.migrate)
app.command()(administration.reindex)
app.add_typer(administration.clients, name="clients")
app.add_typer(administration.staff_commands, name="staff")


def main() -> None:
    # Databases, keys and uploads are nobody else's to read.
    os.umask(0o077)
    app()


if __name__ == "__main__":
    main()
