"""One run: every shape on every server, in turns A B … B A, so that a machine that changes speed does so for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gateway.bench.loader import Result, in_turn, load, percentile_ms
from gateway.bench.processes import cpu_seconds
from gateway.bench.servers import Server
from gateway.bench.shapes import Shape, WrongAnswer


@dataclass
class Row:
    """
    One shape on one server; docs/performance.md says what each field means.

    shares  for each floor, this server's rate as a share of the floor's in the same turns
    """

    server: str
    shape: str
    title: str
    connections: int
    unit: str
    requests: int = 0
    seconds: float = 0.0
    per_second: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_ms: float | None = None
    shares: dict[str, float] = field(default_factory=dict)
    kinds: dict[str, dict[str, float]] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def complaint(self) -> str:
        """What is wrong with this line, in one sentence; empty for a line that counts."""
        if self.errors:
            first = self.errors[0]
            failed = sum(each["count"] for each in self.errors)
            return (
                f"{self.server}: {self.title}: {failed} of {self.requests} answers were wrong, such as status"
                f" {first['status']} to {first['kind']}: {first['example']}"
            )
        return f"{self.server}: {self.title}: {self.wrong[0]}" if self.wrong else ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    shape: Shape,
    servers: Sequence[Server],
    *,
    warm_up: int = 0,
    turn_seconds: float = 60.0,
    say: Callable[[str], None] = lambda text: None,
) -> list[Row]:
    """
    Measure one shape on all servers, two turns each; floors answer as many requests for a constant.

    warm_up       how many requests each server answers before the turns
    turn_seconds  a slow server sends what it can in this time, in each of its two turns
    A server that answers wrongly before the start is left out of the turns; its row says why.
    """
    results = {server.name: Result() for server in servers}
    able = [server for server in servers if server.floor or _answers_rightly(shape, server, results[server.name])]
    if warm_up:
        for server in able:
            say(f"{shape.title}: warming up {server.name}")
            _load(shape, server, 0, warm_up, turn_seconds)
    half = shape.requests // 2
    for start, turn in ((0, able), (half, able[::-1])):
        for server in turn:
            say(f"{shape.title}: {server.name}")
            count = half if start == 0 else shape.requests - half
            # What the warm-up wrote is not written again.
            results[server.name].add(_measured(shape, server, warm_up + start, count, turn_seconds))
    rows = [_row(shape, server, results[server.name]) for server in servers]
    floors = {row.server: row.per_second for row, server in zip(rows, servers, strict=True) if server.floor}
    for row in rows:
        if row.server not in floors:
            row.shares = {name: row.per_second / rate for name, rate in floors.items() if rate}
    return rows


def _answers_rightly(shape: Shape, server: Server, result: Result) -> bool:
    try:
        shape.check(server)
    except WrongAnswer as wrong:
        result.wrong.append(str(wrong).removeprefix(f"{server.name}: "))
        return False
    return True


def _measured(shape: Shape, server: Server, start: int, count: int, seconds: float) -> Result:
    before = cpu_seconds(server.pids)
    result = _load(shape, server, start, count, seconds)
    after = cpu_seconds(server.pids)
    if before is not None and after is not None:
        result.cpu_seconds = after - before
    return result


def _load(shape: Shape, server: Server, start: int, count: int, seconds: float) -> Result:
    if server.floor:
        constant = [server.target.get("", kind="constant")]
        return load(server.target, in_turn(constant, count, shape.connections), seconds_max=seconds)
    return load(server.target, shape.turn(server, start, count), seconds_max=seconds)


def _row(shape: Shape, server: Server, result: Result) -> Row:
    row = Row(server.name, shape.name, shape.title, shape.connections, shape.unit, wrong=result.wrong)
    if not result.requests:
        return row
    everything = [latency for latencies in result.latencies.values() for latency in latencies]
    counted = result.entries if shape.unit == "entries" and not server.floor else result.requests
    row.requests, row.seconds, row.per_second = result.requests, result.seconds, counted / result.seconds
    row.p50_ms, row.p95_ms, row.p99_ms = (percentile_ms(everything, share) for share in (0.5, 0.95, 0.99))
    if result.cpu_seconds is not None:
        row.cpu_ms = result.cpu_seconds * 1000 / max(counted, 1)
    row.kinds = {
        kind: {
            "requests": len(latencies),
            "p50_ms": percentile_ms(latencies, 0.5),
            "p99_ms": percentile_ms(latencies, 0.99),
        }
        for kind, latencies in result.latencies.items()
    }
    row.statuses = {str(status): count for status, count in sorted(result.statuses.items())}
    row.errors = [
        {"kind": kind, "status": status, "count": count, "example": result.examples[kind, status]}
        for (kind, status), count in result.errors.most_common()
    ]
    return row
