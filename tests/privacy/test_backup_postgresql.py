"""Backup and restore of an installation on PostgreSQL, while others write."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest

from gateway.people.hashing import sign_in_key
from gateway.privacy import backup_keys
from gateway.privacy.backup import backup
from gateway.privacy.backup_restore import restore
from gateway.privacy.errors import BackupRefused, Damaged, NotEmpty
from gateway.settings import Settings
from gateway.store.keys import root_key
from tests.postgresql import Server

PAIRS = """
CREATE TABLE one_half (number bigint PRIMARY KEY, body bytea);
CREATE TABLE other_half (seq bigserial PRIMARY KEY, number bigint);
"""


@pytest.fixture
def installation(tmp_path: Path, server: Server) -> Settings:
    """A home and a database of the newest schema, with two tables whose rows are written in pairs."""
    settings = Settings(home=tmp_path / "home", database_url=server.new_database())
    root_key(settings.home)
    sign_in_key(settings.home / "keys")
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(PAIRS)
    return settings


def write_pairs(url: str, acknowledged: list[int], stopping: threading.Event) -> None:
    """Both halves of a pair in each transaction, until told to stop."""
    with psycopg.connect(url, autocommit=True) as connection:
        number = 0
        while not stopping.is_set():
            number += 1
            with connection.transaction():
                connection.execute("INSERT INTO one_half VALUES (%s, %s)", (number, b"\x00body"))
                connection.execute("INSERT INTO other_half (number) VALUES (%s)", (number,))
            acknowledged.append(number)


def there(tmp_path: Path, server: Server) -> Settings:
    return Settings(home=tmp_path / "there", database_url=server.new_database("template0"))


def keys_of(settings: Settings) -> list[backup_keys.EpochKey]:
    return backup_keys.every(backup_keys.folder_of(settings.home))


def test_under_writes_it_holds_whole_transactions_and_all_that_were_acknowledged_before(
    installation: Settings, tmp_path: Path, server: Server
) -> None:
    acknowledged: list[int] = []
    stopping = threading.Event()
    writer = threading.Thread(target=write_pairs, args=(installation.database_url, acknowledged, stopping))
    writer.start()
    try:
        while len(acknowledged) < 20:
            stopping.wait(0.01)
        before = set(acknowledged)
        backup(installation, tmp_path / "b")
    finally:
        stopping.set()
        writer.join()
    copy = there(tmp_path, server)
    restore(copy, tmp_path / "b", keys_of(installation))
    with psycopg.connect(copy.database_url) as connection:
        ones = {number for (number,) in connection.execute("SELECT number FROM one_half")}
        others = {number for (number,) in connection.execute("SELECT number FROM other_half")}
        is_going_on = "SELECT nextval('other_half_seq_seq') > MAX(seq) FROM other_half"
        assert connection.execute(is_going_on).fetchone() == (True,)
    assert before <= ones == others
    assert (copy.home / "keys" / "root.key").exists()


def test_a_database_that_has_tables_is_refused(installation: Settings, tmp_path: Path) -> None:
    backup(installation, tmp_path / "b")
    occupied = installation.model_copy(update={"home": tmp_path / "there"})
    with pytest.raises(NotEmpty):
        restore(occupied, tmp_path / "b", keys_of(installation))


def test_a_cut_file_leaves_the_database_empty(installation: Settings, tmp_path: Path, server: Server) -> None:
    whole = backup(installation, tmp_path / "b").file.read_bytes()
    (tmp_path / "b").write_bytes(whole[:-1])
    copy = there(tmp_path, server)
    with pytest.raises(Damaged):
        restore(copy, tmp_path / "b", keys_of(installation))
    with psycopg.connect(copy.database_url) as connection:
        assert connection.execute("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_a_backup_of_another_kind_of_database_is_refused(installation: Settings, tmp_path: Path) -> None:
    backup(installation, tmp_path / "b")
    with pytest.raises(BackupRefused, match="backup of postgresql"):
        restore(Settings(home=tmp_path / "there"), tmp_path / "b", keys_of(installation))


def test_a_server_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url="postgresql://role:hunter2@127.0.0.1:1/nowhere")
    with pytest.raises(BackupRefused) as refused:
        backup(settings, tmp_path / "b")
    assert "hunter2" not in str(refused.value)
    assert not (tmp_path / "b").exists()
