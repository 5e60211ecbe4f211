"""A gateway process: the server on its sockets, from the first request to the last."""

from __future__ import annotations

import os
import signal
import socket

import typer
import uvicorn

from gateway.commands.terminal import refuse
from gateway.connections import timed
from gateway.observe.systemd import NotifyingServer
from gateway.settings import Settings
from gateway.store.database import DatabaseUnusable

# What a client may keep open between requests; longer than a proxy's own limit, so that the proxy closes first.
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2048


class _Server(NotifyingServer):
    """A server that ends with the process that keeps it, where there is one."""

    def __init__(self, config: uvicorn.Config, parent: int | None) -> None:
        super().__init__(config)
        self._parent = parent

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or (self._parent is not None and os.getppid() != self._parent)


def run(settings: Settings, listening: socket.socket, *, open_access: bool, parent: int | None = None) -> None:
    """
    Answer requests until SIGTERM, Ctrl-C or the end of the parent; what has been begun is finished first.

    listening  the socket that connections come from
    """
    from gateway.app import build_app

    try:
        application = build_app(settings, open_access=open_access)
    except DatabaseUnusable as unusable:
        refuse(unusable)
    proxies = settings.trusted_proxies or ""
    server = _Server(
        uvicorn.Config(
            application,
            loop="uvloop",
            http=timed(settings.client_seconds),
            lifespan="on",
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(settings.drain_seconds),
            backlog=_BACKLOG,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            log_config=None,
            log_level="warning",
        ),
        parent,
    )
    # uvicorn raises the signal that stopped it once more when it is done; there are children still to be stopped then.
    for stopping in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stopping, lambda _number, _frame: None)
    server.run(sockets=[listening])
    if not server.started:
        raise typer.Exit(1)


def sockets(settings: Settings, count: int) -> list[socket.socket]:
    """
    Listening sockets on the one address, one for each gateway process; the kernel spreads connections over them.

    Whoever keeps the processes keeps the sockets too: connections that come while one is started again wait for it.
    Refuses, in one line, where the address or port cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        refuse(f"{settings.host} is not an address of this machine")
    try:
        alone = _bound(family, kind, protocol, address, is_shared=False)
        if count == 1:
            return [alone]
        # Nobody else listens there; sockets that are shared from the beginning would not notice.
        alone.close()
        return [_bound(family, kind, protocol, address, is_shared=True) for _ in range(count)]
    except OSError as failure:
        refuse(f"cannot listen on {settings.host}:{settings.port}: {os.strerror(failure.errno or 0)}")


def _bound(family: int, kind: int, protocol: int, address: object, *, is_shared: bool) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)  # type: ignore[arg-type]
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made
