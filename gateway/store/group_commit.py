"""One thread that makes the work of many waiting requests durable in one go.

Whatever arrives while a commit is being written to the disk goes into the next one: no timer, no added delay.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from gateway.store.errors import Busy

Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupCommit(Generic[Item, Result]):
    """
    write(items) returns one result or exception for each item, in order; it must not return before they are durable.
    An exception that it raises reaches every item of the batch.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Sequence[Result | Exception]],
        *,
        name: str,
        batch_max: int = 64,
        waiting_max: int = 4096,
    ) -> None:
        self._write = write
        self._batch_max = batch_max
        self._queue: queue.Queue[tuple[Item, asyncio.Future[Result]] | None] = queue.Queue(maxsize=waiting_max)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._stopping = False

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Write what is waiting, then end. To be called on the loop that submits, so that nothing slips in behind."""
        if not self._stopping:
            self._stopping = True
            await asyncio.to_thread(self._queue.put, None)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    async def submit(self, item: Item) -> Result:
        """Durable when it returns. Raises Busy where the queue is full or closing, else what `write` said."""
        if self._stopping:
            raise Busy
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((item, future))
        except queue.Full:
            raise Busy from None
        # A client that hangs up does not undo what is already on its way to the disk.
        return await asyncio.shield(future)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            ending = False
            while len(batch) < self._batch_max:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ending = True
                    break
                batch.append(more)
            self._settle(batch)
            if ending:
                return

    def _settle(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        results: Sequence[Result | Exception]
        try:
            results = self._write([item for item, _ in batch])
        except Exception as failure:  # noqa: BLE001 - whatever went wrong belongs to those who wait, not to the thread
            results = [failure] * len(batch)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Result], Result | Exception]]] = {}
        for (_, future), result in zip(batch, results, strict=True):
            by_loop.setdefault(future.get_loop(), []).append((future, result))
        for loop, answers in by_loop.items():
            # The loop of a request that was abandoned at shutdown may be closed by now.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_answer, answers)


def _answer(answers: Sequence[tuple[asyncio.Future[Result], Result | Exception]]) -> None:
    for future, result in answers:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
