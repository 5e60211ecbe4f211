"""Long work on the event loop in slices, so that other requests get their turn (architecture rule 9)."""

from __future__ import annotations

import time
from asyncio import sleep

# Longest stretch between two turns of others.
SLICE_SECONDS = 0.002


class Slices:
    """Call `turn` after each small piece of work; it gives way when the slice is used up."""

    def __init__(self) -> None:
        self._ends = time.perf_counter() + SLICE_SECONDS

    async def turn(self) -> None:
        if time.perf_counter() > self._ends:
            await sleep(0)
            self._ends = time.perf_counter() + SLICE_SECONDS
