"""`python -m tests.benchmarks.postgresql`: the gateway on PostgreSQL against one prepared SELECT behind raw ASGI.

A private server with fsync on, one gateway process, 16 connections; floor and workload take turns in the same minute.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import orjson
import psycopg
import uvicorn

from gateway.bench import corpus
from gateway.bench.loader import Result, ask, in_turn, load, percentile_ms
from gateway.bench.target import Request, Target
from gateway.people import organisations
from gateway.people.local_token import local_token
from gateway.settings import Settings
from gateway.store.database import open_database
from gateway.store.postgresql.links import Links
from gateway.store.store import now_us
from tests.postgresql import BINARIES, Server

CONNECTIONS = 16
FLOOR_BYTES = 1_700
_FLOOR = "SELECT body FROM floor WHERE id = ?"


Send = Callable[[dict[str, object]], Awaitable[None]]


class Floor:
    """Answers every request with a row that one prepared statement reads by its key."""

    def __init__(self, conninfo: str) -> None:
        self._links = Links(conninfo, "SET plan_cache_mode = force_generic_plan", lent_max=1)
        self._number = 0

    async def __call__(self, scope: object, receive: object, send: Send) -> None:
        self._number += 1
        link = await self._links.shared()
        [[(body,)]] = await link.send([(_FLOOR, (self._number % 1_000,))])
        headers = [(b"content-type", b"application/fhir+json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def serve_floor(port: int, conninfo: str) -> None:
    floor = Floor(conninfo)
    uvicorn.run(
        floor, host="127.0.0.1", port=port, loop="uvloop", http="httptools", lifespan="off", access_log=False,
        log_level="warning",
    )  # fmt: skip


@contextmanager
def postgresql() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="backbridge-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = Server(sorted(BINARIES)[-1], folder)
    server.initialise()
    server.start()
    try:
        server.make_template()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def process(command: Sequence[str], port: int, ready: str, environment: dict[str, str]) -> Iterator[None]:
    """A server process that answers before the block starts, and is stopped after it."""
    running = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}{ready}")
        yield
    finally:
        running.terminate()
        running.wait(30)


@contextmanager
def floor_served(server: Server) -> Iterator[Target]:
    conninfo = server.new_database()
    with psycopg.connect(conninfo) as connection:
        connection.execute("CREATE TABLE floor (id bigint PRIMARY KEY, body bytea NOT NULL)")
        connection.execute(
            "INSERT INTO floor SELECT n, decode(repeat('78', %s), 'hex') FROM generate_series(0, 999) n", (FLOOR_BYTES,)
        )
    port = _free_port()
    with process([sys.executable, "-m", __spec__.name, "--floor", str(port), conninfo], port, "/", {}):
        yield Target(f"http://127.0.0.1:{port}", "127.0.0.1", port, "", None, "")


@contextmanager
def gateway_served(server: Server, home: Path, audit_reads: str) -> Iterator[Target]:
    port, url = _free_port(), server.new_database()
    home.mkdir()
    database = open_database(Settings(home=home, database_url=url))
    with database.writing() as session:
        clinic = organisations.add(session, name="Benchmark", now_us=now_us())
    token = local_token(
        database, scope="system/*.cruds", organization=f"Organization/{clinic.id}", seconds=3600, now_us=now_us()
    )
    database.close()
    environment = {"BACKBRIDGE_HOME": str(home), "BACKBRIDGE_DATABASE_URL": url, "BACKBRIDGE_AUDIT_READS": audit_reads}
    command = [sys.executable, "-m", "gateway.cli", "serve", "--port", str(port)]
    with process(command, port, "/readyz", environment):
        yield Target(f"http://127.0.0.1:{port}/fhir", "127.0.0.1", port, "/fhir", None, token)


def workloads(target: Target, count: int) -> dict[str, tuple[list[Request], int]]:
    """Requests by what they measure, and how many of them."""
    answer = ask(target, target.get("Patient", {"_count": "1000", "_elements": "id"}))
    ids = [entry["resource"]["id"] for entry in orjson.loads(answer.body)["entry"]]
    system = corpus.IDENTIFIER_SYSTEM
    observations = [
        {"patient": each, "code": f"http://loinc.org|{corpus.CODES[n % 12]}", "date": "ge2015-01-01", "_count": "20"}
        for n, each in enumerate(ids)
    ]
    numbers = [target.get("Patient", {"identifier": f"{system}|measured-{n}"}) for n in range(len(ids))]
    people = [orjson.dumps(corpus.patient("created", n)) for n in range(500)]
    latest = {"_sort": "-date", "_count": "20"}
    return {
        "Patient read by id": ([target.get(f"Patient/{each}") for each in ids], count),
        "Patient by identifier": (numbers, count // 2),
        "Observation by patient, code, date": (
            [target.get("Observation", query) for query in observations], count // 2,
        ),
        "Observation of a patient, latest first": (
            [target.get("Observation", latest | {"patient": each}) for each in ids], count // 2,
        ),
        "Patient create": (
            [target.send("POST", "Patient", each, kind="create", expected=(201,)) for each in people], count // 2,
        ),
    }  # fmt: skip


def measured(target: Target, requests: list[Request], count: int) -> Result:
    result = load(target, in_turn(requests, count, CONNECTIONS))
    if result.errors:
        raise SystemExit(f"{dict(result.errors)} {result.examples}")
    return result


def compared(what: str, target: Target, floor: Target, requests: list[Request], count: int) -> None:
    """Floor, workload, workload, floor."""
    measured(target, requests, 200)
    floors, runs = [], []
    for turn in (floor, target, target, floor):
        if turn is floor:
            floors.append(measured(floor, [floor.get("")], 4_000))
        else:
            runs.append(measured(target, requests, count // 2))
    rate = statistics.mean(run.requests / run.seconds for run in runs)
    at_best = statistics.mean(run.requests / run.seconds for run in floors)
    latencies = [each for run in runs for kind in run.latencies.values() for each in kind]
    print(
        f"{what:45} {rate:7,.0f}/s  p50 {percentile_ms(latencies, 0.5):6.1f} ms"
        f"  p99 {percentile_ms(latencies, 0.99):6.1f} ms  floor {at_best:7,.0f}/s  {rate / at_best:4.0%}"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bundles", type=int, default=100, help="100-entry bundles to load first")
    options.add_argument("--count", type=int, default=8_000, help="requests of the largest workload")
    options.add_argument("--floor", nargs=2, metavar=("PORT", "CONNINFO"), help="serve the floor")
    chosen = options.parse_args()
    if chosen.floor:
        serve_floor(int(chosen.floor[0]), chosen.floor[1])
        return
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="backbridge-bench-")))
        server = stack.enter_context(postgresql())
        floor = stack.enter_context(floor_served(server))
        for audit_reads in ("within-1s", "before-response"):
            with gateway_served(server, home / audit_reads, audit_reads) as target:
                bundles = [
                    target.send("POST", "", corpus.bundle("measured", n), kind="transaction")
                    for n in range(chosen.bundles)
                ]
                loaded = load(target, in_turn(bundles, chosen.bundles, 4))
                if loaded.errors:
                    raise SystemExit(f"{dict(loaded.errors)} {loaded.examples}")
                print(f"{'100-entry transaction':45} {loaded.requests / loaded.seconds:7,.1f}/s  ({audit_reads})")
                server.ask("VACUUM ANALYZE", f"test_{server._count}")
                for what, (requests, count) in workloads(target, chosen.count).items():
                    compared(f"{what} ({audit_reads})", target, floor, requests, count)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(url: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} did not answer")


if __name__ == "__main__":
    main()
