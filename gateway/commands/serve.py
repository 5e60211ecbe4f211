"""`backbridge serve`: the gateway and the processes beside it."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from gateway import VERSION
from gateway.commands import listening
from gateway.commands.terminal import err, open_database, out, refuse, settings_with
from gateway.observe import logs
from gateway.observe.lines import Lines
from gateway.observe.published import publishing
from gateway.observe.requests import log_to
from gateway.observe.systemd import ALIVE, READY, STOPPING, notify, watchdog_seconds
from gateway.scraping import scraping
from gateway.settings import Settings
from gateway.work import supervisor
from gateway.work.running import announced
from gateway.work.supervisor import Child, Supervisor

_log = logging.getLogger(__name__)

_OPEN = "Open access: everybody on this machine may read and write everything."
_LOADING = "The demonstration is loaded by the one job worker that also works for it: one is used."
_ALONE = "SQLite has one writer at a time: one gateway process and one job worker are used. PostgreSQL takes more."


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    home: Annotated[Path | None, typer.Option(help="Folder of this installation's state.")] = None,
    database_url: Annotated[
        str | None,
        typer.Option(help="sqlite:///FILE or postgresql://HOST/DATABASE; the default is backbridge.sqlite in HOME."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Gateway processes; SQLite is served by one.")] = 1,
    job_workers: Annotated[int, typer.Option(min=1, help="Job workers; SQLite is served by one.")] = 1,
    migrate: Annotated[
        bool, typer.Option("--migrate", help="Bring PostgreSQL to the newest schema first; SQLite always is.")
    ] = False,
    open_access: Annotated[
        bool, typer.Option("--open-access", help="No tokens under /fhir: development on this machine only.")
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Load a demonstration clinic of synthetic people.")] = False,
) -> None:
    """Start the gateway; stop it with Ctrl-C or SIGTERM, and it finishes what it has begun."""
    settings = settings_with(host=host, port=port, home=home, database_url=database_url, demo=demo or None)
    if open_access and not _is_loopback(settings.host):
        refuse(f"--open-access listens on this machine only, not on {settings.host}")
    if (workers > 1 or job_workers > 1) and not settings.is_postgresql:
        err.print(_ALONE, style="yellow")
        workers = job_workers = 1
    if job_workers > 1 and settings.demo:
        err.print(_LOADING, style="yellow")
        job_workers = 1
    sockets = listening.sockets(settings, workers)
    open_database(settings, migrate=migrate).close()
    lines = _begin_log(settings)
    if open_access:
        _log.warning("gateway.open-access")
    if open_access and not lines.as_json:
        err.print(_OPEN, style="bold yellow")
    out.print(f"Backbridge on {settings.base_url}  (FHIR at {settings.fhir_base_url}, state in {settings.home})")
    with announced(settings.home, settings.base_url), _scraped(settings):
        _run(settings, sockets, job_workers, open_access)


def gateway(
    descriptor: Annotated[int, typer.Option(help="The listening socket, open in this process.")],
    parent: Annotated[int, typer.Option(help="Process to end with.")],
    open_access: Annotated[bool, typer.Option("--open-access")] = False,
) -> None:
    """One gateway process among several; `serve` starts it by itself."""
    settings = settings_with()
    _begin_log(settings)
    listening.run(settings, socket.socket(fileno=descriptor), open_access=open_access, parent=parent)


def _run(settings: Settings, sockets: list[socket.socket], jobs: int, open_access: bool) -> None:
    """A gateway alone is this process itself; several are its children, and it only keeps them."""
    workers = supervisor.job_workers(settings, jobs)
    if len(sockets) == 1:
        with Supervisor(workers, settings.drain_seconds):
            listening.run(settings, sockets[0], open_access=open_access)
        return
    options = ("--open-access",) if open_access else ()
    gateways = [
        Child(("gateway", "--descriptor", str(each.fileno()), *options), settings, (each.fileno(),)) for each in sockets
    ]
    stopping = _stopping_on_signals()
    with _counted(settings), Supervisor([*gateways, *workers], settings.drain_seconds):
        _wait(stopping)
        # The last copies: from here on connections are refused rather than left waiting for nobody.
        for each in sockets:
            each.close()


def _counted(settings: Settings) -> contextlib.AbstractContextManager[None]:
    """This process's own numbers, which are how often the others were started again."""
    return publishing(settings.home, "supervisor") if settings.has_metrics else contextlib.nullcontext()


def _wait(stopping: threading.Event) -> None:
    notify(READY)
    while not stopping.wait(watchdog_seconds() / 2 or None):
        notify(ALIVE)
    notify(STOPPING)


def _stopping_on_signals() -> threading.Event:
    """Set by SIGTERM and by Ctrl-C, which a terminal sends to the whole group."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    return stopping


def _begin_log(settings: Settings) -> Lines:
    lines = logs.configure("gateway", level=settings.log_level, form=settings.log_format)
    log_to(lines, "gateway", settings.log_requests)
    return lines


@contextlib.contextmanager
def _scraped(settings: Settings) -> Iterator[None]:
    """Numbers for Prometheus, where the settings want them."""
    with contextlib.ExitStack() as open_:
        try:
            open_.enter_context(scraping(settings, VERSION))
        except OSError as failure:
            refuse(f"cannot listen on {settings.metrics_listen} for metrics: {os.strerror(failure.errno or 0)}")
        yield


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
