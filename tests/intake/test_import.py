"""`backbridge import`: entry by entry, nothing lost, nothing twice, references kept."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.people import organisations
from gateway.settings import Settings
from gateway.store.sqlite import SQLiteDatabase
from gateway.store.store import now_us
from gateway.work.running import announced, find

JSON = dict[str, Any]
Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings, database: SQLiteDatabase) -> Run:
    """The command on an installation with one organisation."""
    with database.writing() as session:
        organisations.add(session, name="Clinic", now_us=now_us(), organisation_id="clinic")

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["import", "--home", str(settings.home), *map(str, arguments)])

    return run


def stored(database: SQLiteDatabase, kind: str) -> list[JSON]:
    connection = database.connect()
    rows = connection.execute("SELECT h.body FROM resource r JOIN history h ON h.seq = r.head WHERE r.deleted = 0")
    found = [json.loads(row[0]) for row in rows]
    connection.close()
    return [resource for resource in found if resource["resourceType"] == kind]


def ndjson(path: Path, resources: Iterable[JSON | str]) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in resources), "utf-8")
    return path


def person(logical_id: str, **more: Any) -> JSON:
    return {"resourceType": "Patient", "id": logical_id, "name": [{"family": logical_id}], **more}


def condition(logical_id: str, patient: str) -> JSON:
    return {
        "resourceType": "Condition",
        "id": logical_id,
        "code": {"text": "Low back pain"},
        "subject": {"reference": patient},
    }


def test_references_follow_their_resources_whatever_the_order_of_the_file(
    run: Run, database: SQLiteDatabase, tmp_path: Path
) -> None:
    done = run(ndjson(tmp_path / "a.ndjson", [condition("c1", "Patient/p1"), person("p1")]))
    assert done.exit_code == 0, done.output
    [patient], [found] = stored(database, "Patient"), stored(database, "Condition")
    assert found["subject"]["reference"] == f"Patient/{patient['id']}"
    assert patient["id"] != "p1"


def test_a_later_file_knows_the_resources_of_an_earlier_one(run: Run, database: SQLiteDatabase, tmp_path: Path) -> None:
    done = run(
        ndjson(tmp_path / "Patient.ndjson", [person("p1")]),
        ndjson(tmp_path / "Condition.ndjson", [condition("c1", "Patient/p1")]),
    )
    assert done.exit_code == 0, done.output
    assert stored(database, "Condition")[0]["subject"]["reference"] == f"Patient/{stored(database, 'Patient')[0]['id']}"


def test_what_is_wrong_is_named_and_the_rest_goes_in(
    run: Run, database: SQLiteDatabase, settings: Settings, tmp_path: Path
) -> None:
    lines = [person("p1"), person("p2", gender="foo"), "no json", condition("c2", "Patient/p2"), person("p3")]
    done = run(ndjson(tmp_path / "a.ndjson", lines))
    assert done.exit_code == 1
    assert len(stored(database, "Patient")) == 2
    assert "entry 2 (Patient/p2): 422" in done.stderr
    assert "foo" not in done.stderr
    [listed] = (settings.home / "imports").glob("*.errors.ndjson")
    assert sorted(json.loads(line)["entry"] for line in listed.read_text().splitlines()) == [2, 3, 4]


def test_the_same_command_again_sends_only_what_is_missing(run: Run, database: SQLiteDatabase, tmp_path: Path) -> None:
    path = ndjson(tmp_path / "a.ndjson", [person(f"p{n}") for n in range(120)])
    assert run(path).exit_code == 0
    again = run(path)
    assert "120 of them by an earlier run" in again.stdout
    assert len(stored(database, "Patient")) == 120


def test_a_run_that_was_cut_short_is_taken_up_where_it_stopped(
    run: Run, database: SQLiteDatabase, settings: Settings, tmp_path: Path
) -> None:
    path = ndjson(tmp_path / "a.ndjson", [person("p1"), condition("c1", "Patient/p1")])
    assert run(path).exit_code == 0
    [journal] = (settings.home / "imports").glob("*.journal")
    lines = journal.read_text().splitlines()
    journal.write_text(lines[0] + "\n" + lines[1][:7])
    again = run(path)
    assert again.exit_code == 0, again.output
    assert len(stored(database, "Patient")) == 1
    assert {c["subject"]["reference"] for c in stored(database, "Condition")} == {
        f"Patient/{stored(database, 'Patient')[0]['id']}"
    }


@pytest.mark.parametrize("kind", ["collection", "batch", "searchset", "transaction"])
def test_bundles_of_every_kind_are_taken_apart_or_sent_whole(
    run: Run, database: SQLiteDatabase, tmp_path: Path, kind: str
) -> None:
    def entry(resource: JSON) -> JSON:
        full = {"fullUrl": f"urn:uuid:00000000-0000-4000-8000-{resource['id']:0>12}", "resource": resource}
        has_request = kind in ("batch", "transaction")
        return full | ({"request": {"method": "POST", "url": resource["resourceType"]}} if has_request else {})

    patient, found = person("1"), condition("2", "urn:uuid:00000000-0000-4000-8000-000000000001")
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps({"resourceType": "Bundle", "type": kind, "entry": [entry(found), entry(patient)]}))
    done = run(path)
    assert done.exit_code == 0, done.output
    assert stored(database, "Condition")[0]["subject"]["reference"] == f"Patient/{stored(database, 'Patient')[0]['id']}"


def test_numbers_keep_their_digits(run: Run, database: SQLiteDatabase, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text('{"resourceType":"Medication","amount":{"numerator":{"value":1.50},"denominator":{"value":1}}}')
    assert run(path).exit_code == 0
    connection = database.connect()
    [body] = connection.execute("SELECT body FROM history").fetchone()
    connection.close()
    assert b'"value":1.50' in bytes(body)


@pytest.mark.parametrize("content", ["", "hello", "[1]", '{"a": 1}', "\x00"])
def test_a_file_that_is_none_of_these_is_refused_in_one_line(run: Run, tmp_path: Path, content: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(content)
    done = run(path)
    assert done.exit_code == (1 if content else 0)
    assert "Traceback" not in done.output
    assert len(done.stderr.splitlines()) <= 1


def test_health_data_need_a_person(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "export.xml"
    path.write_text("<?xml version='1.0'?><HealthData/>")
    done = run(path)
    assert (done.exit_code, "--patient" in done.stderr) == (1, True)


def test_real_histories_go_in_whole_and_only_once(
    run: Run, database: SQLiteDatabase, shared_data: Path, tmp_path: Path
) -> None:
    with tarfile.open(shared_data / "synthea" / "bundles-shared.tar.xz") as archive:
        smallest = min((m for m in archive.getmembers() if m.isfile()), key=lambda m: m.size)
        archive.extract(smallest, tmp_path, filter="data")
    path = tmp_path / smallest.name
    entries = len(json.loads(path.read_text("utf-8"))["entry"])
    for _ in range(2):
        done = run(path)
        assert done.exit_code == 0, done.output
        assert sum(1 for _ in database.connect().execute("SELECT pk FROM resource")) == entries


def test_a_gateway_announces_itself_while_it_runs(settings: Settings) -> None:
    assert find(settings.home) is None
    with announced(settings.home, "http://127.0.0.1:1"):
        found = find(settings.home)
        assert found is not None
        assert found.url == "http://127.0.0.1:1"
    assert find(settings.home) is None


def test_what_a_killed_gateway_left_behind_is_not_believed(settings: Settings) -> None:
    (settings.home / "gateway.json").write_text('{"url": "http://127.0.0.1:1", "pid": 4194305}')
    assert find(settings.home) is None
