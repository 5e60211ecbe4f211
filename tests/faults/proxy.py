"""A TCP proxy on loopback that does to a connection what networks do: delays, cuts, half-closes, swallows, repeats."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

_PIECE = 65_536


@dataclass
class Fault:
    """
    What happens to the bytes of one direction; by default nothing.

    delay        seconds before each piece is passed on
    piece        most bytes of a piece
    cut_after    after so many bytes both sides of the connection are reset
    end_after    after so many bytes the receiver is told that no more will come; the other direction goes on
    drop_after   after so many bytes everything is swallowed, and the connection stays open
    twice        each piece is passed on twice
    """

    delay: float = 0.0
    piece: int = _PIECE
    cut_after: int | None = None
    end_after: int | None = None
    drop_after: int | None = None
    twice: bool = False


class Proxy:
    """Passes connections to a port of this machine or to a socket's path; change the faults between connections."""

    def __init__(self, target: int | str) -> None:
        self.to_server = Fault()
        self.to_client = Fault()
        self.port = 0
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event

    async def serve(self, ready: Future[None]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set_result(None)
        await self._stopping.wait()
        server.close()
        self._cut_all()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)

    def cut(self) -> None:
        """Reset every connection that is open now."""
        done = asyncio.run_coroutine_threadsafe(self._cut_now(), self._loop)
        done.result(10)

    async def _cut_now(self) -> None:
        self._cut_all()

    def _cut_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, there_writer}
        self._open |= pair
        try:
            await asyncio.gather(
                self._pass(reader, there_writer, self.to_server, pair),
                self._pass(there_reader, writer, self.to_client, pair),
            )
        finally:
            self._open -= pair
            for each in pair:
                each.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection("127.0.0.1", self._target)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault, pair: set[asyncio.StreamWriter]
    ) -> None:
        passed = 0
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(fault.piece):
                await asyncio.sleep(fault.delay)
                room = _room(fault, passed)
                kept = data if room is None else data[: max(room, 0)]
                if kept:
                    writer.write(kept * (2 if fault.twice else 1))
                    await writer.drain()
                passed += len(data)
                if fault.cut_after is not None and passed >= fault.cut_after:
                    for each in pair:
                        each.transport.abort()
                    return
                if fault.end_after is not None and passed >= fault.end_after:
                    break
            writer.write_eof()


def _room(fault: Fault, passed: int) -> int | None:
    """How many of the next bytes are passed on; None for all."""
    ends = [end for end in (fault.cut_after, fault.end_after, fault.drop_after) if end is not None]
    return min(ends) - passed if ends else None


@contextlib.contextmanager
def proxied(target: int | str) -> Iterator[Proxy]:
    """A running proxy before this port or socket, in a thread of its own."""
    proxy, ready = Proxy(target), Future[None]()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.serve(ready)), daemon=True)
    thread.start()
    ready.result(10)
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join(10)
