"""A run on the terminal and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gateway.bench.compare import Row
from gateway.bench.processes import memory
from gateway.bench.servers import Server

_SHOWN = 3
FORMAT = 2
"""Raised where a field of the report changes its meaning."""


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


def machine(folder: Path) -> dict[str, Any]:
    """What the figures rest on: processor, cores, disk, and how busy the machine was at the start."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "fsync_ms": round(fsync_ms(folder), 3),
        "load": round(os.getloadavg()[0], 2),
    }


def written(path: Path, about: dict[str, Any], rows: Iterable[Row], servers: Sequence[Server]) -> None:
    """Write the report; the memory of each server is what its processes hold at this moment."""
    report = {
        "format": FORMAT,
        "machine": about,
        "servers": [
            {"name": each.name, "url": each.target.url, "memory": [asdict(process) for process in memory(each.pids)]}
            for each in servers
        ],
        "rows": [row.as_json() for row in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2), encoding="utf-8")


def show(console: Console, rows: Sequence[Row], servers: Sequence[Server]) -> None:
    """One line for each shape and server, floors as shares."""
    floors = [server.name for server in servers if server.floor]
    table = Table("workload", "server", "per second", "p50 ms", "p99 ms", "CPU ms", *(f"of {name}" for name in floors))
    for row in rows:
        if row.server in floors:
            continue
        if not row.requests:
            table.add_row(row.title, row.server, "wrong", "", "", "")
            continue
        cpu = f"{row.cpu_ms:.2f}" if row.cpu_ms is not None else ""
        shares = [f"{row.shares[name]:.0%}" if name in row.shares else "" for name in floors]
        # A line with a wrong answer in it is not a figure to quote.
        rate = f"{row.per_second:,.0f}" + (" (wrong)" if row.complaint else "")
        table.add_row(_title(row), row.server, rate, f"{row.p50_ms:.1f}", f"{row.p99_ms:.1f}", cpu, *shares)
    console.print(table)
    for server in servers:
        for process in memory(server.pids)[:_SHOWN]:
            console.print(
                f"{server.name}: {process.command}: {process.resident_mb:.0f} MB, {process.peak_mb:.0f} MB at most"
            )


def _title(row: Row) -> str:
    unit = ", entries" if row.unit == "entries" else ""
    return f"{row.title}{unit} (x{row.connections})"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
