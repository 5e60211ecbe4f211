"""A running gateway on a free port, for tests that need a browser: script-less or real."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from gateway.app import build_app
from gateway.settings import Settings

_PATIENCE_SECONDS = 20


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(settings: Settings, port: int) -> Iterator[None]:
    """The application on this port until the block ends."""
    config = uvicorn.Config(build_app(settings), host="127.0.0.1", port=port, log_level="error", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not server.started:
        assert time.monotonic() < deadline, "the gateway did not start"
        assert thread.is_alive(), "the gateway stopped while starting"
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(_PATIENCE_SECONDS)
