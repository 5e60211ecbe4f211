"""Uploading an export: in pieces that can be resumed, or whole in one form; nobody else's, never too large."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from gateway.work import jobs
from gateway.work.jobs import ImportJob, State
from tests.web.browser import Browser
from tests.web.installation import Installation

XML = b'<?xml version="1.0"?><HealthData locale="en_GB"></HealthData>' + b" " * 5_000


def archive() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("apple_health_export/export.xml", XML)
    return made.getvalue()


def token(patient: Browser) -> dict[str, str]:
    return {"X-CSRF-Token": patient.open("/import").form("/import").data()["csrf"][0]}


def begin(patient: Browser, size: int, mark: str = "a") -> dict[str, object]:
    answer = patient.client.post(f"/import/pieces?size={size}&mark={mark}", headers=token(patient))
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


def the_jobs(installation: Installation, patient_id: str) -> list[ImportJob]:
    with installation.database.reading() as session:
        return jobs.of_patient(session, installation.key(patient_id))


def test_a_file_in_pieces_arrives_whole_and_waits_for_the_job_child(
    installation: Installation, patient: Browser, patient_id: str
) -> None:
    content = archive()
    job = begin(patient, len(content))
    headers = token(patient)
    for start in range(0, len(content), 200):
        piece = content[start : start + 200]
        answer = patient.client.put(f"/import/{job['id']}/pieces?offset={start}", content=piece, headers=headers)
        assert answer.json()["offset"] == start + len(piece)
    (stored,) = the_jobs(installation, patient_id)
    assert stored.state == State.WAITING
    assert Path(stored.path).read_bytes() == content
    assert stat.S_IMODE(Path(stored.path).stat().st_mode) == 0o600
    assert "waits to be read" in patient.open(f"/import/{stored.id}").text


def test_a_piece_that_was_sent_twice_is_not_stored_twice(patient: Browser) -> None:
    job = begin(patient, len(XML))
    headers = token(patient)
    for _ in range(2):
        answer = patient.client.put(f"/import/{job['id']}/pieces?offset=0", content=XML[:100], headers=headers)
    assert answer.status_code == 409
    assert answer.json() == {"offset": 100}


def test_the_same_file_chosen_again_goes_on_where_it_stopped_and_another_starts_anew(patient: Browser) -> None:
    job = begin(patient, len(XML))
    patient.client.put(f"/import/{job['id']}/pieces?offset=0", content=XML[:100], headers=token(patient))
    assert begin(patient, len(XML)) == {**job, "offset": 100}
    other = begin(patient, len(XML), mark="b")
    assert other["id"] != job["id"]
    assert patient.open(f"/import/{job['id']}").status == 404


def test_without_script_the_whole_form_does_it(installation: Installation, patient: Browser, patient_id: str) -> None:
    data = {name: values[0] for name, values in patient.open("/import").form("/import").data().items()}
    answer = patient.client.post("/import", data=data, files={"file": ("export.zip", archive(), "application/zip")})
    assert answer.status_code == 200
    (stored,) = the_jobs(installation, patient_id)
    assert stored.state == State.WAITING
    assert Path(stored.path).read_bytes() == archive()


def test_a_file_that_is_no_export_is_refused_and_deleted(
    installation: Installation, patient: Browser, patient_id: str
) -> None:
    data = {name: values[0] for name, values in patient.open("/import").form("/import").data().items()}
    answer = patient.client.post("/import", data=data, files={"file": ("cat.jpg", b"\xff\xd8\xff" * 9, "image/jpeg")})
    assert answer.status_code == 422
    assert "not an Apple Health export" in answer.text
    assert all(not Path(job.path).exists() for job in the_jobs(installation, patient_id))


def test_no_file_and_a_forged_form_are_refused(patient: Browser) -> None:
    data = {name: values[0] for name, values in patient.open("/import").form("/import").data().items()}
    empty = patient.client.post("/import", data=data, files={"file": ("", b"", "application/octet-stream")})
    assert empty.status_code == 422
    forged = patient.client.post("/import", data={"csrf": "x"}, files={"file": ("export.zip", archive())})
    assert forged.status_code == 403
    assert patient.client.post("/import/pieces?size=10&mark=a").status_code == 403


@pytest.mark.parametrize("size", ["0", "-1", "ten", "9999999999999"])
def test_a_size_beyond_the_limit_is_refused_before_anything_is_sent(patient: Browser, size: str) -> None:
    assert patient.client.post(f"/import/pieces?size={size}&mark=a", headers=token(patient)).status_code == 413


def test_more_than_was_announced_is_refused(patient: Browser) -> None:
    job = begin(patient, 10)
    answer = patient.client.put(f"/import/{job['id']}/pieces?offset=0", content=XML, headers=token(patient))
    assert answer.status_code == 413


def test_one_file_at_a_time(patient: Browser) -> None:
    job = begin(patient, len(XML))
    patient.client.put(f"/import/{job['id']}/pieces?offset=0", content=XML, headers=token(patient))
    again = patient.client.post("/import/pieces?size=10&mark=b", headers=token(patient))
    assert again.status_code == 409
    assert "still being read" in again.json()["words"]


def test_the_page_follows_the_job_to_its_end(installation: Installation, patient: Browser, patient_id: str) -> None:
    job = begin(patient, len(XML))
    patient.client.put(f"/import/{job['id']}/pieces?offset=0", content=XML, headers=token(patient))
    with installation.database.writing() as session:
        while (claimed := jobs.claim(session, 1)) is not None and claimed.id != job["id"]:
            pass
        assert claimed is not None
        assert jobs.progress(session, claimed, bytes_done=100, records=3, now_us=2)
    status = patient.client.get(f"/import/{job['id']}/status").json()
    assert (status["state"], status["done"], status["records"]) == ("running", 100, 3)
    with installation.database.writing() as session:
        finished = jobs.finish(session, claimed, records=7, now_us=3)
    assert finished is not None
    jobs.discard(finished)
    assert "7 days of steps" in patient.open(f"/import/{job['id']}").text
    assert not Path(finished.path).exists()
