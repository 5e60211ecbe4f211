"""What systemd hears from a service (sd_notify): ready when it listens, alive while it turns, and stopping."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.observe.systemd import READY, notify, watchdog_seconds
from tests.commands.test_serve import serving


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket on which a service manager listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "n"))
        listening.settimeout(30)
        yield listening


def heard(manager: socket.socket) -> str:
    return manager.recv(100).decode()


def test_a_served_gateway_is_ready_alive_and_stopping(manager: socket.socket, tmp_path: Path) -> None:
    told = {"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "1000000"}
    with serving(tmp_path / "home", "--open-access", **told) as (_, client):
        assert heard(manager) == "READY=1"
        with httpx.Client(base_url=client.base_url) as another:
            assert another.get("/livez").status_code == 200
        assert [heard(manager) for _ in range(3)] == ["WATCHDOG=1"] * 3
    last = ""
    while last != "STOPPING=1":
        last = heard(manager)


def test_an_abstract_socket_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"backbridge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify(READY)
        assert heard(listening) == READY


def test_without_a_service_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify(READY)


@pytest.mark.parametrize(
    ("limit", "whose", "expected"), [("30000000", None, 30.0), ("30000000", "1", 0.0), (None, None, 0.0)]
)
def test_only_the_process_that_is_watched_says_that_it_is_alive(
    monkeypatch: pytest.MonkeyPatch, limit: str | None, whose: str | None, expected: float
) -> None:
    for name, value in (("WATCHDOG_USEC", limit), ("WATCHDOG_PID", whose)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert watchdog_seconds() == expected
