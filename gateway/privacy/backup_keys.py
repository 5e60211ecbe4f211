"""Epoch keys: what backups are sealed with. A key that is destroyed takes every backup of its epoch with it.

That is how erased data leaves old backups: rotate, make a new backup, destroy the older keys. Each epoch has a file of
its own below HOME/keys/backup; no backup holds any of them. See docs/decisions/0019-backup.md.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from gateway.privacy.errors import BackupRefused
from gateway.store.keys import derived, sync_folder

_KEY_BYTES = 32
_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class EpochKey:
    """The key of one epoch; epochs are numbered from 1."""

    epoch: int
    created: datetime
    key: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Tells keys apart and nothing about them."""
        return derived(self.key, "backup key id")[:_ID_BYTES].hex()

    @property
    def wrapping(self) -> bytes:
        """The key that wraps the key of each backup."""
        return derived(self.key, "backup key wrapping")


def folder_of(home: Path) -> Path:
    return home / "keys" / "backup"


def file_of(home: Path, key: EpochKey) -> Path:
    return folder_of(home) / f"epoch-{key.epoch:04}.key"


def every(path: Path) -> list[EpochKey]:
    """
    The keys of a folder, oldest first, or the one key of a file.

    raises  BackupRefused where there is none or a file is not one of ours
    """
    files = sorted(path.glob("epoch-*.key")) if path.is_dir() else [path]
    return sorted((_read(file) for file in files), key=lambda key: key.epoch)


def present(home: Path, now: datetime) -> EpochKey:
    """The newest key of this installation, made where there is none yet."""
    folder = folder_of(home)
    keys = every(folder) if folder.is_dir() else []
    return keys[-1] if keys else rotate(home, now)


def rotate(home: Path, now: datetime) -> EpochKey:
    """A key for the next epoch; it is on the disk when this returns."""
    folder = folder_of(home)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = every(folder)
    fresh = EpochKey(known[-1].epoch + 1 if known else 1, now, secrets.token_bytes(_KEY_BYTES))
    keep(home, fresh)
    return fresh


def keep(home: Path, key: EpochKey) -> None:
    """Write a key to its file, which must not be there yet."""
    folder_of(home).mkdir(mode=0o700, parents=True, exist_ok=True)
    written = {"epoch": key.epoch, "created": key.created.isoformat(), "key": base64.b64encode(key.key).decode()}
    path = file_of(home, key)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(written, file)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def superseded(home: Path, before: datetime) -> list[EpochKey]:
    """Keys that a newer one took over from before that moment."""
    keys = every(folder_of(home)) if folder_of(home).is_dir() else []
    return [key for key, successor in pairwise(keys) if successor.created <= before]


def destroy(home: Path, keys: Sequence[EpochKey]) -> None:
    """Overwrite and delete these keys. What the disk itself keeps of them is beyond us: encrypt it."""
    for key in keys:
        path = file_of(home, key)
        with path.open("r+b") as file:
            file.write(secrets.token_bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    sync_folder(folder_of(home))


def _read(path: Path) -> EpochKey:
    try:
        written = json.loads(path.read_text("utf-8"))
        key = base64.b64decode(written["key"], validate=True)
        found = EpochKey(int(written["epoch"]), datetime.fromisoformat(written["created"]), key)
    except OSError as failure:
        raise BackupRefused(f"{path}: {failure.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise BackupRefused(f"{path} is not a backup key") from None
    if len(key) != _KEY_BYTES:
        raise BackupRefused(f"{path} is not a backup key")
    return found
