"""`backbridge serve`: the gateway and its supervised job child."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from gateway.commands.terminal import err, open_database, out, refuse, settings_with
from gateway.settings import Settings
from gateway.work.running import announced
from gateway.work.supervisor import Supervisor

# What a client may keep open between requests; longer than a proxy's own limit, so that the proxy closes first.
_KEEP_ALIVE_SECONDS = 75


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    home: Annotated[Path | None, typer.Option(help="Folder of this installation's state.")] = None,
    database_url: Annotated[
        str | None, typer.Option(help="sqlite:///FILE; the default is backbridge.sqlite in HOME.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Gateway processes. SQLite is served best by one.")] = 1,
    open_access: Annotated[
        bool, typer.Option("--open-access", help="No tokens under /fhir: development on this machine only.")
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Load a demonstration clinic of synthetic people.")] = False,
) -> None:
    """Start the gateway; stop it with Ctrl-C or SIGTERM, and it finishes what it has begun."""
    settings = settings_with(host=host, port=port, home=home, database_url=database_url, demo=demo or None)
    if open_access and not _is_loopback(settings.host):
        refuse(f"--open-access listens on this machine only, not on {settings.host}")
    if workers > 1:
        err.print(
            "SQLite has one writer at a time: one gateway process is used. PostgreSQL takes more.", style="yellow"
        )
    _refuse_unless_free(settings)
    open_database(settings).close()
    if open_access:
        err.print("Open access: everybody on this machine may read and write everything.", style="bold yellow")
    out.print(f"Backbridge on {settings.base_url}  (FHIR at {settings.fhir_base_url}, state in {settings.home})")
    with announced(settings.home, settings.base_url), Supervisor(settings):
        _run(settings, open_access)


def _run(settings: Settings, open_access: bool) -> None:
    from gateway.app import build_app

    proxies = settings.trusted_proxies or ""
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(settings, open_access=open_access),
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http="httptools",
            lifespan="on",
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(settings.drain_seconds),
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            log_level="warning",
        )
    )
    # uvicorn raises the signal that stopped it once more when it is done; the job child is still to be stopped then.
    for stopping in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stopping, lambda _number, _frame: None)
    server.run()
    if not server.started:
        raise typer.Exit(1)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_unless_free(settings: Settings) -> None:
    """Say so in one line where the port is taken, before anything is started."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        refuse(f"{settings.host} is not an address of this machine")
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as failure:
            refuse(f"cannot listen on {settings.host}:{settings.port}: {os.strerror(failure.errno or 0)}")
