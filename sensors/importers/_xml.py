"""
XML events from what phones write: prolog dropped, forbidden characters removed, all in bounded memory.

The document type of iOS 16 exports is malformed; without it there are also no entities to expand.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO
from xml.parsers import expat

from sensors.errors import MalformedExport, NotAnExport, TruncatedExport

CHUNK_BYTES = 256 << 10
_MAX_PROLOG_BYTES = 1 << 20
_MAX_TOKEN_BYTES = 4 << 20
_MAX_NAMES = 20_000
_MAX_DEPTH = 64

_ROOT = re.compile(rb"<HealthData[\s>/]")
# XML 1.0 section 2.2: below U+0020 only tab, line feed and carriage return are characters.
_FORBIDDEN = bytes(byte for byte in range(32) if byte not in (9, 10, 13))
_FORBIDDEN_REFERENCE = re.compile(rb"&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01])|x0*(?:[0-8bcefBCEF]|1[0-9a-fA-F]));")
# Older exports have attribute names with spaces here; it holds date of birth and sex, which nobody needs.
_ME = re.compile(rb"<Me\s[^<>]*/>")

Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]


class Reader:
    """Feeds a stream to expat; `bytes_read` counts the bytes taken from the stream."""

    def __init__(self, stream: IO[bytes], start: Start, end: End) -> None:
        self.bytes_read = 0
        self._stream = stream
        self._start, self._end = start, end
        self._fed = 0
        self._depth = 0
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._open
        self._parser.EndElementHandler = self._close

    def run(self) -> Iterator[None]:
        """
        Parses chunk after chunk, yielding after each.

        raises  NotAnExport when there is no HealthData; TruncatedExport when the stream ends too early;
                MalformedExport. How far it got is in bytes_read.
        """
        for chunk in _at_tag_ends(self._without_prolog()):
            self._feed(chunk)
            yield
        self._feed(b"", last=True)

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise MalformedExport("The export is nested too deeply.")
        self._start(name, attributes)

    def _close(self, name: str) -> None:
        self._depth -= 1
        self._end(name)

    def _feed(self, chunk: bytes, *, last: bool = False) -> None:
        clean = chunk.translate(None, _FORBIDDEN)
        if b"&#" in clean:
            clean = _FORBIDDEN_REFERENCE.sub(b"", clean)
        try:
            self._parser.Parse(clean, last)
        except expat.ExpatError as error:
            if last:
                raise TruncatedExport from None
            reason = expat.errors.messages[error.code]
            raise MalformedExport(f"The export is damaged ({reason}).") from None
        self._fed += len(clean)
        self._check_bounds()

    def _check_bounds(self) -> None:
        """What expat keeps in memory: one unfinished token, and every name it has seen."""
        unfinished = self._fed - max(self._parser.CurrentByteIndex, 0)
        if unfinished > _MAX_TOKEN_BYTES or len(self._parser.intern) > _MAX_NAMES:
            raise MalformedExport("The export holds an element that is too large.")

    def _read(self) -> bytes:
        try:
            chunk = self._stream.read(CHUNK_BYTES)
        except (zipfile.BadZipFile, zlib.error, EOFError):
            raise TruncatedExport from None
        self.bytes_read += len(chunk)
        return chunk

    def _without_prolog(self) -> Iterator[bytes]:
        head = b""
        while not (root := _ROOT.search(head)):
            chunk = self._read()
            if not chunk or len(head) > _MAX_PROLOG_BYTES:
                raise NotAnExport
            head += chunk
        # The header elements follow the root; one more chunk has them whole.
        yield _ME.sub(b"", head[root.start() :] + self._read(), count=1)
        while chunk := self._read():
            yield chunk


def _at_tag_ends(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, cut after a `>` so that no character reference is cut in two."""
    rest = b""
    for chunk in chunks:
        cut = chunk.rfind(b">") + 1
        if cut or len(rest) > _MAX_TOKEN_BYTES:
            yield rest + chunk[:cut]
            rest = chunk[cut:]
        else:
            rest += chunk
    if rest:
        yield rest
