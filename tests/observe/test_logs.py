"""Log lines: one JSON object an event, nothing in it but the fields of the table."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observe.fields import FIELDS, allowed
from gateway.observe.lines import Lines
from gateway.observe.logs import EVENTS, LineHandler
from gateway.observe.measures import LINES_DROPPED
from gateway.observe.requests import Requests, log_to

ROOT = Path(__file__).resolve().parents[2]
OURS = "1f0c9d2ab37e5a60"


class Log:
    """A logger of its own whose lines end in a file."""

    def __init__(self, path: Path, *, as_json: bool = True) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        self.lines = Lines(as_json=as_json, descriptor=self._descriptor)
        self.logger = logging.Logger("somebody.else")
        self.logger.addHandler(LineHandler(self.lines, "gateway"))

    @property
    def text(self) -> str:
        self.lines.flush()
        return self._path.read_text("utf-8")

    @property
    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def close(self) -> None:
        log_to(self.lines, "gateway", "none")
        self.lines.close()
        os.close(self._descriptor)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "log")
    yield log
    log.close()


def test_an_event_of_ours_is_one_json_line_with_its_fields(log: Log) -> None:
    log.logger.error("work.failed", extra={"kind": "plan", "work": 7, "tries": 2, "error": "ValueError"})
    (event,) = log.events
    assert re.fullmatch(FIELDS["time"].form, str(event.pop("time")))
    assert event == {
        "level": "error",
        "event": "work.failed",
        "role": "gateway",
        "pid": os.getpid(),
        "error": "ValueError",
        "kind": "plan",
        "work": 7,
        "tries": 2,
    }


def test_fields_that_are_not_in_the_table_are_dropped(log: Log) -> None:
    log.logger.warning("work.failed", extra={"patient": "Patient/1", "body": "{}", "kind": "plan"})
    (event,) = log.events
    assert set(event) == {"time", "level", "event", "role", "pid", "kind"}


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("route", "/fhir/Patient/Anna Sand"),
        ("route", "/today?name=sand"),
        ("client", "anna@example.org"),
        ("error", "ValueError: Anna Sand"),
        ("kind", "Anna Sand"),
        ("place", "Anna said 7"),
        ("request_id", "9434765919"),
        ("request_id", "0044770090012345"),
        ("request_id", "anna-sand-1984"),
        ("method", "ANNA"),
        ("status", "42 Anna"),
    ],
)
def test_a_field_whose_value_has_another_form_than_the_table_says_is_dropped(field: str, said: str) -> None:
    assert field not in allowed({field: said})


@pytest.mark.parametrize("trace", [OURS, "5e0e3a3f-6a5b-4c1e-9b7e-0d9c6f6a1b2c", "4bf92f3577b34da6a3ce929d0e0e4736"])
def test_request_ids_that_nobody_types_by_hand_are_kept(trace: str) -> None:
    assert allowed({"request_id": trace}) == {"request_id": trace}


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(max_size=8), st.text(max_size=40)))
def test_whatever_is_said_only_values_of_the_tables_form_are_kept(said: dict[str, str]) -> None:
    for name, value in allowed(said).items():
        assert FIELDS[name].form.fullmatch(str(value))


def test_of_a_librarys_record_message_arguments_and_error_text_are_dropped(log: Log) -> None:
    try:
        int("Anna Sand")
    except ValueError:
        log.logger.exception("could not read %s", "Anna Sand")
    log.logger.error("Anna Sand is not a number")
    log.logger.error({"name": "Anna Sand"})
    log.logger.error(ValueError("Anna Sand"))
    failed, said, *others = log.events
    assert [other["event"] for other in others] == ["library", "library"]
    assert (failed["event"], failed["error"], failed["logger"]) == ("library", "ValueError", "somebody.else")
    assert "test_logs.py" in str(failed["place"])
    assert said["event"] == "library"
    assert "Sand" not in log.text


def test_known_messages_of_libraries_are_kept_without_their_arguments(log: Log) -> None:
    log.logger.info("Started server process [%d]", 4711)
    (event,) = log.events
    assert event["message"] == "Started server process [%d]"


def test_every_event_that_the_code_logs_is_in_the_table() -> None:
    logged = {
        name
        for path in (ROOT / "gateway").rglob("*.py")
        for name in re.findall(r'[lL]og(?:ger\(__name__\))?\.\w+\(\s*"([^"]+)"', path.read_text("utf-8"))
    }
    assert logged
    assert logged <= set(EVENTS)


@pytest.mark.parametrize(
    ("which", "expected"), [("all", [200, 404, 500]), ("refused", [404, 500]), ("failed", [500]), ("none", [])]
)
def test_the_setting_says_which_requests_leave_a_line(log: Log, which: str, expected: list[int]) -> None:
    log_to(log.lines, "gateway", which)  # type: ignore[arg-type]
    for status in (200, 404, 500):
        Requests("/fhir/").answered("{type}/{id}", "GET", status, 0.0012, OURS, "lab")
    assert [event["status"] for event in log.events] == expected


def test_a_request_line_says_what_was_asked_by_whom_and_how_it_ended(log: Log) -> None:
    log_to(log.lines, "gateway", "all")
    Requests("/fhir/").answered("{type}/{id}", "GET", 404, 0.0012345, OURS, "lab")
    (event,) = log.events
    assert re.fullmatch(FIELDS["time"].form, str(event.pop("time")))
    assert event == {
        "level": "warning",
        "event": "request",
        "role": "gateway",
        "pid": os.getpid(),
        "route": "/fhir/{type}/{id}",
        "method": "GET",
        "status": 404,
        "client": "lab",
        "ms": 1.234,
        "request_id": OURS,
    }


def test_a_request_line_drops_what_a_client_chose(log: Log) -> None:
    log_to(log.lines, "gateway", "all")
    Requests().answered("/x", "GET", 200, 0.001, "anna-sand", 'sand","x":"')
    (event,) = log.events
    assert not {"client", "request_id", "x"} & set(event)


def test_at_a_terminal_lines_are_for_people(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", as_json=False)
    log.logger.error("work.failed", extra={"kind": "plan"})
    assert re.fullmatch(r"\d\d:\d\d:\d\d error   work\.failed role=gateway pid=\d+ kind=plan\n", log.text)
    log.close()


def test_whoever_does_not_read_standard_error_holds_up_nobody() -> None:
    before = LINES_DROPPED.series.get((), 0)
    reading, writing = os.pipe()
    lines = Lines(as_json=True, descriptor=writing)
    for _ in range(30_000):
        lines.add(b"x" * 99 + b"\n")
    assert LINES_DROPPED.series.get((), 0) > before
    # Nor at the end.
    lines.close()
    os.close(reading)
    os.close(writing)


def test_no_line_is_lost_when_several_threads_log(log: Log) -> None:
    threads = [
        threading.Thread(target=lambda: [log.logger.info("request", extra={"status": 200}) for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(log.events) == 2000


def test_an_error_that_nothing_catches_is_told_by_class_and_place() -> None:
    script = (
        "from gateway.observe import logs\n"
        "logs.configure('gateway', level='info', form='json')\n"
        "raise ValueError('Anna Sand')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    event = json.loads(done.stderr)
    assert (event["event"], event["error"], event["place"]) == ("process.failed", "ValueError", "<string>:3 <module>")
