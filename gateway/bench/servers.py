"""The servers of a run: those named by URL, a gateway of our own for as long as the run lasts, and the floors."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from gateway.bench.loader import ask
from gateway.bench.target import Target, Unusable, target

_START_SECONDS = 60.0
FLOOR_BYTES = 1_700
_TOKEN_SECONDS = 4 * 3600


@dataclass
class Server:
    """
    One server under measurement.

    pids    its processes; everything below them counts as well
    floor   whether it answers everything with a constant, as the most that this machine could do
    loaded  for each bundle of the corpus, the references (`Type/id`) that its entries were given here
    """

    name: str
    target: Target
    pids: tuple[int, ...] = ()
    floor: bool = False
    loaded: list[list[str]] = field(default_factory=list)


def named(given: str, token: str, pids: str, *, remote: bool) -> Server:
    """A server as the command line names it: `URL` or `NAME=URL`, and its processes as `12,34`. Raises Unusable."""
    name, _, url = given.rpartition("=") if given.partition("://")[0].count("=") else ("", "", given)
    found = target(url, token, remote=remote)
    if not all(pid.strip().isdecimal() for pid in pids.split(",") if pid):
        raise Unusable(f"{pids} is not a list of process ids, such as 1200,1201")
    return Server(name or f"{found.host}:{found.port}", found, tuple(int(pid) for pid in pids.split(",") if pid))


def refuse_unless_fhir(server: Server) -> None:
    """Unusable where the URL is no R4 server, or the token gives no access to Patients."""
    url = server.target.url
    answer = ask(server.target, server.target.get("metadata"))
    try:
        statement = orjson.loads(answer.body)
        version = statement["fhirVersion"] if statement["resourceType"] == "CapabilityStatement" else ""
    except (orjson.JSONDecodeError, KeyError, TypeError):
        version = ""
    if answer.status != 200 or not version:
        raise Unusable(f"{url} is not a FHIR base URL: {url}/metadata gave {answer.status} and no CapabilityStatement")
    if not str(version).startswith("4.0"):
        raise Unusable(f"{url} speaks FHIR {version}; the data here are FHIR R4")
    status = ask(server.target, server.target.get("Patient", {"_count": "1"})).status
    if status in (401, 403):
        given = "refuses this token" if server.target.token else "wants a token: give one with --token or --peer-token"
        raise Unusable(f"{url} {given} ({status})")
    if status != 200:
        raise Unusable(f"{url} answered a search for Patients with {status}")


@contextmanager
def own_gateway(home: Path, audit_reads: str) -> Iterator[Server]:
    """`backbridge serve` on an empty home, with a token of an organisation."""
    environment = {"BACKBRIDGE_HOME": str(home), "BACKBRIDGE_AUDIT_READS": audit_reads}
    with serving_home(f"gateway ({audit_reads})", environment, f"Organization/{secrets.token_hex(4)}") as server:
        yield server


@contextmanager
def serving_home(name: str, environment: dict[str, str], organization: str) -> Iterator[Server]:
    """`backbridge serve` with this environment, and a token of this organisation."""
    port = _free_port()
    found = target(f"http://127.0.0.1:{port}/fhir", local_token(environment, organization))
    with _running(_command("serve", "--port", str(port)), environment, found, "metadata") as pid:
        yield Server(name, found, (pid,))


def local_token(environment: dict[str, str], organization: str) -> str:
    """A token of this organisation for everything its patients permit, minted on this machine."""
    scope = ["--scope", "system/*.cruds", "--organization", organization, "--seconds", str(_TOKEN_SECONDS)]
    # The commands are our own, from our own interpreter.
    minted = subprocess.run(  # noqa: S603
        _command("token", *scope), env=os.environ | environment, check=True, capture_output=True, text=True
    )
    return minted.stdout.strip()


@contextmanager
def floor(name: str, database: Path | None) -> Iterator[Server]:
    """A floor; with a path, one that writes a row durably before it answers."""
    port = _free_port()
    found = target(f"http://127.0.0.1:{port}")
    command = [sys.executable, "-m", "gateway.bench.floors", str(port), str(FLOOR_BYTES)]
    with _running(command + ([str(database)] if database else []), {}, found, "") as pid:
        yield Server(name, found, (pid,), floor=True)


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", *words]


@contextmanager
def _running(command: list[str], environment: dict[str, str], found: Target, ready: str) -> Iterator[int]:
    """A server process that answers `ready` before the block starts, and is stopped after it."""
    process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        _wait(found, ready, process)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _wait(found: Target, ready: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(Unusable):
            if ask(found, found.get(ready)).status == 200:
                return
        time.sleep(0.1)
    raise Unusable("a server of this run did not start; what it said is above")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
