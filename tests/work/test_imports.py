"""A file of health data becomes days of steps; reading it again changes nothing."""

from __future__ import annotations

import shutil
import threading
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.work import imports, jobs
from gateway.work.jobs import ImportJob, State
from gateway.work.worker import Worker
from tests.sensors.synthetic_export import write_export
from tests.store.actors import clinic
from tests.work.people import Person

pytestmark = pytest.mark.anyio

FIRST_DAY = date(2026, 3, 1)


def uploaded(anna: Person, export: Path) -> ImportJob:
    """A job that waits, as the upload page leaves it."""
    workplace = anna.workplace
    with workplace.database.writing() as session:
        job = jobs.create(
            session,
            patient=anna.key,
            patient_id=anna.id,
            folder=workplace.settings.home,
            kind="apple-health",
            bytes_total=0,
            now_us=workplace.store.clock(),
        )
        shutil.copy(export, job.path)
        jobs.arrived(session, job)
    return job


async def read(anna: Person, export: Path) -> ImportJob:
    """Upload a file and let the child read it; the job afterwards."""
    job = uploaded(anna, export)
    assert await imports.next_job(anna.workplace, threading.Event())
    return seen(anna, job.id)


def seen(anna: Person, job_id: str) -> ImportJob:
    with anna.workplace.database.reading() as session:
        return session.get_one(ImportJob, job_id)


async def steps(anna: Person) -> list[dict[str, Any]]:
    return await anna.sees(f"Observation?subject={anna.reference}&code=41950-7&_sort=date")


def export(folder: Path, days: int, name: str = "export.zip") -> tuple[Path, dict[date, int]]:
    path = folder / name
    return path, write_export(path, days=days, seed=7, start=FIRST_DAY, heart_rates_per_day=2)


async def test_an_export_becomes_one_observation_a_day_and_the_file_is_deleted(anna: Person, tmp_path: Path) -> None:
    path, truth = export(tmp_path, 120)
    job = await read(anna, path)
    found = await steps(anna)
    assert {date.fromisoformat(o["effectiveDateTime"]): o["valueQuantity"]["value"] for o in found} == pytest.approx(
        truth, rel=0.05
    )
    assert (job.state, job.records, job.bytes_done) == (State.DONE, len(truth), job.bytes_total)
    assert not Path(job.path).exists()


async def test_importing_twice_changes_nothing(anna: Person, tmp_path: Path) -> None:
    path, _ = export(tmp_path, 30)
    await read(anna, path)
    before = await steps(anna)
    job = await read(anna, path)
    assert (job.state, job.records) == (State.DONE, 0)
    assert await steps(anna) == before


async def test_a_later_export_adds_its_days_and_settles_what_was_preliminary(anna: Person, tmp_path: Path) -> None:
    await read(anna, export(tmp_path, 10)[0])
    first = {o["effectiveDateTime"]: o for o in await steps(anna)}
    await read(anna, export(tmp_path, 14, "later.zip")[0])
    later = {o["effectiveDateTime"]: o for o in await steps(anna)}
    assert len(later) == 14
    preliminary = {day for day, o in first.items() if o["status"] == "preliminary"}
    assert preliminary
    assert {later[day]["status"] for day in preliminary} == {"final"}
    assert {day for day in first if later[day] != first[day]} == preliminary


async def test_an_earlier_export_never_takes_back_what_a_later_one_said(anna: Person, tmp_path: Path) -> None:
    await read(anna, export(tmp_path, 14)[0])
    before = await steps(anna)
    await read(anna, export(tmp_path, 10, "earlier.zip")[0])
    assert await steps(anna) == before


async def test_a_settled_day_whose_total_changes_is_amended(anna: Person, tmp_path: Path) -> None:
    whole, _ = export(tmp_path, 20)
    phone = tmp_path / "phone.zip"
    write_export(phone, days=20, seed=7, start=FIRST_DAY, sources=("phone",), heart_rates_per_day=0)
    await read(anna, phone)
    before = {o["effectiveDateTime"]: o for o in await steps(anna)}
    await read(anna, whole)
    after = {o["effectiveDateTime"]: o for o in await steps(anna)}
    changed = {day for day in before if after[day]["meta"]["versionId"] == "2" and before[day]["status"] == "final"}
    assert changed
    assert {after[day]["status"] for day in changed} == {"amended"}


async def test_an_import_brings_the_draft_of_the_week_up_to_date(anna: Person, worker: Worker, tmp_path: Path) -> None:
    await anna.answers_baseline()
    await worker.work_off()
    path = tmp_path / "recent.zip"
    start = anna.workplace.now().date() - timedelta(days=30)
    write_export(path, days=30, seed=3, start=start, heart_rates_per_day=0)
    await read(anna, path)
    await worker.work_off()
    [plan] = await anna.plans()
    assert plan["meta"]["versionId"] == "2"
    reasons = {r["coding"][0]["code"] for r in plan["activity"][0]["detail"]["reasonCode"]}
    assert "step.first-week" not in reasons


@pytest.mark.parametrize(
    ("content", "reason"), [(b"hello", "not-an-export"), (b"<?xml version='1.0'?><HealthData>", "damaged")]
)
async def test_a_file_that_cannot_be_read_says_why_and_is_deleted(
    anna: Person, tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "export.xml"
    path.write_bytes(content)
    job = await read(anna, path)
    assert (job.state, job.message) == (State.FAILED, reason)
    assert not Path(job.path).exists()


async def test_a_job_that_a_crash_left_behind_is_read_again(
    anna: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, truth = export(tmp_path, 10)
    job = uploaded(anna, path)
    stopping = threading.Event()
    stopping.set()
    assert await imports.next_job(anna.workplace, stopping)
    assert seen(anna, job.id).state == State.RUNNING
    assert not await imports.next_job(anna.workplace, threading.Event())
    clock = anna.workplace.store.clock
    monkeypatch.setattr(anna.workplace.store, "clock", lambda: clock() + jobs.LEASE_US + 1)
    assert await imports.next_job(anna.workplace, threading.Event())
    assert len(await steps(anna)) == len(truth)


async def test_steps_are_the_patients_own_until_shared(anna: Person, tmp_path: Path) -> None:
    await read(anna, export(tmp_path, 5)[0])
    assert await anna.sees("Observation?code=41950-7", clinic()) == []
    await anna.shares("sensor")
    assert len(await anna.sees("Observation?code=41950-7", clinic())) == 5
