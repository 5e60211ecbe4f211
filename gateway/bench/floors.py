"""The floors: what a server on this machine can do at best, in the same run and with the same loader.

constant  one uvicorn worker answers a constant of the same size from raw ASGI
durable   the same, after a group-committed insert that is on the disk
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn

from gateway.store.group_commit import GroupCommit

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Floor:
    """Answers every request with the same bytes; with a path, after inserting a row durably."""

    def __init__(self, size: int, path: Path | None) -> None:
        self._body = b"x" * size
        self._headers = [(b"content-type", b"application/fhir+json"), (b"content-length", str(size).encode())]
        self._commits: GroupCommit[int, None] | None = None
        if path is not None:
            self._disk = ThreadPoolExecutor(1)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, value BLOB)")
            self._commits = GroupCommit(self._write, batch_max=512)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if self._commits is not None:
            await self._commits.submit(1)
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._commits is not None:
            await self._commits.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _write(self, items: Sequence[int]) -> Sequence[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO row (value) VALUES (?)", [(self._body[:200],)] * len(items))
        await asyncio.get_running_loop().run_in_executor(self._disk, self._connection.execute, "COMMIT")
        return [None] * len(items)


def main() -> None:
    port, size, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""
    uvicorn.run(
        Floor(size, Path(path) if path else None),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        lifespan="on",
    )


if __name__ == "__main__":
    main()
