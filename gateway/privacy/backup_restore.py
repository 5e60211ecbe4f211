"""Restore: open a backup into a staging folder, prove that it is whole, and only then make it an installation.

The order is the point: nothing is where a gateway would find it until everything has been verified. Between the proof
and the appearance (`_appear`) is the one place where what was erased or withdrawn after the backup has to be erased or
withdrawn again. No record of that is kept outside the database yet; `Restored.begun` tells what to look up by hand.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.privacy import backup_keys, backup_postgresql, backup_sqlite
from gateway.privacy.backup import AUDIT, DATABASE, DUMP, KEYS
from gateway.privacy.backup_archive import MANIFEST, ArchiveReader, Entry
from gateway.privacy.backup_keys import EpochKey
from gateway.privacy.backup_stream import Opener
from gateway.privacy.errors import BackupRefused, Damaged, NotEmpty
from gateway.settings import Settings
from gateway.store.keys import sync_folder

_STAGING = ".restoring"
_EXPECTED = frozenset((DATABASE, AUDIT, DUMP, MANIFEST, *KEYS))


@dataclass(frozen=True, slots=True)
class Restored:
    """
    An installation that is ready to be started.

    begun    what was acknowledged before that moment is there
    version  of the software that made the backup
    rows     in all tables together
    """

    begun: datetime
    version: str
    rows: int


def restore(settings: Settings, file: Path, keys: Sequence[EpochKey]) -> Restored:
    """
    Make the home of the settings, which must not hold anything, what the backup says.

    raises  WrongKey, Damaged, NotEmpty, BackupRefused, each one line; the home is then as empty as before
    """
    _refuse_unless_empty(settings)
    with _told_as_refusal(), _staging(settings.home) as staging:
        with file.open("rb") as source:
            opener = Opener(source, keys)
            manifest = _unpacked(ArchiveReader(opener), staging)
        counts = _verified(manifest, staging, settings)
        backup_keys.keep(staging, next(key for key in keys if key.id == opener.key_id))
        if settings.is_postgresql:
            backup_postgresql.restore(staging / DUMP, settings.database_url, counts[DUMP])
            (staging / DUMP).unlink()
        _appear(staging, settings.home)
    rows = sum(sum(tables.values()) for tables in counts.values())
    return Restored(datetime.fromisoformat(manifest["begun"]), manifest["version"], rows)


def _refuse_unless_empty(settings: Settings) -> None:
    home = settings.home
    if home.exists() and any(home.iterdir()):
        raise NotEmpty(f"{home} is not empty; restore into a new home")
    if settings.is_postgresql:
        backup_postgresql.refuse_unless_empty(settings.database_url)
    elif settings.database_path != home / DATABASE:
        raise BackupRefused(f"BACKBRIDGE_DATABASE_URL names a file elsewhere; a restore makes {home / DATABASE}")


def _unpacked(archive: ArchiveReader, staging: Path) -> dict[str, Any]:
    """Write every entry to the staging folder; returns the manifest, which describes exactly what was written."""
    written: list[Entry] = []
    for name, data in archive:
        if name not in _EXPECTED:
            raise Damaged("the backup has an entry that this version does not know")
        path = staging / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        written.append(_written(name, path, data))
    text = (staging / MANIFEST).read_bytes()
    (staging / MANIFEST).unlink()
    manifest: dict[str, Any] = json.loads(text)
    if [Entry(**each) for each in manifest["entries"]] != written[:-1]:
        raise Damaged("the backup does not hold what its manifest says")
    return manifest


def _written(name: str, path: Path, data: Iterable[bytes]) -> Entry:
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for piece in data:
            digest.update(piece)
            size += file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return Entry(name, size, digest.hexdigest())


def _verified(manifest: dict[str, Any], staging: Path, settings: Settings) -> dict[str, dict[str, int]]:
    """The rows of each table by database, after SQLite's own check of its files."""
    kind = "postgresql" if settings.is_postgresql else "sqlite"
    if manifest["database"] != kind:
        raise BackupRefused(f"this is a backup of {manifest['database']}; BACKBRIDGE_DATABASE_URL is of {kind}")
    counts: dict[str, dict[str, int]] = manifest["counts"]
    for name, expected in counts.items():
        if name != DUMP:
            backup_sqlite.verify(staging / name, expected)
    return counts


def _appear(staging: Path, home: Path) -> None:
    """Move everything into the home, the database last: with it, the installation is there."""
    for path in sorted(staging.iterdir(), key=lambda path: path.name == DATABASE):
        path.rename(home / path.name)
    sync_folder(home)


@contextmanager
def _staging(home: Path) -> Iterator[Path]:
    staging = home / _STAGING
    staging.mkdir(mode=0o700, parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging)


@contextmanager
def _told_as_refusal() -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise BackupRefused(f"{failure.filename or 'reading'}: {failure.strerror}") from None
