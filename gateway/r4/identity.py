"""Logical ids and the integer keys behind them: one pure function each way, so that no look-up is needed.

A server-assigned id is the key itself, written in base 32; a client-assigned id is hashed into the upper half
of the key space. References can therefore be indexed, joined and checked without asking the database.
See docs/decisions/0003-keys-from-ids.md.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import secrets
import threading
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
SERVER_ID = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{12}\Z")
LOGICAL_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")

_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)
# int() reads base 32 with the digits 0-9a-v.
_TO_PYTHON_DIGITS = str.maketrans(ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_SERVER_KEYS = 1 << 62
_RANDOM_BITS = 20
# 2020-01-01 in milliseconds: 42 bits of milliseconds from there last until 2159.
_EPOCH_MS = 1_577_836_800_000


class _Sequence:
    """
    Keys that rise within a process: 42 bits of milliseconds, so that new rows land side by side, then 20 random bits.

    Ids are names, not secrets: what a reader may not see is guarded whether or not its id is known.
    """

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()
        self.reseed()

    def reseed(self) -> None:
        """To be called in the child of a fork, which would otherwise hand out the ids of its parent."""
        self._random = random.Random(secrets.randbits(128))  # noqa: S311

    def next(self) -> int:
        elapsed_ms = int(time.time() * 1000) - _EPOCH_MS
        with self._lock:
            self._last = max(self._last + 1, (elapsed_ms << _RANDOM_BITS) | self._random.getrandbits(_RANDOM_BITS))
            return self._last


_sequence = _Sequence()
os.register_at_fork(after_in_child=_sequence.reseed)


def new_id() -> str:
    """A fresh logical id, never handed out before by this process (the store refuses the rare clash of two)."""
    return _written(_sequence.next())


def key_of(resource_type: str, logical_id: str) -> int:
    """The 63-bit key of `Type/id`; the same id always has the same key, whether or not it exists."""
    if SERVER_ID.match(logical_id) is not None and (key := _read(logical_id)) < _SERVER_KEYS:
        return key
    digest = hashlib.blake2b(f"{resource_type}/{logical_id}".encode(), digest_size=8).digest()
    return _SERVER_KEYS | (int.from_bytes(digest, "big") & (_SERVER_KEYS - 1))


def is_server_id(logical_id: str) -> bool:
    """Whether the id has the form that only this server assigns (clients may not choose such ids)."""
    return SERVER_ID.match(logical_id) is not None and _read(logical_id) < _SERVER_KEYS


def _written(key: int) -> str:
    # Two digits at a time: every request and every resource gets an id.
    p = _PAIRS
    low, high = key & 0x3FFFFFFF, key >> 30
    upper = p[(high >> 20) & 1023] + p[(high >> 10) & 1023] + p[high & 1023]
    return ALPHABET[key >> 60] + upper + p[low >> 20] + p[(low >> 10) & 1023] + p[low & 1023]


def _read(logical_id: str) -> int:
    return int(logical_id.translate(_TO_PYTHON_DIGITS), 32)
