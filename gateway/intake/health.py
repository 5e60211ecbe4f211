"""A health export from the command line: a job as the upload page makes it, read by whoever runs here."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from gateway.r4.identity import LOGICAL_ID, key_of
from gateway.settings import Settings
from gateway.store.database import Database
from gateway.store.store import Store, now_us
from gateway.work import imports, jobs
from gateway.work.jobs import ImportJob, State
from gateway.work.running import find
from gateway.work.workplace import Workplace

Progress = Callable[[int, int], None]
"""(bytes read, bytes in all)"""

_LOOK_SECONDS = 0.2


class NotImported(Exception):
    """The export was not imported."""


async def import_export(
    settings: Settings,
    database: Database,
    path: Path,
    *,
    patient: str | None,
    progress: Progress,
    stopping: threading.Event,
) -> int:
    """
    The number of days that are new or changed. Where a gateway runs, its job child reads the file, else this process.

    patient  `Patient/id`, whose data this is
    raises   NotImported
    """
    job = await asyncio.to_thread(_queued, settings, database, path, _patient_id(patient))
    own = None if find(settings.home) else asyncio.create_task(_read_here(settings, database, stopping))
    while (found := _seen(database, job.id)).is_open and not stopping.is_set():
        progress(found.bytes_done, max(found.bytes_total, 1))
        await asyncio.sleep(_LOOK_SECONDS)
    if own is not None:
        await own
    if found.state == State.FAILED:
        raise NotImported(f"the export was not imported: {found.message}")
    return found.records


def _patient_id(patient: str | None) -> str:
    kind, _, logical_id = (patient or "").partition("/")
    if kind != "Patient" or not LOGICAL_ID.match(logical_id):
        raise NotImported("say whose health data this is: --patient Patient/ID")
    return logical_id


def _queued(settings: Settings, database: Database, path: Path, patient_id: str) -> ImportJob:
    folder = settings.home / "imports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with database.writing() as session:
        job = jobs.create(
            session,
            patient=key_of("Patient", patient_id),
            patient_id=patient_id,
            folder=folder,
            kind="apple-health",
            bytes_total=path.stat().st_size,
            now_us=now_us(),
        )
    shutil.copyfile(path, job.path)
    with database.writing() as session:
        jobs.arrived(session, session.get_one(ImportJob, job.id))
    return job


async def _read_here(settings: Settings, database: Database, stopping: threading.Event) -> None:
    store = Store(database, settings=settings)
    await store.start()
    try:
        while not stopping.is_set() and await imports.next_job(Workplace(database, store, settings), stopping):
            pass
    finally:
        await store.stop()


def _seen(database: Database, job_id: str) -> ImportJob:
    with database.reading() as session:
        return session.get_one(ImportJob, job_id)
