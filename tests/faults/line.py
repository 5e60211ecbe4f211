"""A client's line to the gateway: HTTP/1.1 on one connection, that tells an answer from not knowing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

# Far beyond every limit of the gateway's own: whoever waits longer waits for ever.
_LONGEST_SECONDS = 90.0


class Unknown(Exception):
    """No whole answer came: the request may have been done or not."""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        """The logical id that Location names."""
        return self.headers["location"].split("/fhir/")[1].split("/")[1]

    @property
    def version(self) -> int:
        return int(self.headers["etag"].removeprefix('W/"').removesuffix('"'))


class Line:
    """Connects when it must; one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, resource: Any = None, **headers: str) -> Answer:
        """The answer to one request; raises Unknown, and TimeoutError where a gateway that lives gives none."""
        body = b"" if resource is None else json.dumps(resource).encode()
        named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = (
            f"{method} /fhir{path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/fhir+json\r\n"
            f"Prefer: return=minimal\r\n{named}Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            self._streams[1].write(head.encode() + body)
            async with asyncio.timeout(_LONGEST_SECONDS):
                return await _answer(self._streams[0])
        except TimeoutError:
            raise
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            raise Unknown from None

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(status.split()[1]), headers, body)
