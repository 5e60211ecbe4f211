"""A sealed stream: authenticated encryption in chunks, so that a file of any size needs little memory.

This is the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance", 2015) over AES-256-GCM, with a fresh key for each stream: a chunk's nonce is its number
and whether it is the last. So chunks that were altered, swapped, left out or cut off do not open.

    magic | length of header | header, JSON in clear | chunk | chunk | … | last chunk

The header names the epoch and holds the stream's key, wrapped (RFC 3394); it is authenticated with every chunk.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Sequence
from secrets import token_bytes
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from gateway.privacy.backup_keys import EpochKey
from gateway.privacy.errors import BackupRefused, Damaged, WrongKey

CHUNK = 1 << 20
TAG = 16
_MAGIC = b"BACKBRIDGEBACKUP"
_LENGTH = struct.Struct(">I")
_HEADER_MAX = 4096
_CUT_OR_ALTERED = "the backup is cut short or was altered"


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\1" if is_last else b"\0")


class Sealer:
    """Seals what is written to it; nothing is readable until `finish`."""

    def __init__(self, out: BinaryIO, key: EpochKey) -> None:
        fresh = AESGCM.generate_key(256)
        wrapped = base64.b64encode(aes_key_wrap(key.wrapping, fresh)).decode()
        header = {"format": 1, "epoch": key.epoch, "key": key.id, "wrapped": wrapped, "salt": token_bytes(8).hex()}
        self._header = json.dumps(header).encode()
        self._out = out
        self._cipher = AESGCM(fresh)
        self._waiting = bytearray()
        self._number = 0
        out.write(_MAGIC + _LENGTH.pack(len(self._header)) + self._header)

    def write(self, data: bytes) -> None:
        self._waiting += data
        # The last chunk is marked, so one is held back until more comes or the end.
        while len(self._waiting) > CHUNK:
            self._seal(bytes(self._waiting[:CHUNK]), is_last=False)
            del self._waiting[:CHUNK]

    def finish(self) -> None:
        self._seal(bytes(self._waiting), is_last=True)
        self._waiting.clear()

    def _seal(self, chunk: bytes, *, is_last: bool) -> None:
        self._out.write(self._cipher.encrypt(_nonce(self._number, is_last=is_last), chunk, self._header))
        self._number += 1


class Opener:
    """
    Opens a sealed stream, a chunk at a time.

    raises  BackupRefused where it is no backup, WrongKey where none of the keys sealed it, Damaged while iterating
    """

    def __init__(self, source: BinaryIO, keys: Sequence[EpochKey]) -> None:
        self._source = source
        if source.read(len(_MAGIC)) != _MAGIC:
            raise BackupRefused("the file is not a backup of Backbridge")
        self._header = self._read_header()
        self.key_id, stream_key = _unwrapped(self._header, keys)
        self._cipher = AESGCM(stream_key)

    def __iter__(self) -> Iterator[bytes]:
        number, sealed = 0, self._source.read(CHUNK + TAG)
        while True:
            following = self._source.read(CHUNK + TAG)
            try:
                yield self._cipher.decrypt(_nonce(number, is_last=not following), sealed, self._header)
            except InvalidTag:
                raise Damaged(_CUT_OR_ALTERED) from None
            if not following:
                return
            number, sealed = number + 1, following

    def _read_header(self) -> bytes:
        prefix = self._source.read(_LENGTH.size)
        if len(prefix) < _LENGTH.size:
            raise Damaged(_CUT_OR_ALTERED)
        length: int = _LENGTH.unpack(prefix)[0]
        header = self._source.read(min(length, _HEADER_MAX))
        if len(header) < length:
            raise Damaged(_CUT_OR_ALTERED)
        return header


def _unwrapped(header: bytes, keys: Sequence[EpochKey]) -> tuple[str, bytes]:
    """The id of the key that sealed the stream, and the stream's own key."""
    try:
        said: dict[str, Any] = json.loads(header)
        form, epoch, name, wrapped = said["format"], said["epoch"], said["key"], base64.b64decode(said["wrapped"])
    except (ValueError, KeyError, TypeError):
        raise Damaged(_CUT_OR_ALTERED) from None
    if form != 1:
        raise BackupRefused(f"the backup has format {form}, which this version does not know")
    for key in keys:
        if key.id == name:
            try:
                return key.id, aes_key_unwrap(key.wrapping, wrapped)
            except (InvalidUnwrap, ValueError):
                raise Damaged(_CUT_OR_ALTERED) from None
    raise WrongKey(f"the backup was sealed with the key {name} of epoch {epoch}, which is not the one given")
