"""`backbridge bench` against servers that really answer: a gateway, and servers that answer wrongly."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from gateway.bench import shapes
from gateway.bench.compare import compare
from gateway.bench.corpus import Corpus
from gateway.bench.loader import Script, in_turn, load
from gateway.bench.run import SHAPES
from gateway.bench.servers import Server, own_gateway
from gateway.bench.target import Unusable, target
from gateway.cli import app


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway as an operator starts it, and a token for it."""
    with own_gateway(tmp_path_factory.mktemp("home"), "before-response") as server:
        yield server


def bench(report: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["bench", "--report", str(report), *options])


def complaint(done: Result) -> str:
    """The one line with which the command ends."""
    assert done.exit_code == 1, done.output
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("backbridge: ")
    return lines[0]


@contextmanager
def answering(status: int, body: bytes, *headers: tuple[str, str], path: str = "") -> Iterator[str]:
    """A web server that gives this answer to everything, and the URL of a FHIR server that it pretends to have."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in (*headers, ("content-length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{path}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# -- a whole run -------------------------------------------------------------------------------------------------------


def test_every_workload_runs_against_a_gateway_by_its_url(gateway: Server, tmp_path: Path) -> None:
    synthea = tmp_path / "histories"
    synthea.mkdir()
    for number in range(2):
        (synthea / f"{number}.json").write_bytes(Corpus("history", 2).bodies[number])
    done = bench(
        tmp_path / "bench.json",
        "--url",
        f"ours={gateway.target.url}",
        "--token",
        gateway.target.token,
        "--pids",
        ",".join(map(str, gateway.pids)),
        *("--bundles", "2", "--count", "20", "--warm-up", "2", "--connections", "4", "--synthea", str(synthea)),
    )
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "bench.json").read_text())
    assert [row["shape"] for row in report["rows"]] == list(SHAPES)
    for row in report["rows"]:
        assert row["server"] == "ours"
        assert row["requests"] > 0
        assert row["per_second"] > 0
        assert row["errors"] == row["wrong"] == []
        assert row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
    assert report["servers"][0]["memory"][0]["resident_mb"] > 10
    assert sum(row["cpu_ms"] for row in report["rows"]) > 0
    cycle = next(row for row in report["rows"] if row["shape"] == "crud")
    assert {kind: each["requests"] for kind, each in cycle["kinds"].items()} == dict.fromkeys(
        ("create", "read", "update", "delete"), 18
    )


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_a_url_where_nothing_listens_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "does not answer" in complaint(bench(tmp_path / "b.json", "--url", "http://127.0.0.1:9/fhir"))


def test_a_url_of_something_else_is_refused_in_one_line(tmp_path: Path) -> None:
    with answering(200, b"<html>") as url:
        assert "is not a FHIR base URL" in complaint(bench(tmp_path / "b.json", "--url", url))


def test_a_path_that_is_not_the_base_is_refused_in_one_line(gateway: Server, tmp_path: Path) -> None:
    wrong = gateway.target.url.removesuffix("/fhir")
    assert "is not a FHIR base URL" in complaint(bench(tmp_path / "b.json", "--url", wrong))


def test_a_server_that_wants_a_token_is_named_in_one_line(gateway: Server, tmp_path: Path) -> None:
    assert "wants a token" in complaint(bench(tmp_path / "b.json", "--url", gateway.target.url))


def test_a_token_that_is_refused_is_named_in_one_line(gateway: Server, tmp_path: Path) -> None:
    line = complaint(bench(tmp_path / "b.json", "--url", gateway.target.url, "--token", "expired"))
    assert "refuses this token (401)" in line


def test_an_unknown_workload_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "nonsense is no workload" in complaint(bench(tmp_path / "b.json", "--shapes", "nonsense"))


def test_another_machine_is_put_under_load_only_where_somebody_says_so() -> None:
    with pytest.raises(Unusable, match="is not this machine"):
        target("http://192.0.2.1/fhir")
    assert target("http://192.0.2.1/fhir", remote=True).host == "192.0.2.1"


@pytest.mark.parametrize(
    "url", ["fhir", "ftp://127.0.0.1/fhir", "http://", "http://127.0.0.1:port/", "http://a:b@127.0.0.1/"]
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(Unusable):
        target(url)


# -- wrong answers -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus("wrong", 4)


@pytest.fixture(scope="module")
def loaded(gateway: Server, corpus: Corpus) -> Server:
    rows = compare(shapes.ingest(corpus, 2), [gateway])
    assert [row.complaint for row in rows] == [""]
    return gateway


def test_a_search_with_a_missing_hit_is_not_timed(loaded: Server, corpus: Corpus) -> None:
    # The same server under the claim that it was loaded with twice the data.
    more = Corpus(corpus.run, 8)
    boasting = replace(loaded, loaded=[*loaded.loaded, *loaded.loaded])
    row = compare(shapes.identifier(more, 20, 2), [boasting])[0]
    assert row.requests == 0
    assert "1 hits were due, 0 came" in row.complaint


def test_a_read_of_another_patient_is_not_timed(loaded: Server, corpus: Corpus) -> None:
    empty = b'{"resourceType": "Patient", "id": "somebody-else"}'
    with answering(200, empty) as url:
        liar = Server("liar", target(url), loaded=loaded.loaded)
        row = compare(shapes.read(corpus, 20, 2), [liar])[0]
    assert row.requests == 0
    assert "Patient/somebody-else came" in row.complaint


def test_answers_that_turn_wrong_under_load_are_found(loaded: Server, corpus: Corpus) -> None:
    shape = shapes.read(corpus, 200, 2)
    with answering(200, b'{"resourceType": "Patient", "id": "somebody-else"}') as url:
        liar = Server("liar", target(url), loaded=loaded.loaded)
        row = compare(replace(shape, check=lambda server: None), [liar])[0]
    assert row.requests == 200
    assert "somebody-else" in row.complaint


def test_errors_are_counted_by_status_with_an_example(corpus: Corpus) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"code": "throttled", "diagnostics": "later, please"}]}
    with answering(429, json.dumps(outcome).encode()) as url:
        busy = Server("busy", target(url), loaded=[["Patient/a"]] * 4)
        row = compare(replace(shapes.read(corpus, 20, 2), check=lambda server: None), [busy])[0]
    assert row.statuses == {"429": 20}
    assert row.errors == [{"kind": "read", "status": 429, "count": 20, "example": "later, please"}]
    assert "20 of 20 answers were wrong, such as status 429" in row.complaint


def test_a_run_with_wrong_answers_ends_with_one_line_and_an_error(tmp_path: Path) -> None:
    statement = b'{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}'
    with answering(200, statement) as url:
        # It takes no POST, which the loading needs.
        line = complaint(bench(tmp_path / "b.json", "--url", url, "--bundles", "2", "--count", "20"))
    assert "100-entry transaction: 2 of 2 answers were wrong, such as status 501" in line


# -- the loader --------------------------------------------------------------------------------------------------------


def test_a_server_that_closes_after_each_answer_is_asked_on_a_new_connection() -> None:
    with answering(200, b"{}", ("connection", "close")) as url:
        found = target(url)
        result = load(found, in_turn([found.get("Patient/1")], 10, 2))
    assert dict(result.statuses) == {200: 10}


def test_a_cycle_is_sent_each_answer_before_its_next_request() -> None:
    seen: list[bytes] = []
    with answering(200, b'{"id": "1"}') as url:
        found = target(url)

        def cycle() -> Script:
            for number in range(3):
                answer = yield found.get(f"Patient/{number}")
                seen.append(answer.body)

        result = load(found, [cycle()])
    assert seen == [b'{"id": "1"}'] * 3
    assert result.requests == 3


def test_the_same_people_are_made_each_time() -> None:
    assert Corpus("run", 2).bodies == Corpus("run", 2).bodies
    assert Corpus("run", 1).patient(0)["identifier"][0]["value"] == "run-p0"
    assert len(Corpus("run", 1).entries[0]) == 100


def test_everything_that_is_loaded_is_labelled_as_test_data() -> None:
    assert all(resource["meta"]["tag"][0]["code"] == "HTEST" for resource in Corpus("run", 1).entries[0])
