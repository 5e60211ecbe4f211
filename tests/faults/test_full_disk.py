"""A disk without room: a clear refusal, nothing half-written, and work goes on without a restart once there is room."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.faults.contents import patient_keys, patients_of_whole_transactions
from tests.faults.process import fill_the_disk, started

ROOM = 400_000


@pytest.mark.parametrize("audit_reads", ["before-response", "within-1s"])
def test_a_full_disk_is_refused_clearly_and_forgotten_when_there_is_room(home: Path, audit_reads: str) -> None:
    """A read that cannot be recorded is refused, at once or a second later; none that was answered is missing."""
    process, connection = started(fill_the_disk, home, ROOM, audit_reads)
    before, refusals, reads, after = connection.recv()
    process.join(20)
    connection.close()
    assert before, "there was room for some"
    assert set(refusals) == {"StorageFailed"}
    assert len(after) == 3
    assert reads_on_record(home) >= reads + 1
    found = patients_of_whole_transactions(home / "backbridge.sqlite")
    assert found == set(patient_keys([*before, *after]))


def reads_on_record(home: Path) -> int:
    connection = sqlite3.connect(home / "audit.sqlite")
    try:
        count: int = connection.execute("SELECT count(*) FROM read_audit").fetchone()[0]
        return count
    finally:
        connection.close()
