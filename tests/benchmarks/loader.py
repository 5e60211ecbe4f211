"""A small HTTP/1.1 load generator: keep-alive connections, each sending its next request when it has its answer.

Bounded in requests and in time, and for loopback only.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import uvloop

Request = bytes
NextRequest = Callable[[int], Request]


@dataclass
class Result:
    """What one run saw: latencies in seconds, statuses, and how long it took."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile_ms(self, share: float) -> float:
        ranked = sorted(self.latencies)
        return ranked[min(int(share * len(ranked)), len(ranked) - 1)] * 1000


class _Connection(asyncio.Protocol):
    """One client: sends a request, reads its answer to the end, sends the next."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._received = bytearray()
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0 or len(self._received) < head + 4 + _content_length(self._received, head):
            return
        result = self._run.result
        result.latencies.append(time.perf_counter() - self._sent_at)
        result.statuses[int(self._received[9:12])] += 1
        self._received.clear()
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.closed(exc)

    def _send(self) -> None:
        assert self._transport is not None
        request = self._run.next_request()
        if request is None:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)


class _Run:
    def __init__(self, requests: NextRequest, count: int, connections: int, seconds_max: float) -> None:
        self.result = Result()
        self._requests = requests
        self._count = count
        self._sent = 0
        self._open = connections
        self._deadline = time.perf_counter() + seconds_max
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def next_request(self) -> Request | None:
        if self._sent >= self._count or time.perf_counter() > self._deadline:
            return None
        self._sent += 1
        return self._requests(self._sent - 1)

    def closed(self, error: Exception | None) -> None:
        self._open -= 1
        if self._open == 0 and not self.done.done():
            self.done.set_result(None)


def load(port: int, requests: NextRequest, *, count: int, connections: int = 16, seconds_max: float = 30.0) -> Result:
    """Send `count` requests to a server on this machine; `requests(n)` gives the bytes of the nth."""
    assert ipaddress.ip_address("127.0.0.1").is_loopback

    async def running() -> Result:
        run = _Run(requests, count, connections, seconds_max)
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        for _ in range(connections):
            await loop.create_connection(lambda: _Connection(run), "127.0.0.1", port)
        await run.done
        run.result.seconds = time.perf_counter() - started
        return run.result

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(running())


def get(path: str, token: str = "") -> Request:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}Accept: application/fhir+json\r\n\r\n".encode()


def post(path: str, body: bytes, token: str = "") -> Request:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}Content-Type: application/fhir+json\r\n"
        f"Prefer: return=minimal\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _content_length(received: bytearray, head: int) -> int:
    lowered = bytes(received[:head]).lower()
    at = lowered.find(b"content-length:")
    if at < 0:
        return 0
    end = lowered.find(b"\r\n", at)
    return int(lowered[at + 15 : end if end >= 0 else head])
