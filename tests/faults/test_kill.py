"""kill -9 under load: what was acknowledged is there, what was not is there whole or not at all."""

from __future__ import annotations

import asyncio
import random
import time
from multiprocessing.connection import Connection
from pathlib import Path

from tests.faults.contents import patient_keys, patients_of_whole_transactions
from tests.faults.process import opened, register_for_ever, registration, started
from tests.store.actors import OPEN, search

ROUNDS = 10
SECONDS = 40.0
LONGEST_LIFE = 0.8


def test_nothing_acknowledged_is_lost_and_nothing_is_half_there_after_kill_9(home: Path) -> None:
    rng = random.Random(9)
    acknowledged: list[list[str]] = []
    started_at = time.monotonic()
    rounds = 0
    while rounds < ROUNDS and time.monotonic() - started_at < SECONDS:
        acknowledged += killed_after(rng.uniform(0.0, LONGEST_LIFE), home)
        assert patients_of_whole_transactions(home / "backbridge.sqlite") >= set(patient_keys(acknowledged))
        rounds += 1
    assert rounds >= 3
    assert len(acknowledged) > 20
    asyncio.run(reads_and_writes_again(home, acknowledged))


def killed_after(seconds: float, home: Path) -> list[list[str]]:
    """Let a process write for a while from its first acknowledgement on; returns all that it acknowledged."""
    process, connection = started(register_for_ever, home)
    acknowledged = [connection.recv()]
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and connection.poll(left):
        acknowledged.append(connection.recv())
    process.kill()
    acknowledged += rest(connection)
    process.join()
    return acknowledged


def rest(connection: Connection) -> list[list[str]]:
    """What was still under way in the pipe; the last word may have been cut off."""
    found = []
    try:
        while True:
            found.append(connection.recv())
    except (EOFError, ConnectionResetError):
        connection.close()
        return found


async def reads_and_writes_again(home: Path, acknowledged: list[list[str]]) -> None:
    async with opened(home) as store:
        for ids in acknowledged[:: max(1, len(acknowledged) // 20)]:
            page = await store.search(OPEN, search("Observation", f"subject=Patient/{ids[0]}"))
            assert {match.id for match in page.matches} == set(ids[2:])
        ids, changes = registration()
        await store.commit(OPEN, changes)
        assert (await store.read(OPEN, "Patient", ids[0])).version == 1
