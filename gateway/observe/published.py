"""The numbers of several processes: each publishes its own in a file, and whoever is asked adds them up.

Gateways and the job child write HOME/metrics/<role>-<pid>-<random>.json once a second. What a process that ended has
counted stays in the sum, so that no counter falls while the installation runs; `serve` begins with an empty folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.observe.measures import FILES, MEMORY, OF_A_PROCESS, PROCESSOR
from gateway.observe.numbers import Gauge, Histogram, Labels, Measure

_EVERY_SECONDS = 1.0
# A process that has not published for so long has ended, or stands still: it holds no queue that anybody can see.
_STALE_SECONDS = 10.0
_FOLDER = "metrics"
_PAGE = os.sysconf("SC_PAGE_SIZE")

Series = Mapping[str, Mapping[Labels, Sequence[float]]]
"""By measure and labels: one number for a counter or gauge, counts and sum for a histogram."""


def begin(home: Path) -> None:
    """Forget what earlier processes counted; to be called by the one command that starts an installation."""
    for left in (home / _FOLDER).glob("*.json"):
        left.unlink(missing_ok=True)


@contextlib.contextmanager
def publishing(home: Path, role: str) -> Iterator[None]:
    """Publish this process's numbers while the context is open, and once more at its end."""
    folder = home / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{role}-{os.getpid()}-{secrets.token_hex(4)}.json"
    ended = threading.Event()

    def publish() -> None:
        while not ended.wait(_EVERY_SECONDS):
            _write(path, role)

    _write(path, role)
    thread = threading.Thread(target=publish, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _write(path, role)


def collected(home: Path) -> Series:
    """The sum over all processes; levels only of those that are there."""
    fresh_since = time.time() - _STALE_SECONDS
    total: dict[str, dict[Labels, list[float]]] = {}
    for path in sorted((home / _FOLDER).glob("*.json")):
        # A file may go while we look, and a disk that was full may have left half of one.
        with contextlib.suppress(FileNotFoundError, ValueError):
            is_fresh = path.stat().st_mtime >= fresh_since
            _add(total, json.loads(path.read_text("utf-8")), is_fresh=is_fresh)
    return total


def _add(total: dict[str, dict[Labels, list[float]]], of_one: Mapping[str, Any], *, is_fresh: bool) -> None:
    for measure in OF_A_PROCESS:
        if isinstance(measure, Gauge) and not is_fresh:
            continue
        into = total.setdefault(measure.name, {})
        for labels, values in of_one.get(measure.name, ()):
            sums = into.get(tuple(labels))
            into[tuple(labels)] = values if sums is None else [a + b for a, b in zip(sums, values, strict=True)]


def _write(path: Path, role: str) -> None:
    _look_at_this_process(role)
    numbers = {measure.name: _rows(measure) for measure in OF_A_PROCESS}
    fresh = path.with_suffix(".new")
    # A full disk must not end a process that can still answer; the file goes stale, which shows.
    with contextlib.suppress(OSError):
        fresh.write_text(json.dumps(numbers), "utf-8")
        fresh.replace(path)


def _rows(measure: Measure) -> list[tuple[Labels, list[float]]]:
    if isinstance(measure, Histogram):
        return [(labels, list(counts)) for labels, counts in list(measure.series.items())]
    return [(labels, [value]) for labels, value in list(measure.series.items())]


def _look_at_this_process(role: str) -> None:
    who = (role, str(os.getpid()))
    PROCESSOR.series[who] = time.process_time()
    # /proc is Linux' own; elsewhere these two are missing.
    with contextlib.suppress(OSError):
        MEMORY.set(int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE, *who)
        FILES.set(len(os.listdir("/proc/self/fd")), *who)
