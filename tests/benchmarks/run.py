"""`make bench`: the gateway against two floors in one run, with validation, durability, audit and access control on.

Every figure is printed beside the disk's fsync latency, and written to build/bench.json. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gateway.people import organisations
from gateway.people.local_token import local_token
from gateway.settings import Settings
from gateway.store import migrations
from gateway.store.sqlite import Database
from gateway.store.store import now_us
from tests.benchmarks import workload
from tests.benchmarks.loader import NextRequest, Result, get, load, post

CONNECTIONS = 16
FLOOR_BYTES = 1_700
SYNTHEA = Path(__file__).resolve().parents[3] / "shared" / "data" / "synthea" / "bundles-shared.tar.xz"
console = Console()


@dataclass
class Row:
    """One measured line: what, how often a second, latencies, and what the two floors reached in the same minute."""

    what: str
    per_second: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    constant: float = 0.0
    durable: float = 0.0


@dataclass
class Gateway:
    port: int
    token: str
    patients: list[str]


def fsync_ms(folder: Path, times: int = 100) -> float:
    """The median time of a 4 KiB write with fdatasync in this folder."""
    taken = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(b"x" * 4096)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000


@contextmanager
def serving(command: list[str], port: int, environment: dict[str, str], ready: str) -> Iterator[None]:
    """A server process that answers `ready` before the block starts, and is stopped after it."""
    process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}{ready}")
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def floor(size: int, database: Path | None) -> Iterator[int]:
    port = _free_port()
    command = [sys.executable, "-m", "tests.benchmarks.floors", str(port), str(size)]
    with serving(command + ([str(database)] if database else []), port, {}, "/"):
        yield port


@contextmanager
def gateway(home: Path, audit_reads: str) -> Iterator[Gateway]:
    """`backbridge serve` with an organisation's token for one hour."""
    port = _free_port()
    settings = Settings(home=home, port=port)
    home.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_path)
    migrations.upgrade(database)
    with database.writing() as session:
        clinic = organisations.add(session, name="Benchmark", now_us=now_us())
    token = local_token(
        database,
        scope="system/*.cruds",
        organization=f"Organization/{clinic.id}",
        seconds=3600,
        now_us=now_us(),
    )
    database.close()
    environment = {"BACKBRIDGE_HOME": str(home), "BACKBRIDGE_AUDIT_READS": audit_reads}
    with serving([sys.executable, "-m", "gateway.cli", "serve", "--port", str(port)], port, environment, "/readyz"):
        yield Gateway(port, token, [])


def seed(server: Gateway, bundles: int) -> Row:
    """Load the 100-entry transactions and remember the patients."""
    bodies = [workload.bundle(number) for number in range(bundles)]
    result = load(
        server.port,
        lambda n: post("/fhir", bodies[n], server.token),
        count=bundles,
        connections=4,
        seconds_max=120,
    )
    _all(result, 200)
    server.patients = _patients(server)
    return Row(
        "100-entry transaction (entries)",
        result.per_second * 100,
        result.percentile_ms(0.5),
        result.percentile_ms(0.99),
    )


@dataclass
class Workload:
    """Requests by number, how many of them, and the status that each must have."""

    what: str
    request: NextRequest
    count: int
    status: int


