"""One-time codes that people type: twelve characters in three groups, 60 random bits (Crockford base 32)."""

from __future__ import annotations

import re
import secrets

from gateway.people.errors import CodeRefused
from gateway.people.hashing import token_hash

# Without I, L, O and U: the first three are misread, the last makes words. Read back, i and l are 1, o is 0.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_AS_WRITTEN = str.maketrans("ILO", "110")
_LENGTH = 12
_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015]+")


def new_code() -> str:
    """A fresh code as it is printed, such as K7QX-M2RD-9HTV."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(letters[at : at + 4] for at in range(0, _LENGTH, 4))


def code_hash(text: str) -> bytes:
    """The stored hash of a code as somebody typed it. CodeRefused when it cannot be one."""
    plain = _SEPARATORS.sub("", text[:64]).upper().translate(_AS_WRITTEN)
    if len(plain) != _LENGTH or not set(plain) <= set(_ALPHABET):
        raise CodeRefused
    return token_hash(plain)
