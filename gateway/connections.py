"""HTTP connections of clients that may be slow: each wait for a client has an end (docs/faults.md).

uvicorn itself limits only the pause between two requests. A client that sends its headers or its body byte by byte, or
never takes its answer, would keep a connection, and what belongs to it, for ever.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Uploads are long and lines are thin: a body has no limit for the whole of it here, only this pace in bytes a second.
_SLOWEST = 500

_LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class TimedConnection(HttpToolsProtocol):
    """
    A connection that looks twice in `patience` (seconds) whether it still has reason to wait for its client.

    headers  must be complete within `patience` of the connection or of their first byte: 408
    body     must bring _SLOWEST bytes a second, over twice `patience`: cut
    answer   must be taken at the same pace, measured over `patience`: cut
    """

    patience: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._headers_since: float | None = self.loop.time()
        self._body_since: float | None = None
        self._body_bytes = 0
        self._unread_since: float | None = None
        self._unread_bytes = 0
        self._looking = self.loop.call_later(self.patience / 2, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._looking.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._headers_since = self.loop.time()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._body_since, self._headers_since = self._headers_since, None
        self._body_bytes = 0

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._body_since = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        self._unread_since, self._unread_bytes = self.loop.time(), self.transport.get_write_buffer_size()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()

    def _look(self) -> None:
        now = self.loop.time()
        if self._is_answer_stuck(now) or self._is_body_too_slow(now):
            self.transport.abort()
        elif self._are_headers_late(now):
            self.transport.write(_LATE)
            self.transport.close()
        else:
            self._looking = self.loop.call_later(self.patience / 2, self._look)

    def _are_headers_late(self, now: float) -> bool:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        return not is_answering and self._headers_since is not None and now - self._headers_since >= self.patience

    def _is_body_too_slow(self, now: float) -> bool:
        if self._body_since is None:
            return False
        elapsed = now - self._body_since
        if elapsed < 2 * self.patience:
            return False
        # While reading is paused it is this side that is slow.
        is_slow = self._body_bytes < _SLOWEST * elapsed and not self.flow.read_paused
        self._body_since, self._body_bytes = now, 0
        return is_slow

    def _is_answer_stuck(self, now: float) -> bool:
        if self._unread_since is None or now - self._unread_since < self.patience:
            return False
        left = self.transport.get_write_buffer_size()
        is_stuck = self._unread_bytes - left < _SLOWEST * (now - self._unread_since)
        self._unread_since, self._unread_bytes = now, left
        return is_stuck


def timed(patience: float) -> type[TimedConnection]:
    """The connections of a server that waits so many seconds for its clients."""

    class Connection(TimedConnection):
        pass

    Connection.patience = patience
    return Connection
