"""Which gateway runs on an installation: `serve` says so in HOME/gateway.json, other commands look there."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

_FILE = "gateway.json"


@dataclass(frozen=True, slots=True)
class Running:
    """Where a gateway answers, and the process that does."""

    url: str
    pid: int


@contextlib.contextmanager
def announced(home: Path, url: str) -> Iterator[None]:
    """This process is the gateway of the installation while the context is open."""
    path = home / _FILE
    fresh = home / f".{_FILE}.{os.getpid()}"
    fresh.write_text(json.dumps(asdict(Running(url, os.getpid()))), "utf-8")
    fresh.replace(path)
    try:
        yield
    finally:
        found = find(home)
        if found is not None and found.pid == os.getpid():
            path.unlink(missing_ok=True)


def find(home: Path) -> Running | None:
    """The gateway that runs on this installation; None where there is none, or what it left is stale."""
    try:
        found = Running(**json.loads((home / _FILE).read_text("utf-8")))
        os.kill(found.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return found
