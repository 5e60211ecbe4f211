"""What a process does that counts; in a file of its own, so that a spawned process imports little."""

from __future__ import annotations

from pathlib import Path

from gateway.observe.measures import BATCHES, WAITING
from gateway.observe.published import publishing


def commit_batches(home: Path, times: int) -> None:
    """What a gateway process does, seen from its numbers."""
    with publishing(home, "gateway"):
        for _ in range(times):
            BATCHES.observe(3, "test")
        WAITING.set(times, "test")
