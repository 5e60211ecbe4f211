"""
Black-box checks of a FHIR R4 endpoint by its base URL.

By default a gateway is started as a developer would (`backbridge serve --open-access` on an empty home), on each of
the databases; with BACKBRIDGE_CONFORMANCE_URL, and BACKBRIDGE_CONFORMANCE_TOKEN where it wants one, any other endpoint
is asked instead.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conformance.peer import Peer
from tests.postgresql import Server

ROOT = Path(__file__).parents[2]
GIVEN = os.environ.get("BACKBRIDGE_CONFORMANCE_URL", "").rstrip("/")


@pytest.fixture(scope="session", params=["given"] if GIVEN else ["sqlite", "postgresql"])
def base_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the endpoint is."""
    if request.param == "given":
        yield GIVEN
        return
    more = {}
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("server")
        more["BACKBRIDGE_DATABASE_URL"] = server.new_database()
    home = tmp_path_factory.mktemp(request.param)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"BACKBRIDGE_HOME": str(home), **more}
    command = [sys.executable, "-m", "gateway.cli", "serve", "--open-access", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}/livez")
        yield f"http://127.0.0.1:{port}/fhir"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def peer(base_url: str) -> Iterator[Peer]:
    """The endpoint that is checked."""
    token = os.environ.get("BACKBRIDGE_CONFORMANCE_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=base_url + "/", headers=headers, timeout=60) as client:
        yield Peer(client, base_url)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError(url)
