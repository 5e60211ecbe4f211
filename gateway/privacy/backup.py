"""Backup: one sealed file with everything that an installation needs to go on elsewhere, made while it runs.

    database    SQLite: a copy without free pages; PostgreSQL: a dump
    audit       the audit of reads, where it has a file of its own
    keys        root.key and sign-in.key; not the keys of backups
    manifest    versions, sizes, hashes, and the rows of each table

What was acknowledged before it began is in it, and whole transactions only. The audit of reads is copied after the
database, so it has every look that led to what the database holds.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, BinaryIO

from gateway import VERSION
from gateway.privacy import backup_keys, backup_postgresql, backup_sqlite
from gateway.privacy.backup_archive import ArchiveWriter
from gateway.privacy.backup_keys import EpochKey
from gateway.privacy.backup_stream import Sealer
from gateway.privacy.errors import BackupRefused, NotEmpty
from gateway.settings import Settings
from gateway.store.keys import sync_folder

DATABASE, DUMP, AUDIT = "backbridge.sqlite", "backbridge.dump", "audit.sqlite"
KEYS = ("keys/root.key", "keys/sign-in.key")
_PIECE = 1 << 20
_WORKPLACE = ".backup-"


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that is on the disk, and how large it and what is in it are."""

    file: Path
    bytes: int
    contents: int
    key: EpochKey


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def backup(settings: Settings, file: Path, clock: Callable[[], datetime] = now) -> Made:
    """
    Make a backup; the file appears under its name when it is complete and on the disk.

    raises  BackupRefused, in one line: the file exists, the disk is full, the database cannot be read
    """
    if file.exists():
        raise NotEmpty(f"{file} is there already")
    begun = clock()
    key = backup_keys.present(settings.home, begun)
    with _told_as_refusal(), _appearing(file) as unfinished, _created(unfinished) as out:
        sealer = Sealer(out, key)
        archive = ArchiveWriter(sealer)
        with ExitStack() as opened:
            about = _add_database(archive, settings, opened)
        for name in KEYS:
            archive.add(name, [(settings.home / name).read_bytes()])
        contents = sum(entry.bytes for entry in archive.entries)
        archive.finish(_manifest(archive, about, begun))
        out.flush()
        os.fsync(out.fileno())
    settings.last_backup.write_text(begun.isoformat(), "utf-8")
    return Made(file, file.stat().st_size, contents, key)


def _manifest(archive: ArchiveWriter, about: dict[str, Any], begun: datetime) -> dict[str, Any]:
    entries = [asdict(entry) for entry in archive.entries]
    return {"format": 1, "version": VERSION, "begun": begun.isoformat(), **about, "entries": entries}


def _add_database(archive: ArchiveWriter, settings: Settings, opened: ExitStack) -> dict[str, Any]:
    """Add the database and the audit of reads; returns what the manifest says about them."""
    if settings.is_postgresql:
        moment = opened.enter_context(backup_postgresql.snapshot(settings.database_url))
        archive.add(DUMP, moment.dump())
        return {"database": "postgresql", "schema": moment.schema(), "counts": {DUMP: moment.counts()}}
    workplace = opened.enter_context(_workplace(settings.home))
    counts = {}
    for name, source in ((DATABASE, settings.database_path), (AUDIT, settings.home / AUDIT)):
        if name == AUDIT and not source.exists():
            continue
        copy = workplace / name
        _refuse_unless_fits(source, workplace)
        backup_sqlite.snapshot(source, copy)
        counts[name] = backup_sqlite.counts(copy)
        if name == DATABASE:
            schema = backup_sqlite.schema(copy)
        archive.add(name, _pieces(copy))
        copy.unlink()
    return {"database": "sqlite", "schema": schema, "counts": counts}


@contextmanager
def _workplace(home: Path) -> Iterator[Path]:
    """A folder for copies beside the database, as well protected as it is; what a killed backup left is removed."""
    for left in home.glob(f"{_WORKPLACE}*"):
        shutil.rmtree(left)
    folder = Path(mkdtemp(prefix=_WORKPLACE, dir=home))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _refuse_unless_fits(source: Path, folder: Path) -> None:
    try:
        needed = source.stat().st_size
    except FileNotFoundError:
        raise BackupRefused(f"there is no database at {source}") from None
    if shutil.disk_usage(folder).free < needed:
        raise BackupRefused(f"a copy of {source.name} needs {needed // 1_000_000} MB free in {folder.parent}")


@contextmanager
def _appearing(file: Path) -> Iterator[Path]:
    """A name to write to; it becomes `file` when the block ends well, and goes where it does not."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        yield unfinished
        # A link, not a rename: it never replaces a file that somebody made meanwhile.
        os.link(unfinished, file)
        sync_folder(file.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _created(path: Path) -> BinaryIO:
    """A new file that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


@contextmanager
def _told_as_refusal() -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise BackupRefused(f"{failure.filename or 'writing'}: {failure.strerror}") from None


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
