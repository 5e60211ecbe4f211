"""Backup and restore as an operator meets them: while others write, and refusing what cannot be trusted."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.people.hashing import sign_in_key
from gateway.privacy import backup_keys
from gateway.privacy.backup import backup, now
from gateway.privacy.backup_archive import ArchiveReader, ArchiveWriter
from gateway.privacy.backup_restore import restore
from gateway.privacy.backup_stream import Opener, Sealer
from gateway.privacy.errors import BackupRefused, Damaged, NotEmpty, WrongKey
from gateway.settings import Settings
from gateway.store import migrations
from gateway.store.keys import root_key
from gateway.store.sqlite import SQLiteDatabase
from tests.faults.contents import patient_keys, patients_of_whole_transactions
from tests.faults.process import opened, register_for_ever, registration, started
from tests.store.actors import OPEN

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installation(tmp_path: Path) -> Settings:
    """A home with an empty database and its keys."""
    settings = Settings(home=tmp_path / "home")
    database = SQLiteDatabase(settings.database_path)
    migrations.upgrade(database)
    database.close()
    root_key(settings.home)
    sign_in_key(settings.home / "keys")
    return settings


@pytest.fixture
def filled(installation: Settings) -> tuple[Settings, list[list[str]]]:
    """The same with some people registered in it, and their ids."""
    return installation, asyncio.run(register(installation, 3))


async def register(settings: Settings, times: int) -> list[list[str]]:
    made = []
    async with opened(settings.home) as store:
        for _ in range(times):
            ids, changes = registration()
            await store.commit(OPEN, changes)
            await store.read(OPEN, "Patient", ids[0])
            made.append(ids)
    return made


def elsewhere(settings: Settings, name: str = "restored") -> Settings:
    return Settings(home=settings.home.parent / name)


def keys_of(settings: Settings) -> list[backup_keys.EpochKey]:
    return backup_keys.every(backup_keys.folder_of(settings.home))


def test_a_restored_installation_reads_and_writes_on(filled: tuple[Settings, list[list[str]]], tmp_path: Path) -> None:
    settings, people = filled
    backup(settings, tmp_path / "b")
    there = elsewhere(settings)
    restored = restore(there, tmp_path / "b", keys_of(settings))
    assert restored.rows > 0
    assert patients_of_whole_transactions(there.database_path) == set(patient_keys(people))
    for name in ("root.key", "sign-in.key"):
        assert (there.home / "keys" / name).read_bytes() == (settings.home / "keys" / name).read_bytes()
    asyncio.run(read_all(there, people))
    asyncio.run(register(there, 1))
    backup(there, tmp_path / "next")


async def read_all(settings: Settings, people: list[list[str]]) -> None:
    async with opened(settings.home) as store:
        for ids in people:
            assert (await store.read(OPEN, "Patient", ids[0])).version == 1


def test_looks_at_data_are_in_it(filled: tuple[Settings, list[list[str]]], tmp_path: Path) -> None:
    settings, people = filled
    backup(settings, tmp_path / "b")
    there = elsewhere(settings)
    restore(there, tmp_path / "b", keys_of(settings))
    with sqlite3.connect(there.home / "audit.sqlite") as audit:
        looked_at = {patient for (patient,) in audit.execute("SELECT patient FROM read_audit")}
    assert looked_at >= set(patient_keys(people))


def test_under_writes_it_holds_whole_transactions_and_all_that_were_acknowledged_before(
    installation: Settings, tmp_path: Path
) -> None:
    process, connection = started(register_for_ever, installation.home)
    try:
        acknowledged = [connection.recv() for _ in range(20)]
        backup(installation, tmp_path / "b")
        afterwards = [connection.recv()]
        while connection.poll(0.2) and len(afterwards) < 200:
            afterwards.append(connection.recv())
    finally:
        process.kill()
        process.join()
    there = elsewhere(installation)
    restore(there, tmp_path / "b", keys_of(installation))
    found = patients_of_whole_transactions(there.database_path)
    assert found >= set(patient_keys(acknowledged))
    # Others did write meanwhile and afterwards: what came last is not in it.
    assert not set(patient_keys(afterwards[-1:])) <= found


def test_what_was_deleted_before_is_not_in_the_copy(installation: Settings, tmp_path: Path) -> None:
    with sqlite3.connect(installation.database_path) as connection:
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute("CREATE TABLE scratch (body TEXT)")
        connection.executemany("INSERT INTO scratch VALUES (?)", [(f"ERASED-{n}" * 50,) for n in range(500)])
        connection.commit()
        connection.execute("DELETE FROM scratch")
    connection.close()
    assert b"ERASED-7" in installation.database_path.read_bytes()
    backup(installation, tmp_path / "b")
    restore(elsewhere(installation), tmp_path / "b", keys_of(installation))
    assert b"ERASED-7" not in elsewhere(installation).database_path.read_bytes()


def test_nothing_readable_is_left_beside_it(filled: tuple[Settings, list[list[str]]], tmp_path: Path) -> None:
    settings, people = filled
    before = {path.name for path in settings.home.iterdir()}
    made = backup(settings, tmp_path / "b")
    assert {path.name for path in settings.home.iterdir()} - before == {"last-backup"}
    assert made.file.stat().st_mode & 0o077 == 0
    assert people[0][0].encode() not in made.file.read_bytes()
    (key,) = keys_of(settings)
    assert key.key not in made.file.read_bytes()


def test_what_a_killed_backup_left_is_removed_by_the_next(installation: Settings, tmp_path: Path) -> None:
    left = installation.home / ".backup-killed"
    left.mkdir()
    (left / "backbridge.sqlite").write_bytes(b"a copy")
    backup(installation, tmp_path / "b")
    assert not left.exists()


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.999])
def test_a_flipped_bit_is_refused_and_leaves_nothing(
    filled: tuple[Settings, list[list[str]]], tmp_path: Path, place: float
) -> None:
    settings, _ = filled
    altered = bytearray(backup(settings, tmp_path / "b").file.read_bytes())
    altered[int(len(altered) * place)] ^= 4
    (tmp_path / "b").write_bytes(altered)
    with pytest.raises(BackupRefused):
        restore(elsewhere(settings), tmp_path / "b", keys_of(settings))
    assert list(elsewhere(settings).home.iterdir()) == []


@pytest.mark.parametrize("left_out", [1, 17, 1000])
def test_a_cut_file_is_refused_and_leaves_nothing(
    filled: tuple[Settings, list[list[str]]], tmp_path: Path, left_out: int
) -> None:
    settings, _ = filled
    whole = backup(settings, tmp_path / "b").file.read_bytes()
    (tmp_path / "b").write_bytes(whole[:-left_out])
    with pytest.raises(Damaged):
        restore(elsewhere(settings), tmp_path / "b", keys_of(settings))
    assert list(elsewhere(settings).home.iterdir()) == []


def test_a_database_that_was_unsound_when_it_was_sealed_is_found_out(
    filled: tuple[Settings, list[list[str]]], tmp_path: Path
) -> None:
    """A page of noise, sealed with hashes that fit: only SQLite's own check can tell."""
    settings, _ = filled
    key = backup(settings, tmp_path / "b").key
    found = entries(tmp_path / "b", key)
    database = bytearray(found["backbridge.sqlite"])
    database[4096 * 3 : 4096 * 4] = os.urandom(4096)
    seal(tmp_path / "unsound", key, {**found, "backbridge.sqlite": bytes(database)})
    with pytest.raises(Damaged, match="unsound"):
        restore(elsewhere(settings), tmp_path / "unsound", [key])
    seal(tmp_path / "sound", key, found)
    restore(elsewhere(settings), tmp_path / "sound", [key])


