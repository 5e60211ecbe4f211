"""Telling systemd how a service fares (sd_notify(3)): a datagram to the socket that it names, and nothing elsewhere."""

from __future__ import annotations

import asyncio
import logging
import os
import socket

import uvicorn

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"

_log = logging.getLogger(__name__)


class NotifyingServer(uvicorn.Server):
    """A server that says when it listens and when it stops, and that its event loop turns as long as it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _log.info("gateway.started")
            notify(READY)
            self._turning = asyncio.create_task(_keep_telling(watchdog_seconds()))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        _log.info("gateway.stopping")
        notify(STOPPING)
        await super().shutdown(sockets)
        self._turning.cancel()


async def _keep_telling(limit_seconds: float) -> None:
    while limit_seconds:
        notify(ALIVE)
        # Twice within the limit, so that one late turn of the loop is not taken for a hung process.
        await asyncio.sleep(limit_seconds / 2)


def notify(state: str) -> None:
    """Say so to the service manager, where one started this process and listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as messenger:
        messenger.connect("\0" + address[1:] if address.startswith("@") else address)
        messenger.send(state.encode())


def watchdog_seconds() -> float:
    """How often at most systemd wants to hear from us before it takes us for hung; 0 where it does not watch."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    return int(os.environ.get("WATCHDOG_USEC", "0")) / 1_000_000
