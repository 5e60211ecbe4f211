"""`backbridge serve --workers` on PostgreSQL: several processes behind one port, and what holds across them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from gateway.people import organisations, tokens
from gateway.people.contexts import LOCAL_CLIENT
from gateway.people.local_token import local_token
from gateway.settings import Settings
from gateway.store.database import open_database
from gateway.store.store import now_us
from tests.commands.test_serve import FHIR, PERSON, free_port

PATIENCE_SECONDS = 120.0
# Connections enough that the kernel's spreading leaves no process out.
CONNECTIONS = 24


@dataclass
class Serving:
    """A running `serve`, its log and a way to it."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def lines(self, event: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.read_text("utf-8").splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def gateways(self) -> set[int]:
        """The processes that have answered requests."""
        return {int(str(line["pid"])) for line in self.lines("request")}

    def children(self) -> dict[int, str]:
        """Every process that `serve` has started and that runs, with its command."""
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                command = (stat.parent / "cmdline").read_text().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == self.process.pid and "gateway.cli" in command:
                found[int(stat.parent.name)] = command[command.index("gateway.cli") + 1]
        return found


def until(is_so: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < ends, "it never came to that"
        time.sleep(0.1)


@contextmanager
def serving(home: Path, url: str, *options: str) -> Iterator[Serving]:
    log, port = home / "log", free_port()
    environment = os.environ | {
        "BACKBRIDGE_HOME": str(home),
        "BACKBRIDGE_DATABASE_URL": url,
        "BACKBRIDGE_LOG_FORMAT": "json",
        "BACKBRIDGE_LOG_REQUESTS": "all",
    }
    command = [sys.executable, "-m", "gateway.cli", "serve", "--port", str(port), *options]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stderr=file)
    found = Serving(process, f"http://127.0.0.1:{port}", log)
    try:
        until(lambda: process.poll() is not None or answers(found))
        yield found
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def answers(serving: Serving) -> bool:
    try:
        return httpx.get(f"{serving.url}/readyz", timeout=PATIENCE_SECONDS).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def callers(serving: Serving, **headers: str) -> Iterator[list[httpx.Client]]:
    """Clients with a connection each, spread over the processes."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(httpx.Client(base_url=serving.url, timeout=PATIENCE_SECONDS, headers=headers))
            for _ in range(CONNECTIONS)
        ]


@pytest.fixture
def two(tmp_path: Path, postgresql_url: str) -> Iterator[Serving]:
    """Two gateways and two job workers."""
    with serving(tmp_path, postgresql_url, "--workers", "2", "--job-workers", "2", "--open-access") as found:
        yield found


def test_two_gateways_share_the_port_and_each_reads_what_the_other_wrote(two: Serving) -> None:
    with callers(two) as clients:
        made = [client.post("/fhir/Patient", content=PERSON, headers=FHIR) for client in clients]
        assert {answer.status_code for answer in made} == {201}
        paths = [httpx.URL(answer.headers["location"]).path.split("/_history")[0] for answer in made]
        for client, path in zip(clients, reversed(paths), strict=True):
            assert client.get(path).status_code == 200
    until(lambda: len(two.gateways()) == 2)
    assert sorted(two.children().values()) == ["gateway", "gateway", "worker", "worker"]


def test_a_gateway_that_is_killed_is_started_again_and_the_other_answers_meanwhile(two: Serving) -> None:
    with callers(two) as clients:
        assert {client.get("/fhir/metadata").status_code for client in clients} == {200}
    first = {pid for pid, command in two.children().items() if command == "gateway"}
    killed = min(first)
    os.kill(killed, signal.SIGKILL)
    until(lambda: len([pid for pid, command in two.children().items() if command == "gateway" and pid != killed]) == 2)
    # Connections that reach the new process before it is ready wait for it: nobody is refused.
    with callers(two) as clients:
        assert {client.get("/fhir/metadata").status_code for client in clients} == {200}
    assert [line["code"] for line in two.lines("child.ended")] == [-signal.SIGKILL]


def test_sigterm_ends_every_process_and_a_lost_parent_too(tmp_path: Path, postgresql_url: str) -> None:
    options = ("--workers", "2", "--open-access")
    for number, how in enumerate((signal.SIGTERM, signal.SIGKILL)):
        home = tmp_path / str(number)
        home.mkdir()
        with serving(home, postgresql_url, *options) as found:
            until(lambda found=found: len(found.children()) == 3)
            children = set(found.children())
            found.process.send_signal(how)
            assert found.process.wait(PATIENCE_SECONDS) == (0 if how == signal.SIGTERM else -signal.SIGKILL)
            until(lambda children=children: not any(is_running(pid) for pid in children))


def is_running(pid: int) -> bool:
    try:
        return "gateway.cli" in Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_token_revoked_by_a_command_opens_no_gateway_from_that_moment(tmp_path: Path, postgresql_url: str) -> None:
    settings = Settings(home=tmp_path, database_url=postgresql_url)
    with serving(tmp_path, postgresql_url, "--workers", "2") as found:
        database = open_database(settings)
        token = local_token(database, scope="system/*.rs", organization="Organization/clinic", now_us=now_us())
        with callers(found, authorization=f"Bearer {token}") as clients:
            for _ in range(2):
                assert {client.get("/fhir/Patient").status_code for client in clients} == {200}
            with database.writing() as session:
                organisations.add(session, name="Riverside Clinic", now_us=now_us())
            # Something else has changed: whoever asks is signed in again and notices nothing.
            assert {client.get("/fhir/Patient").status_code for client in clients} == {200}
            with database.writing() as session:
                assert tokens.revoke(session, token, client=LOCAL_CLIENT, now_us=now_us())
            assert {client.get("/fhir/Patient").status_code for client in clients} == {401}
        database.close()
        until(lambda: len(found.gateways()) == 2)


def test_sigterm_under_load_loses_no_acknowledged_write(tmp_path: Path, postgresql_url: str) -> None:
    acknowledged: list[str] = []

    def write(url: str) -> None:
        with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as own:
            while True:
                try:
                    made = own.post("/fhir/Patient", content=PERSON, headers=FHIR)
                except httpx.TransportError:
                    return
                if made.status_code != 201:
                    return
                acknowledged.append(made.headers["location"].split("/")[-3])

    with serving(tmp_path, postgresql_url, "--workers", "2", "--open-access") as found:
        threads = [threading.Thread(target=write, args=(found.url,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        until(lambda: len(acknowledged) > 50)
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(PATIENCE_SECONDS) == 0
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
    with psycopg.connect(postgresql_url) as connection:
        stored = {row[0] for row in connection.execute("SELECT id FROM resource")}
    assert set(acknowledged) <= stored


def test_sqlite_is_served_by_one_gateway_whatever_is_asked(tmp_path: Path) -> None:
    with serving(tmp_path, "", "--workers", "3", "--job-workers", "3", "--open-access") as found:
        until(lambda: found.children())
        assert list(found.children().values()) == ["worker"]
    assert "one gateway process and one job worker are used" in found.log.read_text("utf-8")
