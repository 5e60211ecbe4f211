"""Processor time and memory of a server, for its whole process tree, from Linux' /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Memory:
    """One process: what it is, and its resident memory now and at most, in megabytes (2**20 bytes)."""

    pid: int
    command: str
    resident_mb: float
    peak_mb: float


def cpu_seconds(pids: Iterable[int]) -> float | None:
    """Processor time that these processes and all below them have used so far, or None where none is known."""
    spent = [_spent(pid) for pid in tree(pids)]
    return sum(spent) if spent else None


def memory(pids: Iterable[int]) -> list[Memory]:
    """The memory of these processes and all below them, largest first."""
    found = [each for pid in tree(pids) if (each := _memory(pid)) is not None]
    return sorted(found, key=lambda each: -each.resident_mb)


def tree(pids: Iterable[int]) -> list[int]:
    """The processes that run, and all below them."""
    children: dict[int, list[int]] = {}
    for stat in _PROC.glob("[0-9]*/stat"):
        fields = _fields(stat)
        if fields:
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: list[int] = []
    waiting = [pid for pid in pids if (_PROC / str(pid)).exists()]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.append(pid)
            waiting += children.get(pid, [])
    return found


def _spent(pid: int) -> float:
    """User and system time, and that of children that have ended and been waited for."""
    fields = _fields(_PROC / str(pid) / "stat")
    return sum(map(int, fields[11:15])) / _TICKS if fields else 0.0


def _fields(stat: Path) -> list[str]:
    """The fields of a stat file from the state on (proc(5)); empty where the process has gone meanwhile."""
    try:
        return stat.read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def _memory(pid: int) -> Memory | None:
    try:
        lines = (_PROC / str(pid) / "status").read_text("utf-8").splitlines()
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    if "VmRSS" not in values:
        return None
    command = " ".join(Path(word.decode("utf-8", "replace")).name for word in words[:4] if word)
    return Memory(pid, command[:60], _megabytes(values["VmRSS"]), _megabytes(values["VmHWM"]))


def _megabytes(kilobytes: str) -> float:
    return int(kilobytes.split()[0]) / 1024