def workloads(server: Gateway, count: int) -> list[Workload]:
    """The single-resource workloads."""
    ids, token = server.patients, server.token
    value = f"{workload.IDENTIFIER_SYSTEM}%7Cp"
    reads = [get(f"/fhir/Patient/{logical_id}", token) for logical_id in ids]
    identifiers = [get(f"/fhir/Patient?identifier={value}{n}", token) for n in range(len(ids))]
    observations = [
        get(
            f"/fhir/Observation?patient={logical_id}&code=http://loinc.org%7C{workload.CODES[n % 12]}"
            "&date=ge2015-01-01&_count=20",
            token,
        )
        for n, logical_id in enumerate(ids)
    ]
    people = [json.dumps(workload.patient(10_000 + n)).encode() for n in range(500)]
    creates = [post("/fhir/Patient", person, token) for person in people]
    return [
        Workload("Patient read by id", _each(reads), count, 200),
        Workload("Patient by identifier", _each(identifiers), count, 200),
        Workload("Observation by patient, code, date", _each(observations), count, 200),
        Workload("Patient create", _each(creates), count // 2, 201),
    ]


def _each(requests: list[bytes]) -> NextRequest:
    return lambda number: requests[number % len(requests)]


def synthea(server: Gateway) -> Row | None:
    """Real histories, as they come: one transaction a person, two connections."""
    if not SYNTHEA.exists():
        console.print("Synthea: skipped, ../shared/data is not there")
        return None
    with tarfile.open(SYNTHEA) as archive:
        bodies = [archive.extractfile(member).read() for member in archive if member.isfile()]  # type: ignore[union-attr]
    entries = sum(len(json.loads(body)["entry"]) for body in bodies)
    result = load(
        server.port,
        lambda n: post("/fhir", bodies[n], server.token),
        count=len(bodies),
        connections=2,
        seconds_max=120,
    )
    _all(result, 200)
    return Row(
        f"Synthea ({entries} resources)",
        entries / result.seconds,
        result.percentile_ms(0.5),
        result.percentile_ms(0.99),
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bundles", type=int, default=100, help="100-entry bundles to load first")
    options.add_argument("--count", type=int, default=8_000, help="requests of each read workload")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="backbridge-bench-") as name:
        folder = Path(name)
        console.print(f"{platform.machine()}, {os.cpu_count()} cores, fdatasync {fsync_ms(folder):.2f} ms (median)")
        report = {"fsync_ms": fsync_ms(folder), "rows": [asdict(row) for row in _rows(folder, chosen)]}
    Path("build").mkdir(exist_ok=True)
    Path("build/bench.json").write_text(json.dumps(report, indent=2))
    console.print("Written to build/bench.json")


def _rows(folder: Path, chosen: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    with floor(FLOOR_BYTES, None) as constant, floor(FLOOR_BYTES, folder / "floor.sqlite") as durable:
        for audit_reads in ("within-1s", "before-response"):
            with gateway(folder / audit_reads, audit_reads) as server:
                loaded = seed(server, chosen.bundles)
                for workload_ in workloads(server, chosen.count):
                    rows.append(_compared(workload_, server.port, audit_reads, constant, durable, chosen.count))
                if audit_reads == "before-response":
                    rows.append(loaded)
                    rows.extend(filter(None, [synthea(server)]))
    _show(rows)
    return rows


def _compared(workload_: Workload, port: int, audit_reads: str, constant: int, durable: int, floor_count: int) -> Row:
    """Floor, workload, workload, floor: a machine that speeds up or slows down meanwhile does so for both."""
    load(port, workload_.request, count=200, connections=CONNECTIONS)
    runs = []
    floors: dict[int, list[float]] = {constant: [], durable: []}
    for turn in (floors, None, None, floors):
        if turn is None:
            runs.append(load(port, workload_.request, count=workload_.count // 2, connections=CONNECTIONS))
            _all(runs[-1], workload_.status)
            continue
        for floor_port in turn:
            result = load(floor_port, lambda _: get("/"), count=floor_count // 2, connections=CONNECTIONS)
            turn[floor_port].append(result.per_second)
    per_second = statistics.mean(run.per_second for run in runs)
    latencies = Result(latencies=[each for run in runs for each in run.latencies])
    return Row(
        f"{workload_.what} ({audit_reads})",
        per_second,
        latencies.percentile_ms(0.5),
        latencies.percentile_ms(0.99),
        statistics.mean(floors[constant]),
        statistics.mean(floors[durable]),
    )


def _show(rows: list[Row]) -> None:
    table = Table("workload, 16 connections", "per second", "p50 ms", "p99 ms", "floor 1", "share", "floor 2", "share")
    for row in rows:
        shares = []
        for reached in (row.constant, row.durable):
            shares += [f"{reached:,.0f}", f"{row.per_second / reached:.0%}"] if reached else ["", ""]
        table.add_row(row.what, f"{row.per_second:,.0f}", f"{row.p50_ms:.1f}", f"{row.p99_ms:.1f}", *shares)
    console.print(table)


def _patients(server: Gateway) -> list[str]:
    found: list[str] = []
    url = f"http://127.0.0.1:{server.port}/fhir/Patient?_count=1000&_elements=id"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {server.token}"})
    with urllib.request.urlopen(request) as answer:
        bundle: dict[str, Any] = json.load(answer)
    found.extend(entry["resource"]["id"] for entry in bundle["entry"])
    return found


def _all(result: Result, status: int) -> None:
    if set(result.statuses) != {status}:
        raise SystemExit(f"expected only {status}, got {dict(result.statuses)}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(url: str, seconds: float = 30.0) -> None:
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
