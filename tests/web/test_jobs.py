"""The queue of import jobs: claimed once, claimed again when left behind, forgotten when abandoned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from gateway.store.sqlite import SQLiteDatabase
from gateway.work import jobs


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SQLiteDatabase]:
    """An empty database."""
    made = SQLiteDatabase(tmp_path / "backbridge.sqlite")
    SQLModel.metadata.create_all(made.engine)
    yield made
    made.close()


def test_a_job_left_behind_by_a_dead_child_is_claimed_again(database: SQLiteDatabase, tmp_path: Path) -> None:
    with database.writing() as session:
        made = jobs.create(
            session, patient=1, patient_id="a", folder=tmp_path, kind="apple-health", bytes_total=3, now_us=0
        )
        Path(made.path).write_bytes(b"abc")
        jobs.arrived(session, made)
    with database.writing() as session:
        first = jobs.claim(session, 10)
        assert first is not None
        assert first.id == made.id
        assert jobs.claim(session, 11) is None
        assert jobs.claim(session, 10 + jobs.LEASE_US) is not None


def test_an_upload_that_nobody_continues_for_a_day_is_forgotten(database: SQLiteDatabase, tmp_path: Path) -> None:
    with database.writing() as session:
        made = jobs.create(
            session, patient=1, patient_id="a", folder=tmp_path, kind="apple-health", bytes_total=3, now_us=0
        )
        assert jobs.abandoned(session, 3_600_000_000) == []
        assert [job.id for job in jobs.abandoned(session, 25 * 3_600_000_000)] == [made.id]


def test_a_job_that_has_ended_takes_no_more_progress(database: SQLiteDatabase, tmp_path: Path) -> None:
    with database.writing() as session:
        made = jobs.create(
            session, patient=1, patient_id="a", folder=tmp_path, kind="apple-health", bytes_total=3, now_us=0
        )
        jobs.arrived(session, made)
        assert jobs.claim(session, 1) is not None
        jobs.finish(session, made, records=0, now_us=2, failure="not-an-export")
        assert not jobs.progress(session, made, bytes_done=1, records=1, now_us=3)
        assert jobs.claim(session, 4) is None
