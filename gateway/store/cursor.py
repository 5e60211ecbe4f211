"""Page cursors: where the last page ended, sealed so that a link shows and permits nothing.

A cursor is valid only for the same query by the same actor; it is a place, never a permission: every page is
authorised anew (research consent-security 1.4).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.access import AccessContext
from gateway.store.errors import CursorInvalid

Place = Sequence[int | str | float]
_NONCE_BYTES = 12


class Cursors:
    """Writes and reads cursors under one 256-bit key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def write(self, place: Place, query: str, context: AccessContext) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, orjson.dumps(list(place)), _binding(query, context))
        return base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()

    def read(self, cursor: str, query: str, context: AccessContext) -> list[int | str | float]:
        """Raises CursorInvalid for anything that `write` did not make for this query and actor."""
        try:
            sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _binding(query, context))
        except (InvalidTag, binascii.Error, ValueError):
            raise CursorInvalid(expression="_cursor") from None
        place: list[int | str | float] = orjson.loads(plain)
        return place


def _binding(query: str, context: AccessContext) -> bytes:
    who = f"{context.client}|{context.agent}|{context.organization}|{int(context.purpose)}"
    return hashlib.blake2b(f"{who}|{query}".encode(), digest_size=16).digest()
