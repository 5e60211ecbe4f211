"""`backbridge demo`: the whole way of one invented person against a running gateway, every step checked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.terminal import err, open_database, out, refuse, settings_with
from gateway.work.running import find


def demo(
    url: Annotated[str | None, typer.Option(help="Where the gateway answers; else the one that runs on HOME.")] = None,
    home: Annotated[Path | None, typer.Option(help="Folder of the running installation's state.")] = None,
) -> None:
    """Tell the story of one invented patient, from registration to withdrawal, against a running gateway."""
    import httpx

    from gateway.demo.browser import UnexpectedPage
    from gateway.demo.story import STEPS, StepFailed, telling, title
    from gateway.people.errors import PeopleError

    settings = settings_with(home=home)
    running = find(settings.home)
    address = (url or (running.url if running else settings.base_url)).rstrip("/")
    database = open_database(settings)
    began = time.perf_counter()
    try:
        with telling(address, settings, database, lambda line: out.print(f"      {line}", markup=False)) as story:
            for number, step in enumerate(STEPS, start=1):
                out.print(f"[bold]{number:>3}.[/bold] {title(step)}")
                step(story)
    except (StepFailed, UnexpectedPage, PeopleError) as failure:
        err.print(f"      failed: {failure}", style="red", markup=False)
        raise typer.Exit(1) from None
    except httpx.TransportError:
        refuse(f"no gateway answers on {address}; start one with: backbridge serve --demo")
    finally:
        database.close()
    seconds = time.perf_counter() - began
    out.print(f"All {len(STEPS)} steps came out as they have to, in {seconds:.1f} s.", style="green")
