"""The connections of one gateway: a few that all quick reads share, and others lent to one transaction at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from gateway.store.errors import Busy
from gateway.store.postgresql.link import Link

# Reads of one row follow each other on these without waiting.
SHARED = 2
# Longest wait for a connection of one's own.
_PATIENCE_SECONDS = 10.0


class Links:
    """Opens connections as they are needed, and anew where one was lost. For one event loop."""

    def __init__(self, conninfo: str, settings: str, *, lent_max: int) -> None:
        self._conninfo = conninfo
        self._settings = settings
        self._shared: list[Link | None] = [None] * SHARED
        self._opening = asyncio.Lock()
        self._idle: list[Link] = []
        self._places = asyncio.Semaphore(lent_max)
        self._lent: set[Link] = set()

    async def shared(self) -> Link:
        """The shared link with the fewest batches under way. Raises LinkLost where none can be had."""
        best: Link | None = None
        for link in self._shared:
            if link is None or not link.is_open:
                return await self._open_shared()
            if best is None or link.waiting < best.waiting:
                best = link
        assert best is not None, "there is at least one shared link"
        return best

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[Link]:
        """A link of one's own; Busy where none becomes free in time, LinkLost where none can be had."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS) if self._places.locked() else nullcontext():
                await self._places.acquire()
        except TimeoutError:
            raise Busy from None
        try:
            link = await self._taken()
            self._lent.add(link)
            try:
                yield link
            finally:
                self._lent.discard(link)
                if link.is_open:
                    self._idle.append(link)
        finally:
            self._places.release()

    def close(self) -> None:
        for link in (*self._shared, *self._idle, *self._lent):
            if link is not None:
                link.close()
        self._idle.clear()

    async def _taken(self) -> Link:
        while self._idle:
            link = self._idle.pop()
            if link.is_open:
                return link
        return await Link.open(self._conninfo, self._settings)

    async def _open_shared(self) -> Link:
        async with self._opening:
            for place, link in enumerate(self._shared):
                if link is None or not link.is_open:
                    self._shared[place] = await Link.open(self._conninfo, self._settings)
            opened = self._shared[0]
            assert opened is not None, "every place has just been filled"
            return opened
