"""The work of many waiting requests made durable in one go.

Whatever arrives while a commit is on its way to the disk goes into the next one: no timer, no added delay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from time import perf_counter
from typing import Generic, TypeVar

from gateway.observe.measures import BATCHES, WAITING
from gateway.store.errors import Busy

Item = TypeVar("Item")
Result = TypeVar("Result")

# Longest stretch of work on the event loop before other requests get a turn.
SLICE_SECONDS = 0.002


class GroupCommit(Generic[Item, Result]):
    """
    Collects items on the event loop and hands them over in batches, one batch at a time.

    write(items) returns one result or exception for each item, in order; it must not return before they are durable.
    An exception that it raises reaches every item of the batch.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        batch_max: int = 64,
        waiting_max: int = 4096,
        name: str = "writes",
    ) -> None:
        self._labels = (name,)
        self._write = write
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None
        self._stopping = False

    async def stop(self) -> None:
        """Write what is waiting, then end. To be called on the loop that submits, so that nothing slips in behind."""
        self._stopping = True
        if self._running is not None:
            await self._running

    async def submit(self, item: Item) -> Result:
        """Durable when it returns. Raises Busy where too many wait or it is ending, else what `write` said."""
        if self._stopping or len(self._waiting) >= self._waiting_max:
            raise Busy
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        WAITING.series[self._labels] = len(self._waiting)
        if self._running is None or self._running.done():
            self._running = loop.create_task(self._run())
        # A client that hangs up does not undo what is already on its way to the disk.
        return await asyncio.shield(future)

    async def _run(self) -> None:
        # Requests that arrived in the same turn of the loop share the first batch.
        await asyncio.sleep(0)
        while self._waiting:
            batch, self._waiting = self._waiting[: self._batch_max], self._waiting[self._batch_max :]
            WAITING.series[self._labels] = len(self._waiting)
            BATCHES.observe(len(batch), *self._labels)
            await self._settle(batch)

    async def _settle(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        results: Sequence[Result | Exception]
        try:
            results = await self._write([item for item, _ in batch])
        except Exception as failure:  # noqa: BLE001 - whatever went wrong belongs to those who wait, not to the task
            results = [failure] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


async def in_slices(steps: Generator[None, None, Result]) -> Result:
    """Run the generator to its end, giving other requests a turn whenever it yields after more than a slice."""
    started = perf_counter()
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            result: Result = ended.value
            return result
        if perf_counter() - started > SLICE_SECONDS:
            await asyncio.sleep(0)
            started = perf_counter()