def test_a_row_too_few_is_found_out(filled: tuple[Settings, list[list[str]]], tmp_path: Path) -> None:
    settings, _ = filled
    key = backup(settings, tmp_path / "b").key
    found = entries(tmp_path / "b", key)
    with sqlite3.connect(":memory:") as database:
        database.deserialize(found["backbridge.sqlite"])
        database.execute("DELETE FROM history WHERE seq = 1")
        database.commit()
        found["backbridge.sqlite"] = database.serialize()
    database.close()
    seal(tmp_path / "less", key, found)
    with pytest.raises(Damaged, match="rows"):
        restore(elsewhere(settings), tmp_path / "less", [key])


def entries(file: Path, key: backup_keys.EpochKey) -> dict[str, bytes]:
    """What is in a backup, by name."""
    with file.open("rb") as source:
        return {name: b"".join(data) for name, data in ArchiveReader(Opener(source, [key]))}


def seal(file: Path, key: backup_keys.EpochKey, found: dict[str, bytes]) -> None:
    """A backup of these entries whose manifest fits them, counts as they were."""
    manifest = json.loads(found["manifest.json"])
    with file.open("wb") as out:
        archive = ArchiveWriter(Sealer(out, key))
        for name, data in found.items():
            if name != "manifest.json":
                archive.add(name, [data])
        archive.finish({**manifest, "entries": [asdict(entry) for entry in archive.entries]})


