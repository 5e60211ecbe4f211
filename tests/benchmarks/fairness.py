"""
Fairness among the writers of one SQLite file: `python -m tests.benchmarks.fairness [--seconds 10]`.

A gateway, a job child and a command line write at once, each as fast as it can, in processes of their own:

    gateway   16 callers create Patients through the store, which commits for many at a time
    job       asks for work, leases it and settles it, as gateway/work/worker.py does
    command   mints tokens, as `backbridge token` does

Reported for each: turns at writing, their share, and how long a turn was waited for. Twice: with the lock of
gateway/store/sqlite.py, and with the same lock without its turnstile, which whoever comes first may take.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import multiprocessing
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from gateway.access import AccessContext
from gateway.people.local_token import local_token
from gateway.settings import Settings
from gateway.store import migrations, outbox
from gateway.store.changes import Create
from gateway.store.sqlite import SQLiteDatabase, WritersLock
from gateway.store.store import Store, now_us
from gateway.work import orders

CALLERS = 16
PERSON = {"resourceType": "Patient", "name": [{"family": "Sand"}]}
OPEN = AccessContext(actors=(), agent="Device/bench", client="bench", activity="bench", request_id="b", bypass=True)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one writer got."""

    writer: str
    turns: int
    share: float
    p50_ms: float
    p99_ms: float
    longest_ms: float


class TimedLock(WritersLock):
    """Notes how long each turn was waited for; without `turnstile` the lock is whoever's who comes first."""

    def __init__(self, path: Path, *, turnstile: bool) -> None:
        super().__init__(path)
        self.waits: list[float] = []
        self._has_turnstile = turnstile

    @contextmanager
    def held(self) -> Iterator[None]:
        asked = time.perf_counter()
        with super().held():
            self.waits.append(time.perf_counter() - asked)
            yield

    @asynccontextmanager
    async def held_by_loop(self, waiting: Executor) -> AsyncIterator[None]:
        asked = time.perf_counter()
        async with super().held_by_loop(waiting):
            self.waits.append(time.perf_counter() - asked)
            yield

    def _acquire(self) -> None:
        if self._has_turnstile:
            return super()._acquire()
        self._threads.acquire()
        fcntl.flock(self._work, fcntl.LOCK_EX)
        return None

    def _try_acquire(self) -> bool:
        if self._has_turnstile:
            return super()._try_acquire()
        if not self._threads.acquire(blocking=False):
            return False
        try:
            fcntl.flock(self._work, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._threads.release()
            return False
        return True


def measured(seconds: float, *, turnstile: bool) -> list[Figures]:
    """All three writers at once on a file of their own."""
    spawning = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        database = SQLiteDatabase(Settings(home=Path(folder)).database_path)
        migrations.upgrade(database)
        database.close()
        together, results = spawning.Barrier(len(WRITERS)), spawning.SimpleQueue()
        arguments = (folder, seconds, turnstile, together, results)
        processes = [spawning.Process(target=_write, args=(writer, *arguments)) for writer in WRITERS]
        for process in processes:
            process.start()
        waits: dict[str, list[float]] = dict(results.get() for _ in processes)
        for process in processes:
            process.join()
    turns = sum(map(len, waits.values()))
    return [_figures(writer, sorted(waits[writer]), turns) for writer in WRITERS]


def _figures(writer: str, waits: list[float], turns: int) -> Figures:
    def at(quantile: float) -> float:
        return round(1000 * waits[min(len(waits) - 1, int(quantile * len(waits)))], 2)

    return Figures(writer, len(waits), round(len(waits) / turns, 3), at(0.5), at(0.99), at(1.0))


def _write(writer: str, home: str, seconds: float, turnstile: bool, together: Barrier, results: Any) -> None:
    settings = Settings(home=Path(home))
    database = SQLiteDatabase(settings.database_path)
    lock = TimedLock(settings.database_path.with_name("bench.lock"), turnstile=turnstile)
    database.lock.close()
    database.lock = lock
    WRITERS[writer](database, settings, together, seconds)
    database.close()
    results.put((writer, lock.waits))


def _gateway(database: SQLiteDatabase, settings: Settings, together: Barrier, seconds: float) -> None:
    async def create(store: Store, until: float) -> None:
        while time.monotonic() < until:
            await store.commit(OPEN, [Create("Patient", PERSON, json.dumps(PERSON))])

    async def run() -> None:
        store = Store(database, settings=settings)
        await store.start()
        await asyncio.to_thread(together.wait)
        until = time.monotonic() + seconds
        await asyncio.gather(*(create(store, until) for _ in range(CALLERS)))
        await store.stop()

    asyncio.run(run())


def _job(database: SQLiteDatabase, _: Settings, together: Barrier, seconds: float) -> None:
    together.wait()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with database.working() as session:
            orders.ask(session, "bench", patient=1, resource_type="Patient", logical_id="1", now_us=now_us())
        with database.working() as session:
            leased = outbox.lease(session, now_us(), limit=1)
        with database.working() as session:
            for work in leased:
                outbox.done(session, work)


def _command(database: SQLiteDatabase, _: Settings, together: Barrier, seconds: float) -> None:
    together.wait()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        local_token(database, scope="system/*.rs", organization="Organization/bench", now_us=now_us())


WRITERS: dict[str, Callable[[SQLiteDatabase, Settings, Barrier, float], None]] = {
    "gateway": _gateway,
    "job": _job,
    "command": _command,
}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=float, default=10.0)
    seconds = asked.parse_args().seconds
    for turnstile in (True, False):
        print("with the turnstile" if turnstile else "without it", flush=True)
        for found in measured(seconds, turnstile=turnstile):
            print("  " + "  ".join(f"{name} {value}" for name, value in asdict(found).items()), flush=True)


if __name__ == "__main__":
    main()
