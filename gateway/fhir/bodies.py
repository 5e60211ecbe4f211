"""Reading a request body from ASGI: never more than the limits, never longer than the client's time.

Large bodies share a bound over all requests: a Bundle takes many times its size while it is parsed and checked, so as
many as fit are taken and the rest is refused at once, before its bytes are read. Small bodies always pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gateway.fhir.errors import BadRequest, BodyTooLarge, BodyTooSlow, ClientGone
from gateway.settings import Settings
from gateway.store.errors import Busy

Receive = Callable[[], Awaitable[Mapping[str, Any]]]

_SMALL = 65_536


@dataclass(slots=True)
class _Taken:
    """How much of the room one body has."""

    bytes: int = 0


class Bodies:
    """The bodies of all requests that are being answered; one instance for each gateway process."""

    def __init__(self, settings: Settings) -> None:
        self._largest = settings.max_body_bytes
        # One body of the largest size must fit, whatever the settings say.
        self._room = max(settings.max_bytes_in_flight, settings.max_body_bytes)
        self._seconds = settings.client_seconds

    @asynccontextmanager
    async def read(self, receive: Receive, headers: Mapping[bytes, bytes]) -> AsyncIterator[bytes]:
        """
        The whole body; it counts as in flight until the context ends, so answer the request inside.

        raises  BodyTooLarge as soon as it is known, Busy where it does not fit beside the others, BodyTooSlow,
                ClientGone, BadRequest for a Content-Length that is no number
        """
        taken = _Taken()
        try:
            self._take(taken, self._declared(headers))
            yield await self._in_time(receive, taken)
        finally:
            self._room += taken.bytes

    def _declared(self, headers: Mapping[bytes, bytes]) -> int:
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit():
            raise BadRequest("Content-Length must be a number.")
        if len(declared) > 18 or int(declared) > self._largest:
            raise BodyTooLarge
        return int(declared)

    def _take(self, taken: _Taken, size: int) -> None:
        """Room for `size` bytes of this body in all."""
        if size <= max(_SMALL, taken.bytes):
            return
        if size - taken.bytes > self._room:
            raise Busy
        self._room -= size - taken.bytes
        taken.bytes = size

    async def _in_time(self, receive: Receive, taken: _Taken) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._gathered(receive, taken)
        except TimeoutError:
            raise BodyTooSlow from None

    async def _gathered(self, receive: Receive, taken: _Taken) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > self._largest:
                raise BodyTooLarge
            self._take(taken, size)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)
