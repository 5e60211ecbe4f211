"""A query that is put off for a thread leaves nothing behind: whoever reads next sees the latest commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store import snapshot
from gateway.store.connection import Connection
from gateway.store.snapshot import Snapshots
from gateway.store.sqlite import SQLiteDatabase

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("budget", range(1, 30))
async def test_wherever_a_quick_query_is_put_off_its_transaction_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    """SQLite asks whether to go on at any statement, BEGIN and ROLLBACK among them."""
    monkeypatch.setattr(snapshot, "_ASK_EVERY", 1)
    monkeypatch.setattr(snapshot, "QUICK_ANSWERS", budget)
    database = SQLiteDatabase(tmp_path / "numbers.sqlite")
    writing = database.connect(readonly=False)
    writing.execute("CREATE TABLE number (n INTEGER)")
    snapshots = Snapshots(database, query_seconds=5)

    def count(connection: Connection) -> int:
        found: int = connection.execute("SELECT count(*) FROM number").fetchone()[0]  # type: ignore[index]
        return found

    for expected in range(5):
        assert await snapshots.run(count) == expected
        writing.execute("INSERT INTO number VALUES (1)")
    snapshots.close()
    writing.close()
    database.close()
