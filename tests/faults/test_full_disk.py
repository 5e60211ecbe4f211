"""A disk without room: a clear refusal, nothing half-written, and work goes on without a restart once there is room."""

from __future__ import annotations

from pathlib import Path

from tests.faults.contents import patient_keys, patients_of_whole_transactions
from tests.faults.process import fill_the_disk, started

ROOM = 400_000


def test_a_full_disk_is_refused_clearly_and_forgotten_when_there_is_room(home: Path) -> None:
    process, connection = started(fill_the_disk, home, ROOM)
    before, refusals, read_refusal, after = connection.recv()
    process.join(20)
    connection.close()
    assert before, "there was room for some"
    assert set(refusals) == {"StorageFailed"}
    assert read_refusal == "StorageFailed", "a read that cannot be recorded is not answered"
    assert len(after) == 3
    found = patients_of_whole_transactions(home / "backbridge.sqlite")
    assert found == set(patient_keys([*before, *after]))
