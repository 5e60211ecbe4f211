"""Secrets at rest: argon2id over a keyed digest, and keyed hashes of handles and addresses (OWASP, RFC 9106).

A six-digit PIN has 20 bits: whoever steals the database alone would read it from any plain hash. The
installation's key, kept in a file beside the database and never in it, goes into every hash first.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.people.errors import TryLater
from gateway.store.keys import sync_folder

# OWASP's choice for argon2id: 19 MiB, 2 passes, 1 lane. Measured at 38 ms on one core; the library's own
# default takes 0.28 s of two cores, so that four sign-ins a second would stop the clinic.
ARGON2 = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_KEY_BYTES = 32
# One hash at a time leaves the other core to the requests of signed-in people.
_AT_ONCE = 1
_PATIENCE_S = 5.0


class SecretHasher:
    """Hashes and verifies passphrases, one at a time, and blinds handles and addresses with the same key."""

    def __init__(self, key: bytes, argon2: PasswordHasher = ARGON2) -> None:
        if len(key) < _KEY_BYTES:
            raise ValueError("the key of the sign-in hashes needs at least 32 bytes")
        self._key = key
        self._argon2 = argon2
        self._turn = threading.BoundedSemaphore(_AT_ONCE)
        # Made now, not at the first unknown account: that one would take twice as long as the others.
        self._nobody = self.hash(secrets.token_urlsafe(32))

    def hash(self, secret: str) -> str:
        """The argon2id string to store. TryLater when too many others are hashing."""
        with self._turn_taken():
            return self._argon2.hash(self._keyed(secret))

    def matches(self, stored: str, secret: str) -> bool:
        """Whether the secret is the stored one; for no stored hash the same work is done, in vain."""
        with self._turn_taken():
            try:
                return self._argon2.verify(stored or self._nobody, self._keyed(secret))
            except (VerificationError, InvalidHashError):
                return False

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with weaker settings than today's."""
        return self._argon2.check_needs_rehash(stored)

    def blind(self, kind: str, value: str) -> bytes:
        """A keyed hash of a low-entropy value (phone, e-mail, address), the same for the same value."""
        return hmac.digest(self._key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), "sha256")

    def _keyed(self, secret: str) -> bytes:
        # NFC, so that a passphrase typed on another keyboard is the same passphrase (RFC 8265, OpaqueString).
        text = unicodedata.normalize("NFC", secret)
        return hmac.digest(self._key, b"secret\0" + text.encode("utf-8", "surrogatepass"), "sha256")

    @contextmanager
    def _turn_taken(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=_PATIENCE_S):
            raise TryLater(5, "Many people are signing in just now; try again in a moment.", code="busy")
        try:
            yield
        finally:
            self._turn.release()


def token_hash(token: str) -> bytes:
    """SHA-256 of a token or code that is random enough (60 bits and more) to need no key and no salt."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def sign_in_key(folder: Path) -> bytes:
    """The installation's key of the sign-in hashes; made at first use, readable by its owner only."""
    path = folder / "sign-in.key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f".sign-in.{secrets.token_hex(8)}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        _publish(fresh, path)
        sync_folder(folder)
    return path.read_bytes()


def _publish(fresh: Path, path: Path) -> None:
    # A link appears whole or not at all, so two processes that start together agree on the first one's key.
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
