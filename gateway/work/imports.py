"""Files of health data that patients uploaded: read, summarised by day, committed, deleted (product S5).

Reading the same file twice changes nothing, so a job that a crash interrupted is simply read again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

from sqlmodel import Session

from gateway.access import AccessContext, Purpose
from gateway.people.authenticate import SELF_MANAGEMENT
from gateway.store.changes import Change
from gateway.store.errors import Busy, StorageFailed, StoreError
from gateway.work import jobs, orders, planning
from gateway.work.jobs import ImportJob
from gateway.work.records import labelled_like
from gateway.work.step_days import day_changes, stored_days
from gateway.work.workplace import Workplace
from sensors import days as daily
from sensors.errors import (
    DamagedExport,
    EncryptedExport,
    ExportTooLarge,
    NotAnExport,
    SensorError,
)
from sensors.importers import apple_health
from sensors.observations import daily_steps

JSON = dict[str, Any]

# Resources of one transaction: long enough to share an fsync, short enough to let other writers in.
CHUNK = 100
_PROGRESS_EVERY = timedelta(milliseconds=500)

# Codes of failure, as in the message catalogue: the first class that fits counts.
FAILURES: Sequence[tuple[type[Exception], str]] = (
    (EncryptedExport, "encrypted"),
    (ExportTooLarge, "too-large"),
    (DamagedExport, "damaged"),
    (NotAnExport, "not-an-export"),
    (SensorError, "unreadable"),
    (OSError, "missing"),
    (StoreError, "not-stored"),
)

_log = logging.getLogger(__name__)


class Stopped(Exception):
    """The child has to end, or the job was taken away; what was read so far is read again by the next one."""


async def next_job(workplace: Workplace, stopping: threading.Event) -> bool:
    """Take the oldest waiting job and see it through; False when there is none."""
    given_up, job = await asyncio.to_thread(_claimed, workplace)
    for each in given_up:
        jobs.discard(each)
    if job is None:
        return False
    try:
        await run(workplace, job, stopping)
    except (Stopped, Busy, StorageFailed):
        # The lease runs out and the job is claimed again.
        _log.warning("import.interrupted", extra={"job": job.id})
    return True


async def run(workplace: Workplace, job: ImportJob, stopping: threading.Event) -> None:
    """
    Read the file of a claimed job and commit its days; then the job is done or failed, and the file is gone.

    raises  Stopped; Busy, StorageFailed where nothing can be stored at present
    """
    records, failure = 0, ""
    try:
        found = await asyncio.to_thread(_read, workplace, job, stopping)
        records = await _commit(workplace, job, found, stopping)
    except (Busy, StorageFailed):
        raise
    except tuple(kind for kind, _ in FAILURES) as refused:
        failure = next(code for kind, code in FAILURES if isinstance(refused, kind))
        _log.warning("import.failed", extra={"job": job.id, "error": type(refused).__name__})
    ended = await asyncio.to_thread(_finished, workplace, job, records, failure)
    if ended is not None:
        jobs.discard(ended)


def _claimed(workplace: Workplace) -> tuple[list[ImportJob], ImportJob | None]:
    """The jobs that nobody will finish, and the oldest that waits."""
    with workplace.database.reading() as session:
        if not jobs.has_any(session):
            return [], None
    with workplace.database.working() as session:
        given_up = jobs.abandoned(session, workplace.store.clock())
        return given_up, jobs.claim(session, workplace.store.clock())


def _finished(workplace: Workplace, job: ImportJob, records: int, failure: str) -> ImportJob | None:
    with workplace.database.working() as session:
        now_us = workplace.store.clock()
        ended = jobs.finish(session, job, records=records, now_us=now_us, failure=failure)
        if records and ended is not None:
            _ask_for_plan(session, job, now_us)
        return ended


def _ask_for_plan(session: Session, job: ImportJob, now_us: int) -> None:
    """Steps change the plan that is drafted; it is made in its turn, after the answers that wait already."""
    orders.ask(
        session,
        planning.REPLAN,
        patient=job.patient,
        resource_type="Patient",
        logical_id=job.patient_id,
        now_us=now_us,
    )


def patient_context(job: ImportJob) -> AccessContext:
    """The patient, whose upload this is."""
    return AccessContext(
        actors=(job.patient,),
        agent=f"Patient/{job.patient_id}",
        client="worker",
        activity=SELF_MANAGEMENT,
        request_id=f"import-{job.id}",
        purpose=Purpose.PATRQT,
        subject=job.patient,
    )


def _read(workplace: Workplace, job: ImportJob, stopping: threading.Event) -> list[JSON]:
    """The days of the file as Observations. Runs in a thread of its own: reading takes minutes for a large export."""
    last = workplace.now()

    def progress(done: int, total: int, records: int) -> None:
        nonlocal last
        if stopping.is_set():
            raise Stopped
        if workplace.now() - last >= _PROGRESS_EVERY:
            last = workplace.now()
            # The job counts bytes of the packed file; reading counts unpacked ones.
            _note(workplace, job, job.bytes_total * done // max(total, 1), 0)

    found = apple_health.read(job.path, progress=progress)
    summaries = daily.summarise(found, now=workplace.now(), zone=workplace.zone)
    return daily_steps(summaries, patient=f"Patient/{job.patient_id}")


async def _commit(workplace: Workplace, job: ImportJob, days: Sequence[JSON], stopping: threading.Event) -> int:
    """Commit what is new, a chunk at a time; the number of days that changed."""
    store, context = workplace.store, patient_context(job)
    patient = json.loads((await store.read(context, "Patient", job.patient_id)).body or b"{}")
    stored = await stored_days(store, context, f"Patient/{job.patient_id}")
    changes = day_changes(stored, [labelled_like(patient, day) for day in days])
    written = 0
    for chunk in _chunks(changes):
        if stopping.is_set():
            raise Stopped
        await store.commit(context, chunk)
        written += len(chunk)
        await asyncio.to_thread(_note, workplace, job, job.bytes_total, written)
    return written


def _chunks(changes: Iterator[Change]) -> Iterator[list[Change]]:
    while chunk := list(islice(changes, CHUNK)):
        yield chunk


def _note(workplace: Workplace, job: ImportJob, bytes_done: int, records: int) -> None:
    """Say how far we are, which keeps the lease. Stopped where the job is not ours any more."""
    with workplace.database.working() as session:
        now_us = workplace.store.clock()
        if not jobs.progress(session, job, bytes_done=bytes_done, records=records, now_us=now_us):
            raise Stopped