def test_an_unsound_database_is_refused_and_leaves_no_file(
    filled: tuple[Settings, list[list[str]]], tmp_path: Path
) -> None:
    settings, _ = filled
    with settings.database_path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(4096))
    with pytest.raises(BackupRefused, match="SQLITE_CORRUPT"):
        backup(settings, tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert not list(settings.home.glob(".backup-*"))


def test_the_wrong_key_is_told_as_such(filled: tuple[Settings, list[list[str]]], tmp_path: Path) -> None:
    settings, _ = filled
    backup(settings, tmp_path / "b")
    other = backup_keys.rotate(tmp_path / "other", now())
    with pytest.raises(WrongKey):
        restore(elsewhere(settings), tmp_path / "b", [other])


def test_a_home_that_holds_anything_is_refused_and_untouched(
    filled: tuple[Settings, list[list[str]]], tmp_path: Path
) -> None:
    settings, _ = filled
    backup(settings, tmp_path / "b")
    there = elsewhere(settings)
    there.home.mkdir()
    (there.home / "note").write_text("mine")
    with pytest.raises(NotEmpty):
        restore(there, tmp_path / "b", keys_of(settings))
    assert [path.name for path in there.home.iterdir()] == ["note"]


def test_an_existing_file_is_not_overwritten(installation: Settings, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with pytest.raises(NotEmpty):
        backup(installation, tmp_path / "b")
    assert (tmp_path / "b").read_text() == "mine"


def test_destroying_a_key_ends_the_backups_of_its_epoch_and_no_others(
    filled: tuple[Settings, list[list[str]]], tmp_path: Path
) -> None:
    settings, _ = filled
    monday = datetime(2026, 11, 16, tzinfo=UTC)
    for number in range(3):
        backup_keys.rotate(settings.home, monday + timedelta(days=number))
    first, second, third = keys_of(settings)
    assert backup_keys.superseded(settings.home, monday) == []
    assert backup_keys.superseded(settings.home, monday + timedelta(days=1)) == [first]
    backup(settings, tmp_path / "b")
    backup_keys.destroy(settings.home, [first, second])
    assert keys_of(settings) == [third]
    restore(elsewhere(settings), tmp_path / "b", keys_of(settings))


def test_a_key_is_never_shown_and_readable_by_its_owner_only(installation: Settings) -> None:
    key = backup_keys.rotate(installation.home, now())
    assert key.key.hex() not in repr(key)
    assert str(key.key) not in repr(key)
    assert backup_keys.file_of(installation.home, key).stat().st_mode & 0o077 == 0


# -- the commands --------------------------------------------------------------------------------------------------


def said(home: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", *words, "--home", str(home)],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "300"},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_the_commands_make_rotate_and_restore(filled: tuple[Settings, list[list[str]]], tmp_path: Path) -> None:
    settings, _ = filled
    file = str(tmp_path / "b")
    made, text = said(settings.home, "backup", file)
    assert (made, "epoch-0001.key" in text) == (0, True)
    again, text = said(settings.home, "backup", file)
    assert (again, text.strip()) == (1, f"backbridge: {file} is there already")
    keys = str(backup_keys.folder_of(settings.home))
    restored, text = said(tmp_path / "there", "restore", file, "--key", keys)
    assert restored == 0
    assert "erase and withdraw" in text
    rotated, _ = said(settings.home, "backup", "rotate-key", "--destroy-older-than-days", "0", "--yes")
    assert rotated == 0
    lost, text = said(tmp_path / "nowhere", "restore", file, "--key", keys)
    assert lost == 1
    assert len(text.strip().splitlines()) == 1
    assert "sealed with the key" in text


def test_manifest_says_what_is_in_it(filled: tuple[Settings, list[list[str]]], tmp_path: Path) -> None:
    settings, _ = filled
    found = entries(tmp_path / "b", backup(settings, tmp_path / "b").key)
    manifest = json.loads(found["manifest.json"])
    assert {entry["name"] for entry in manifest["entries"]} == set(found) - {"manifest.json"}
    assert manifest["counts"]["backbridge.sqlite"]["resource"] == 15
    assert manifest["database"] == "sqlite"
    assert time.time() - datetime.fromisoformat(manifest["begun"]).timestamp() < 600
