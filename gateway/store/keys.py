"""The installation's own secrets: made once, kept in files that only its user can read, never in the database."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_REMEMBERED_TOKENS = 100_000


def root_key(home: Path) -> bytes:
    """The 256-bit key of this installation, made at first use. Two processes that start at once agree on it."""
    folder = home / "keys"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "root.key"
    fresh = folder / f".root.{os.getpid()}.{secrets.token_hex(4)}"
    if not path.exists():
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
        for named in (folder, home):
            sync_folder(named)
    return path.read_bytes()


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk: a file that was fsynced may still be without one after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def derived(root: bytes, use: str) -> bytes:
    """A key for one use, so that no two parts of the system share one (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=f"backbridge {use}".encode()).derive(root)


def token_hash(key: bytes) -> Callable[[str], int]:
    """The keyed 63-bit hash under which tokens are indexed: equal tokens match, and nothing can be read back."""

    @lru_cache(maxsize=_REMEMBERED_TOKENS)
    def hashed(token: str) -> int:
        digest = hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest()
        return int.from_bytes(digest, "big") >> 1

    return hashed
