"""Reading a request body from ASGI: never more than the limit, never longer than a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.fhir.errors import BadRequest, BodyTooLarge, BodyTooSlow, ClientGone

Receive = Callable[[], Awaitable[Mapping[str, Any]]]

# 16 MB in a minute is 2 Mbit/s: slower links send smaller Bundles.
BODY_SECONDS = 60.0


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], max_bytes: int) -> bytes:
    """
    The whole body.

    raises  BodyTooLarge as soon as it is known, BodyTooSlow, ClientGone,
            BadRequest for a Content-Length that is no number
    """
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit():
        raise BadRequest("Content-Length must be a number.")
    if len(declared) > 18 or int(declared) > max_bytes:
        raise BodyTooLarge
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _gathered(receive, max_bytes)
    except TimeoutError:
        raise BodyTooSlow from None


async def _gathered(receive: Receive, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
