"""Processes that start at the same moment on an empty folder agree on its files instead of refusing each other."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from pathlib import Path

from gateway.store.keys import root_key
from gateway.store.sqlite import SQLiteDatabase
from tests.faults.process import started

HOMES = 100


async def open_each(connection: Connection, homes: list[Path]) -> None:
    """Opens a database in each home, at the moment that the other end says; tells the keys that it saw."""
    told: list[bytes] = []
    for home in homes:
        connection.send("ready")
        moment = connection.recv()
        while time.monotonic() < moment:
            pass
        database = SQLiteDatabase(home / "fresh.sqlite")
        database.connect(readonly=False).close()
        database.close()
        told.append(root_key(home))
    connection.send(told)


def test_two_processes_open_a_new_database_at_once(tmp_path: Path) -> None:
    homes = [tmp_path / str(number) for number in range(HOMES)]
    pairs = [started(open_each, homes) for _ in range(2)]
    for _ in homes:
        assert [connection.recv() for _, connection in pairs] == ["ready", "ready"]
        moment = time.monotonic() + 0.005
        for _, connection in pairs:
            connection.send(moment)
    one, other = [connection.recv() for _, connection in pairs]
    assert one == other
    assert len(set(one)) == HOMES
    for process, connection in pairs:
        process.join(10)
        connection.close()
