"""A form with a file, read piece by piece: fields first, then the file straight to its place (RFC 7578)."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from gateway.web.forms import FormTooLarge, FormUnreadable

_LONGEST_FIELD = 4_096


class UploadRefused(Exception):
    """No usable file; `key` is the message."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(slots=True)
class _Part:
    """One part of the form: its name, and the data that have arrived and nobody has taken yet."""

    name: str = ""
    data: deque[bytes] = field(default_factory=deque)
    is_whole: bool = False


class FileForm:
    """Parts are asked for in the order in which the page has them: a field is whole before the file begins."""

    def __init__(self, request: Request, most_bytes: int) -> None:
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        if kind != b"multipart/form-data" or b"boundary" not in options:
            raise FormUnreadable
        self._stream: AsyncIterator[bytes] = aiter(request.stream())
        self._left = most_bytes
        self._parts: list[_Part] = []
        self._at = 0
        self._header = ["", ""]
        self._parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": lambda: self._parts.append(_Part()),
                "on_header_field": self._on_header_name,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_part_data": lambda data, start, end: self._parts[-1].data.append(data[start:end]),
                "on_part_end": self._on_part_end,
            },
        )

    async def field(self, name: str) -> str:
        """The text of the next part."""
        part = await self._next(name)
        value = b""
        while not part.is_whole:
            if sum(map(len, part.data)) > _LONGEST_FIELD:
                raise FormTooLarge
            await self._more()
        while part.data:
            value += part.data.popleft()
        return value.decode("utf-8", "replace")

    async def save(self, name: str, path: Path, most_bytes: int) -> None:
        """The next part as a file that only this user can read; UploadRefused when it is empty."""
        part = await self._next(name)
        written = 0
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            while part.data or not part.is_whole:
                while part.data:
                    piece = part.data.popleft()
                    written += len(piece)
                    if written > most_bytes:
                        path.unlink()
                        raise FormTooLarge
                    await asyncio.to_thread(file.write, piece)
                if not part.is_whole:
                    await self._more()
        if not written:
            path.unlink()
            raise UploadRefused("import.missing")

    async def _next(self, name: str) -> _Part:
        while len(self._parts) <= self._at or not self._parts[self._at].name:
            await self._more()
        part = self._parts[self._at]
        self._at += 1
        if part.name != name:
            raise FormUnreadable
        return part

    async def _more(self) -> None:
        chunk = await anext(self._stream, b"")
        if not chunk:
            raise FormUnreadable
        self._left -= len(chunk)
        if self._left < 0:
            raise FormTooLarge
        try:
            self._parser.write(chunk)
        except MultipartParseError:
            raise FormUnreadable from None

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end].decode("latin-1")

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end].decode("latin-1")

    def _on_header_end(self) -> None:
        if self._header[0].lower() == "content-disposition":
            _, options = parse_options_header(self._header[1])
            self._parts[-1].name = options.get(b"name", b"").decode("utf-8", "replace") or "?"
        self._header = ["", ""]

    def _on_part_end(self) -> None:
        self._parts[-1].is_whole = True
