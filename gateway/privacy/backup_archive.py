"""What is inside a backup: named entries one after the other, compressed, and at the end a manifest of them all.

    entry | entry | … | manifest.json
    entry: length and name, then length and data as often as needed, then length 0

Entries are streams, because nobody knows how large a dump will be before it has been written.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gateway.privacy.backup_stream import Sealer
from gateway.privacy.errors import Damaged

MANIFEST = "manifest.json"
_LENGTH = struct.Struct(">I")
_PIECE = 1 << 20
# Resources compress to a quarter at the quickest level, and hardly better at slower ones.
_LEVEL = 1
_ALTERED = "the backup is cut short or was altered"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as the manifest lists it."""

    name: str
    bytes: int
    sha256: str


class ArchiveWriter:
    """Writes entries to a sealer."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._squeeze = zlib.compressobj(_LEVEL)
        self.entries: list[Entry] = []

    def add(self, name: str, data: Iterable[bytes]) -> None:
        self._record(name.encode())
        digest, size = hashlib.sha256(), 0
        for piece in data:
            if piece:
                digest.update(piece)
                size += len(piece)
                self._record(piece)
        self._record(b"")
        self.entries.append(Entry(name, size, digest.hexdigest()))

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write the manifest and end the stream."""
        self.add(MANIFEST, [json.dumps(manifest, indent=1).encode()])
        self._sealer.write(self._squeeze.flush())
        self._sealer.finish()

    def _record(self, data: bytes) -> None:
        self._sealer.write(self._squeeze.compress(_LENGTH.pack(len(data)) + data))


class ArchiveReader:
    """Reads entries in the order in which they were written; each must be read to its end before the next."""

    def __init__(self, opened: Iterable[bytes]) -> None:
        self._pieces = _inflated(opened)
        self._waiting = bytearray()

    def __iter__(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        while True:
            name = self._record().decode()
            yield name, self._data()
            if name == MANIFEST:
                self._expect_end()
                return

    def _data(self) -> Iterator[bytes]:
        while piece := self._record():
            yield piece

    def _record(self) -> bytes:
        length: int = _LENGTH.unpack(self._take(_LENGTH.size))[0]
        return self._take(length)

    def _take(self, count: int) -> bytes:
        while len(self._waiting) < count:
            piece = next(self._pieces, None)
            if piece is None:
                raise Damaged(_ALTERED)
            self._waiting += piece
        taken = bytes(self._waiting[:count])
        del self._waiting[:count]
        return taken

    def _expect_end(self) -> None:
        """Read on to the mark at the very end of the sealed stream: without it, what came before may be cut."""
        for piece in self._pieces:
            if piece:
                raise Damaged(_ALTERED)


def _inflated(opened: Iterable[bytes]) -> Iterator[bytes]:
    """Decompressed pieces of a bounded size."""
    stretch = zlib.decompressobj()
    for chunk in opened:
        rest = chunk
        while rest:
            yield stretch.decompress(rest, _PIECE)
            rest = stretch.unconsumed_tail
    yield stretch.flush()
    if not stretch.eof:
        raise Damaged(_ALTERED)
