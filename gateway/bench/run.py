"""A whole run: which servers, which shapes in which order, and what came of it."""

from __future__ import annotations

import secrets
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from gateway.bench import report, searches, shapes
from gateway.bench.compare import Row, compare
from gateway.bench.corpus import Corpus
from gateway.bench.servers import Server, floor, own_gateway, refuse_unless_fhir
from gateway.bench.shapes import Shape
from gateway.bench.target import Unusable

SHAPES = ("ingest", "read", "identifier", "observation", "search", "clinic", "create", "crud", "synthea")
"""In the order in which they run: what looks up comes before what changes the data."""

SYNTHEA = Path(__file__).resolve().parents[3] / "shared" / "data" / "synthea" / "bundles-shared.tar.xz"
_LOADING_CONNECTIONS = 4
_MIX_CONNECTIONS = 10
_SYNTHEA_CONNECTIONS = 2


@dataclass(frozen=True)
class Plan:
    """
    What to measure.

    shapes   names out of SHAPES; the data are loaded whether or not `ingest` is among them
    bundles  100-entry bundles to load
    count    requests of a read workload; the others take a fixed part of it
    warm_up  requests of each workload before the clock runs; bundles are loaded without
    synthea  a tar archive or a folder of transaction Bundles, or None
    """

    shapes: tuple[str, ...]
    bundles: int
    count: int
    connections: int
    warm_up: int
    synthea: Path | None

    def made(self, corpus: Corpus) -> Iterator[Shape]:
        """The shapes asked for, after the loading, in order."""
        cycles = max(2, self.count // 266 * 2)
        mix = max(len(searches.CLINIC) * 4, self.count // 4)
        makers = {
            "read": lambda: shapes.read(corpus, self.count, self.connections),
            "identifier": lambda: shapes.identifier(corpus, self.count, self.connections),
            "observation": lambda: shapes.observation(corpus, self.count, self.connections),
            "search": lambda: searches.mix("search", "Search mix", searches.SEARCH, corpus, mix, _MIX_CONNECTIONS),
            "clinic": lambda: searches.mix("clinic", "Clinic mix", searches.CLINIC, corpus, mix, _MIX_CONNECTIONS),
            "create": lambda: shapes.create(corpus, self.count // 2, self.connections),
            "crud": lambda: shapes.crud(corpus, cycles, self.connections),
        }
        for name in SHAPES:
            if name in self.shapes and name in makers:
                yield makers[name]()
        if "synthea" in self.shapes and self.synthea is not None:
            yield shapes.bundles("synthea", "Synthea histories", _histories(self.synthea), _SYNTHEA_CONNECTIONS)


def run(plan: Plan, servers: Sequence[Server], about: dict[str, object], out: Path, console: Console) -> list[Row]:
    """Load every server with the same data, measure the shapes, show them and write them. Raises Unusable."""
    for server in servers:
        if not server.floor:
            refuse_unless_fhir(server)
    corpus = Corpus(secrets.token_hex(4), plan.bundles)
    with console.status("loading") as status:
        say = status.update
        loading = shapes.ingest(corpus, _LOADING_CONNECTIONS)
        real = [server for server in servers if not server.floor]
        rows = compare(loading, real, say=say)
        for row, server in zip(rows, real, strict=True):
            if row.complaint or not all(server.loaded):
                raise Unusable(row.complaint or f"{server.name} did not take all bundles within the time")
        if "ingest" not in plan.shapes:
            rows = []
        for shape in plan.made(corpus):
            rows += compare(shape, servers, warm_up=plan.warm_up if shape.unit == "requests" else 0, say=say)
    report.show(console, rows, servers)
    report.written(out, about, rows, servers)
    console.print(f"Written to {out}")
    return rows


@contextmanager
def own_servers(folder: Path) -> Iterator[list[Server]]:
    """Two gateways of our own: reads recorded before the answer leaves, and within a second."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(own_gateway(folder / audit_reads, audit_reads))
            for audit_reads in ("before-response", "within-1s")
        ]


@contextmanager
def floors(folder: Path) -> Iterator[list[Server]]:
    with floor("floor 1", None) as constant, floor("floor 2", folder / "floor.sqlite") as durable:
        yield [constant, durable]


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder for the servers of this run."""
    with tempfile.TemporaryDirectory(prefix="backbridge-bench-") as name:
        yield Path(name)


def _histories(source: Path) -> list[bytes]:
    """The JSON files of a folder or a tar archive."""
    if source.is_dir():
        return [path.read_bytes() for path in sorted(source.glob("*.json"))]
    with tarfile.open(source) as archive:
        files = [archive.extractfile(member) for member in archive if member.isfile()]
        return [file.read() for file in files if file is not None]
