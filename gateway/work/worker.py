"""The job child: one process beside the gateway that does what commits call for, and reads uploaded files (rule 9)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Mapping

from gateway.observe import logs
from gateway.observe.measures import WORK
from gateway.observe.published import publishing
from gateway.settings import Settings
from gateway.store import migrations, outbox
from gateway.store.database import open_database
from gateway.store.errors import StoreError
from gateway.store.outbox import Work
from gateway.store.store import Store
from gateway.work import imports, planning, reviews, scoring
from gateway.work.engine import publish_engine
from gateway.work.housekeeping import purge_regularly
from gateway.work.published import publish_knowledge
from gateway.work.workplace import Handler, Workplace

HANDLERS: Mapping[str, Handler] = {
    "score": scoring.handle,
    "plan": planning.handle,
    planning.REPLAN: planning.handle_replan,
    reviews.KIND: reviews.handle,
}

IDLE_SECONDS = 0.15
_JOBS_EVERY_SECONDS = 1.0
# Requests go first where there is one core too few.
_NICENESS = 5

_log = logging.getLogger(__name__)


class Worker:
    """Works off the outbox, one piece at a time: what belongs to one patient is done in the order it was written."""

    def __init__(self, workplace: Workplace, handlers: Mapping[str, Handler] = HANDLERS) -> None:
        self._workplace = workplace
        self._handlers = handlers

    async def step(self) -> bool:
        """Do the next piece of work; False when none is due."""
        leased = await asyncio.to_thread(self._lease)
        for work in leased:
            await self._do(work)
        return bool(leased)

    async def work_off(self) -> None:
        """Do everything that is due now."""
        while await self.step():
            pass

    async def _do(self, work: Work) -> None:
        note, began = "", time.perf_counter()
        try:
            await self._handler(work)
        except Exception as failure:  # noqa: BLE001 - whatever goes wrong belongs to this piece of work alone
            # The class only: messages may hold what a resource says.
            note = type(failure).__name__
            event = "work.dead" if work.tries + 1 >= outbox.TRIES_MAX else "work.failed"
            _log.error(event, extra={"work": work.id, "kind": work.kind, "tries": work.tries + 1, "error": note})
        WORK.observe(time.perf_counter() - began, work.kind, "failed" if note else "done")
        await asyncio.to_thread(self._settle, work, note)

    def _lease(self) -> list[Work]:
        with self._workplace.database.reading() as session:
            if not outbox.is_due(session, self._workplace.store.clock()):
                return []
        with self._workplace.database.working() as session:
            return outbox.lease(session, self._workplace.store.clock(), limit=1)

    def _settle(self, work: Work, note: str) -> None:
        with self._workplace.database.working() as session:
            if note:
                settled = outbox.failed(session, work, note, self._workplace.store.clock())
            else:
                settled = outbox.done(session, work)
        if not settled:
            _log.warning("work.taken-over", extra={"work": work.id, "kind": work.kind})

    async def _handler(self, work: Work) -> None:
        handler = self._handlers.get(work.kind)
        if handler is None:
            # Asked for by an earlier version of the gateway; waiting would hold up everything else of this patient.
            _log.warning("work.unknown", extra={"work": work.id, "kind": work.kind})
            return
        await handler(self._workplace, work)


def run(settings: Settings, parent: int | None) -> None:
    """Work until SIGTERM, or until the parent is gone; what has been begun is finished first."""
    logs.configure("worker", level=settings.log_level, form=settings.log_format)
    os.nice(_NICENESS)
    with publishing(settings.home, "worker") if settings.has_metrics else contextlib.nullcontext():
        asyncio.run(_run(settings, parent))


async def _run(settings: Settings, parent: int | None) -> None:
    stopping = _stopping_on_signals()
    database = open_database(settings)
    migrations.make_ready(database)
    store = Store(database, settings=settings)
    await store.start()
    try:
        workplace = Workplace(database, store, settings)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_watch(parent, stopping))
            tasks.create_task(_outbox(workplace, stopping))
            tasks.create_task(_imports(workplace, stopping))
            tasks.create_task(purge_regularly(workplace, stopping))
    finally:
        await store.stop()
        database.close()


def _stopping_on_signals() -> threading.Event:
    """Set by SIGTERM and by Ctrl-C, which a terminal sends to the whole group."""
    stopping = threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


async def _watch(parent: int | None, stopping: threading.Event) -> None:
    """A gateway that was killed cannot stop its child; whoever has lost its parent stops by itself."""
    while not stopping.is_set():
        if parent is not None and os.getppid() != parent:
            stopping.set()
        await asyncio.sleep(IDLE_SECONDS)


async def _outbox(workplace: Workplace, stopping: threading.Event) -> None:
    worker = Worker(workplace)
    await publish_engine(workplace.store)
    await publish_knowledge(workplace.store)
    if workplace.settings.demo:
        await _demonstration(workplace, worker, stopping)
    while not stopping.is_set():
        if not await worker.step():
            await asyncio.sleep(IDLE_SECONDS)


async def _demonstration(workplace: Workplace, worker: Worker, stopping: threading.Event) -> None:
    """Load the invented clinic; whatever visitors ask for meanwhile is done in between."""
    from gateway.demo.load import load

    try:
        async for _ in load(workplace):
            await worker.work_off()
            if stopping.is_set():
                return
    except StoreError as refused:
        _log.error("demo.failed", extra={"error": type(refused).__name__})


async def _imports(workplace: Workplace, stopping: threading.Event) -> None:
    while not stopping.is_set():
        if not await imports.next_job(workplace, stopping):
            await asyncio.sleep(_JOBS_EVERY_SECONDS)
