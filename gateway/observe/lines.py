"""Log lines: one event a line on standard error, as JSON, or for people where that is a terminal."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

import orjson

from gateway.observe.fields import allowed
from gateway.observe.measures import LINES_DROPPED

Format = Literal["auto", "json", "text"]

_FLUSH_SECONDS = 0.1
_PATIENCE_SECONDS = 1.0
# Lines that wait while whoever reads standard error stands still; more are dropped and counted.
_WAITING_MAX = 20_000


class Lines:
    """
    Writes lines from a thread of its own, so that a slow reader of standard error holds up nobody.

    An error does not wait for others: it may be the last thing this process says.
    """

    def __init__(self, *, as_json: bool, descriptor: int = 2) -> None:
        self.as_json = as_json
        self._descriptor = descriptor
        # Only ever added to and taken from, each in one step: threads that log need no lock.
        self._waiting: deque[bytes] = deque()
        self._turn = threading.Lock()
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, fields: Mapping[str, object]) -> None:
        """One event; fields that are not in the table are dropped."""
        kept = allowed({"time": _now(), **fields})
        self.add(orjson.dumps(kept) + b"\n" if self.as_json else _for_people(kept))
        if kept.get("level") == "error":
            self._wake.set()

    def add(self, line: bytes) -> None:
        """A finished line, of fields that have been looked at already."""
        if len(self._waiting) < _WAITING_MAX:
            self._waiting.append(line)
        else:
            LINES_DROPPED.add()

    def flush(self) -> None:
        with self._turn:
            if waiting := [self._waiting.popleft() for _ in range(len(self._waiting))]:
                _write(self._descriptor, b"".join(waiting))

    def close(self) -> None:
        """Write what is waiting; where nobody takes it for a while, let it go."""
        self._is_stopping = True
        self._wake.set()
        self._thread.join(_PATIENCE_SECONDS)
        if not self._thread.is_alive():
            self.flush()

    def _run(self) -> None:
        while not self._is_stopping:
            self._wake.wait(_FLUSH_SECONDS)
            self._wake.clear()
            self.flush()


def is_json(form: Format) -> bool:
    """`auto` is for people at a terminal and JSON everywhere else."""
    return form == "json" or (form == "auto" and not sys.stderr.isatty())


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except OSError:
            # Nobody reads standard error any more; there is nowhere left to say so.
            return


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _for_people(kept: Mapping[str, str | int | float]) -> bytes:
    """`17:40:01 warning request method=GET route=/fhir/{type}/{id} status=404 ms=1.2`."""
    rest = " ".join(f"{name}={value}" for name, value in kept.items() if name not in ("time", "level", "event"))
    return f"{str(kept['time'])[11:19]} {kept.get('level', ''):7} {kept.get('event', '')} {rest}\n".encode()
