"""Health data from the phone: a file of any size, in pieces that can be resumed, read by the job child (product S5)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from starlette.responses import JSONResponse, Response

from gateway.store.errors import NotFound
from gateway.web.forms import FormTooLarge
from gateway.web.patient.upload_form import FileForm, UploadRefused
from gateway.web.visit import PatientVisit
from gateway.work import jobs
from gateway.work.jobs import ImportJob, State

KIND = "apple-health"
PIECE_BYTES = 4_000_000
_LONGEST_MARK = 64
_TOKEN_HEADER = "x-csrf-token"  # noqa: S105 - the name of a header
# An export is a ZIP archive, or the XML file in it.
_BEGINNINGS = (b"PK\x03\x04", b"<?xml", b"\xef\xbb\xbf<?xml")


async def page(visit: PatientVisit) -> Response:
    """Choose a file; earlier imports below."""
    return await _page(visit)


async def upload(visit: PatientVisit) -> Response:
    """The whole file in one form, for browsers without script: straight to the disk, without progress."""
    form = FileForm(visit.request, _limit(visit) + PIECE_BYTES)
    try:
        token = await form.field("csrf")
        visit.check_form(token)
        job = await _create(visit, 0)
        await form.save("file", Path(job.path), _limit(visit))
    except (UploadRefused, FormTooLarge) as refusal:
        return await _page(visit, "import.failed.too-large" if isinstance(refusal, FormTooLarge) else refusal.key)
    key = await asyncio.to_thread(_accept, visit, job)
    return await _page(visit, key) if key else visit.redirect(f"/import/{job.id}")


async def begin(visit: PatientVisit) -> Response:
    """An upload in pieces: its id, how long a piece may be, and where to go on when the same file was begun before."""
    visit.check_form(visit.request.headers.get(_TOKEN_HEADER, ""))
    total = visit.query("size")
    if not total.isdigit() or not 0 < int(total) <= _limit(visit):
        return _said(visit, "too-large", 413)
    mark = visit.query("mark")[:_LONGEST_MARK]
    try:
        job = await asyncio.to_thread(_begun, visit, int(total), mark) or await _create(visit, int(total), mark)
    except UploadRefused:
        return _said(visit, "one-at-a-time", 409)
    return JSONResponse({"id": job.id, "piece": PIECE_BYTES, "offset": job.arrived}, status_code=201)


async def piece(visit: PatientVisit) -> Response:
    """Append a piece at `offset`; 409 with the right offset where that is not where the file ends."""
    visit.check_form(visit.request.headers.get(_TOKEN_HEADER, ""))
    job = await _own(visit)
    if job.state != State.UPLOADING or visit.query("offset") != str(job.arrived):
        return JSONResponse({"offset": job.arrived}, status_code=409)
    body = bytearray()
    async for chunk in visit.request.stream():
        body += chunk
        if len(body) > PIECE_BYTES or job.arrived + len(body) > job.bytes_total:
            return _said(visit, "too-large", 413)
    await asyncio.to_thread(_append, Path(job.path), bytes(body))
    if job.arrived == job.bytes_total:
        key = await asyncio.to_thread(_accept, visit, job)
        if key:
            return _said(visit, key.removeprefix("import.failed."), 422)
    return JSONResponse({"offset": min(job.arrived, job.bytes_total)})


async def status(visit: PatientVisit) -> Response:
    """How far a job is, for the page that polls it."""
    job = await _own(visit)
    return JSONResponse(
        {
            "state": job.state,
            "offset": job.arrived if job.state == State.UPLOADING else job.bytes_total,
            "done": job.bytes_done,
            "total": job.bytes_total,
            "records": job.records,
            "words": _words(visit, job),
        }
    )


async def show(visit: PatientVisit) -> Response:
    """One job."""
    job = await _own(visit)
    return visit.page("patient/import_job.html", {"job": job, "words": _words(visit, job)})


async def _page(visit: PatientVisit, error: str = "") -> Response:
    found = await asyncio.to_thread(_listed, visit)
    values = {
        "jobs": [(job, _words(visit, job)) for job in found],
        "most": visit.messages.number(_limit(visit) // 1_000_000_000),
        "errors": {"file": error} if error else {},
    }
    return visit.page("patient/import.html", values, status=422 if error else 200)


def _words(visit: PatientVisit, job: ImportJob) -> str:
    if job.state == State.FAILED:
        key = f"import.failed.{job.message}"
        return visit.messages(key if visit.messages.has(key) else "import.failed.other")
    return visit.messages(f"import.state.{job.state}", records=visit.messages.number(job.records))


def _begun(visit: PatientVisit, total: int, mark: str) -> ImportJob | None:
    """The unfinished upload of the same file."""
    with visit.site.database.reading() as session:
        own = jobs.of_patient(session, visit.patient_key)
    same = (job for job in own if job.state == State.UPLOADING and (job.bytes_total, job.mark) == (total, mark))
    return next(same, None)


async def _create(visit: PatientVisit, total: int, mark: str = "") -> ImportJob:
    return await asyncio.to_thread(_created, visit, total, mark)


def _created(visit: PatientVisit, total: int, mark: str) -> ImportJob:
    """One open import a person: a disk is not for filling. What was never finished makes room."""
    folder = visit.site.settings.home / "imports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with visit.site.database.adding() as session:
        late = jobs.abandoned(session, visit.now_us)
        open_jobs = [job for job in jobs.of_patient(session, visit.patient_key) if job.is_open and job not in late]
        unfinished = [job for job in open_jobs if job.state == State.UPLOADING]
        if len(open_jobs) > len(unfinished):
            raise UploadRefused("import.failed.one-at-a-time")
        for job in unfinished:
            session.delete(job)
        made = jobs.create(
            session,
            patient=visit.patient_key,
            patient_id=visit.patient_id,
            folder=folder,
            kind=KIND,
            bytes_total=total,
            mark=mark,
            now_us=visit.now_us,
        )
    for job in (*late, *unfinished):
        jobs.discard(job)
    return made


def _accept(visit: PatientVisit, job: ImportJob) -> str:
    """Hand the file to the job child; the key of a message when it is no export at all."""
    path = Path(job.path)
    with path.open("rb") as file:
        is_export = file.read(8).startswith(_BEGINNINGS)
        os.fsync(file.fileno())
    with visit.site.database.working() as session:
        found = session.get_one(ImportJob, job.id)
        if is_export:
            jobs.arrived(session, found)
        else:
            jobs.finish(session, job, records=0, now_us=visit.now_us, failure="not-an-export")
    if not is_export:
        jobs.discard(job)
    return "" if is_export else "import.failed.not-an-export"


def _append(path: Path, body: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        file.write(body)


async def _own(visit: PatientVisit) -> ImportJob:
    job = await asyncio.to_thread(_found, visit)
    if job is None:
        raise NotFound
    return job


def _found(visit: PatientVisit) -> ImportJob | None:
    with visit.site.database.reading() as session:
        return jobs.own(session, visit.patient_key, visit.path("job"))


def _listed(visit: PatientVisit) -> list[ImportJob]:
    with visit.site.database.reading() as session:
        return jobs.of_patient(session, visit.patient_key)


def _limit(visit: PatientVisit) -> int:
    return visit.site.settings.max_import_bytes


def _said(visit: PatientVisit, code: str, status: int) -> Response:
    return JSONResponse({"words": visit.messages(f"import.failed.{code}")}, status_code=status)
