"""The processes that the fault tests start, kill and starve; each runs a real store on the files of `home`.

A store process forks from a server that has imported everything already, so that a round takes a moment, not seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from gateway.r4.identity import new_id
from gateway.settings import Settings
from gateway.store.changes import Change, Create
from gateway.store.database import Database
from gateway.store.errors import StorageFailed, StoreError
from gateway.store.postgresql.database import PostgreSQLDatabase
from gateway.store.sqlite import SQLiteDatabase
from gateway.store.store import Store
from tests.store.actors import OPEN, create, observation, person, search, update

TASKS = 8
OBSERVATIONS = 3

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.faults.process", "tests.faults.warm"])

Work = Callable[..., Coroutine[Any, Any, None]]


def started(work: Work, *arguments: Any) -> tuple[BaseProcess, Connection]:
    """A process that does the work and tells about it through the connection; it dies with its parent's end."""
    here, there = _forks.Pipe()
    process = _forks.Process(target=_run, args=(work, there, arguments), daemon=True)
    process.start()
    there.close()
    return process, here


def _run(work: Work, connection: Connection, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(work(connection, *arguments))


@asynccontextmanager
async def opened(home: Path, synchronous: str = "FULL", **options: Any) -> AsyncIterator[Store]:
    """A running store on the database of `home`, as the gateway opens it: files, or what a file there names."""
    url = home / "database.url"
    database: Database
    if url.exists():
        database = PostgreSQLDatabase(url.read_text())
    else:
        database = SQLiteDatabase(home / "backbridge.sqlite", synchronous=synchronous)
    store = Store(database, settings=Settings(home=home, **options))
    await store.start()
    try:
        yield store
    finally:
        await store.stop()
        database.close()


def registration() -> tuple[list[str], list[Change]]:
    """One transaction: a patient, some observations and one answered questionnaire; the ids come first."""
    ids = [new_id() for _ in range(OBSERVATIONS + 2)]
    whose = {"reference": f"Patient/{ids[0]}"}
    answers = {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": whose}
    resources = [person(), answers, *(observation(ids[0]) for _ in range(OBSERVATIONS))]
    changes: list[Change] = [
        Create(each["resourceType"], each, create(each).raw, id=logical_id)
        for each, logical_id in zip(resources, ids, strict=True)
    ]
    return ids, changes


# -- what the processes do -----------------------------------------------------------------------------------


async def register_for_ever(connection: Connection, home: Path) -> None:
    """Tells the ids of each transaction once it is acknowledged, until it is killed."""

    async def register(store: Store) -> None:
        while True:
            ids, changes = registration()
            await store.commit(OPEN, changes)
            connection.send(ids)

    async with opened(home) as store:
        await asyncio.gather(*(register(store) for _ in range(TASKS)))


async def create_on_condition(connection: Connection, home: Path, times: int) -> None:
    """Waits for the word, then makes the same conditional create so many times at once."""
    someone = person(identifier=[{"system": "urn:test", "value": "1"}])
    condition = search("Patient", "identifier=urn:test|1")
    async with opened(home) as store:
        connection.send("ready")
        connection.recv()
        made = await asyncio.gather(*(store.commit(OPEN, [create(someone, condition=condition)]) for _ in range(times)))
        connection.send([(each[0].outcome, each[0].version.id) for each in made])


async def update_version_one(connection: Connection, home: Path, logical_id: str, names: list[str]) -> None:
    """Waits for the word, then updates version 1 under each of the names at once."""
    async with opened(home) as store:
        connection.send("ready")
        connection.recv()
        results = await asyncio.gather(
            *(store.commit(OPEN, [update(logical_id, person(name), if_match=1)]) for name in names),
            return_exceptions=True,
        )
        connection.send([type(each).__name__ for each in results])


async def write_for(connection: Connection, home: Path, seconds: float) -> None:
    """Waits for the word, then writes from all tasks for so long, and tells how many commits it had."""

    async def write(store: Store, until: float) -> int:
        for number in itertools.count():
            if time.monotonic() > until:
                return number
            await store.commit(OPEN, [create(person())])
        raise AssertionError

    async with opened(home) as store:
        connection.send("ready")
        connection.recv()
        until = time.monotonic() + seconds
        connection.send(sum(await asyncio.gather(*(write(store, until) for _ in range(TASKS)))))


async def fill_the_disk(connection: Connection, home: Path, room: int, audit_reads: str) -> None:
    """
    Writes until no file may grow further, tries on for a while, gets room again and writes on.

    Tells (acknowledged ids, refusals while full, reads answered until one was refused, ids acknowledged afterwards);
    one more read was answered after that.
    """
    async with opened(home, audit_reads=audit_reads) as store:
        full, free = max(file.stat().st_size for file in home.glob("*.sqlite-wal")), resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (full + room, free))
        before: list[list[str]] = []
        refusals: list[str] = []
        while len(refusals) < 5:
            ids, changes = registration()
            try:
                await store.commit(OPEN, changes)
                before.append(ids)
            except StoreError as refusal:
                refusals.append(type(refusal).__name__)
        reads = 0
        while await is_read(store, before[0][0]):
            reads += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (free, free))
        after = []
        for _ in range(3):
            ids, changes = registration()
            await store.commit(OPEN, changes)
            after.append(ids)
        while not await is_read(store, before[0][0]):
            pass
        connection.send((before, refusals, reads, after))


async def is_read(store: Store, logical_id: str) -> bool:
    """Whether a read is answered, for want of room in the audit log or not."""
    await asyncio.sleep(0.005)
    try:
        await store.read(OPEN, "Patient", logical_id)
    except StorageFailed:
        return False
    return True


async def acknowledge_one_by_one(home: Path, synchronous: str, commits: int) -> None:
    """Writes one transaction after the other, and a line to standard output after each acknowledgement."""
    async with opened(home, synchronous) as store:
        for number in range(commits):
            await store.commit(OPEN, registration()[1])
            os.write(sys.stdout.fileno(), b"acknowledged %d\n" % number)


if __name__ == "__main__":
    asyncio.run(acknowledge_one_by_one(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
