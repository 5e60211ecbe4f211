"""Import jobs: a file that somebody uploaded waits in the database until the job child has read it.

    uploading → waiting → running → done | failed;  uploading → gone when nobody came back for a day

A job that its child has left behind (crash, power cut) is claimed again when its lease has run out, so reading
a file must be idempotent. Functions take part in their caller's transaction; times are microseconds.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from sqlalchemy import BigInteger, Column, Index, Text, or_
from sqlmodel import Field, Session, SQLModel, col, select

from gateway.r4.identity import new_id

LEASE_US = 60_000_000
_UPLOAD_KEPT_US = 24 * 3_600 * 1_000_000


class State(StrEnum):
    """Where a job is."""

    UPLOADING = "uploading"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


OPEN_STATES = (State.UPLOADING, State.WAITING, State.RUNNING)


class ImportJob(SQLModel, table=True):
    """
    One uploaded file of one patient.

    patient     key of the Patient; patient_id its logical id
    path        the file; it is deleted when the job is done or failed
    kind        what the file is: `apple-health`
    mark        what the browser calls the file (its size and time), so that an upload can be resumed with the same one
    bytes_done  how much of the file the child has read; while uploading, the length of the file says how much arrived
    records     resources made from it so far
    message     the code of a reason for failure, an entry `import.failed.<code>` of the message catalogue
    """

    __tablename__ = "import_job"
    __table_args__ = (Index("import_job_patient", "patient", "created"), Index("import_job_state", "state"))
    id: str = Field(sa_column=Column(Text, primary_key=True))
    patient: int = Field(sa_type=BigInteger)
    patient_id: str = Field(sa_type=Text)
    path: str = Field(sa_type=Text, repr=False)
    kind: str = Field(sa_type=Text)
    mark: str = Field(default="", sa_type=Text)
    state: str = Field(default=State.UPLOADING, sa_type=Text)
    bytes_done: int = Field(default=0, sa_type=BigInteger)
    bytes_total: int = Field(default=0, sa_type=BigInteger)
    records: int = Field(default=0, sa_type=BigInteger)
    message: str = Field(default="", sa_type=Text)
    created: int = Field(sa_type=BigInteger)
    finished: int = Field(default=0, sa_type=BigInteger)
    leased_until: int = Field(default=0, sa_type=BigInteger)

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def arrived(self) -> int:
        """Bytes of the file that are here."""
        path = Path(self.path)
        return path.stat().st_size if path.exists() else 0


def create(
    session: Session,
    *,
    patient: int,
    patient_id: str,
    folder: Path,
    kind: str,
    bytes_total: int,
    now_us: int,
    mark: str = "",
) -> ImportJob:
    """A job that waits for its file; its name tells nothing about the person."""
    job_id = new_id()
    job = ImportJob(
        id=job_id,
        patient=patient,
        patient_id=patient_id,
        path=str(folder / f"{job_id}.part"),
        kind=kind,
        mark=mark,
        bytes_total=bytes_total,
        created=now_us,
    )
    session.add(job)
    session.flush()
    return job


def own(session: Session, patient: int, job_id: str) -> ImportJob | None:
    """The patient's job of this id; somebody else's is None like one that does not exist."""
    mine = select(ImportJob).where(ImportJob.id == job_id, ImportJob.patient == patient)
    return session.exec(mine).first()


def of_patient(session: Session, patient: int, limit: int = 20) -> list[ImportJob]:
    """The patient's latest jobs, newest first."""
    mine = select(ImportJob).where(ImportJob.patient == patient)
    return list(session.exec(mine.order_by(col(ImportJob.created).desc(), col(ImportJob.id).desc()).limit(limit)))


def arrived(session: Session, job: ImportJob) -> None:
    """The whole file is here: the child may claim it."""
    job.state = State.WAITING
    job.bytes_total = job.arrived
    session.add(job)


def has_any(session: Session) -> bool:
    """Whether there is a job that is not over: a look that takes no lock."""
    unfinished = select(ImportJob.id).where(col(ImportJob.state).in_(OPEN_STATES))
    return session.exec(unfinished.limit(1)).first() is not None


def claim(session: Session, now_us: int) -> ImportJob | None:
    """The oldest job that nobody works on, leased to the caller; None when there is none."""
    left_behind = (col(ImportJob.state) == State.RUNNING) & (col(ImportJob.leased_until) <= now_us)
    free = select(ImportJob).where(or_(col(ImportJob.state) == State.WAITING, left_behind))
    oldest_first = free.order_by(col(ImportJob.created), col(ImportJob.id)).limit(1)
    job = session.exec(oldest_first.with_for_update(skip_locked=True)).first()
    if job is not None:
        job.state, job.leased_until = State.RUNNING, now_us + LEASE_US
        job.bytes_done = job.records = 0
        session.add(job)
    return job


def progress(session: Session, job: ImportJob, *, bytes_done: int, records: int, now_us: int) -> bool:
    """Note how far the child is and prolong its lease; False when the job is not its own any more: stop."""
    mine = _mine(session, job)
    if mine is None or mine.state != State.RUNNING:
        return False
    mine.bytes_done, mine.records, mine.leased_until = bytes_done, records, now_us + LEASE_US
    session.add(mine)
    job.leased_until = mine.leased_until
    return True


def finish(session: Session, job: ImportJob, *, records: int, now_us: int, failure: str = "") -> ImportJob | None:
    """
    End a job, well or (with the code of a `failure`) not. Call `discard` on it once this is committed.

    None, and nothing changes, where somebody else has claimed it meanwhile.
    """
    mine = _mine(session, job)
    if mine is None:
        return None
    mine.state = State.FAILED if failure else State.DONE
    mine.records, mine.message, mine.finished = records, failure, now_us
    if not failure:
        mine.bytes_done = mine.bytes_total
    session.add(mine)
    return mine


def _mine(session: Session, job: ImportJob) -> ImportJob | None:
    """The job as it is now, locked, where its lease is still the one that the caller knows."""
    found = session.get(ImportJob, job.id, with_for_update=True)
    return found if found is not None and found.leased_until == job.leased_until else None


def discard(job: ImportJob) -> None:
    """Delete the job's file."""
    Path(job.path).unlink(missing_ok=True)


def abandoned(session: Session, now_us: int) -> list[ImportJob]:
    """Uploads that nobody has continued for a day, taken off the list; `discard` them once this is committed."""
    late = select(ImportJob).where(
        col(ImportJob.state) == State.UPLOADING, ImportJob.created < now_us - _UPLOAD_KEPT_US
    )
    found = list(session.exec(late.with_for_update(skip_locked=True)))
    for job in found:
        session.delete(job)
    return found
