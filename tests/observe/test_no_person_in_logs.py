"""A running gateway is told about a person at every door; neither its log nor its numbers repeat a word of it."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.commands.test_serve import command, environment, free_port

NAME, NUMBER, EMAIL, SECRET = "Zyxwvander", "9434765919", "zyx@canary.example", "hunter2hunter2"
CANARIES = (NAME, NAME.lower(), NUMBER, EMAIL, "zyx%40canary", SECRET)
PERSON = {
    "resourceType": "Patient",
    "name": [{"family": NAME}],
    "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": NUMBER}],
    "telecom": [{"system": "email", "value": EMAIL}],
}
HEADERS = {
    "x-request-id": NUMBER,
    "user-agent": f"{NAME}/1.0",
    "referer": f"http://example.org/{NAME}",
    "if-none-match": f'W/"{NAME}"',
    "prefer": f"handling={NAME}",
    "cookie": f"session={SECRET}",
    "accept-language": NAME,
    "x-forwarded-for": NAME,
}
FHIR = "application/fhir+json"


@dataclass
class Spoken:
    """What came out of a gateway that was told about a person: its log and its numbers."""

    log: str
    numbers: str

    @property
    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.splitlines()]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    home = tmp_path_factory.mktemp("told")
    port, log = free_port(), home / "stderr"
    settings = environment(
        home, BACKBRIDGE_LOG_LEVEL="debug", BACKBRIDGE_LOG_REQUESTS="all", BACKBRIDGE_METRICS_TOKEN=SECRET
    )
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command("serve", "--open-access", "--port", str(port)),
            env=settings,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=20) as client:
                _await(client, process)
                _tell(client, port)
                _break(home)
                _tell(client, port)
                time.sleep(1.5)
                numbers = client.get("/metrics", headers={"authorization": f"Bearer {SECRET}"}).text
        finally:
            process.terminate()
            process.wait(30)
    return Spoken(log.read_text("utf-8", "surrogateescape"), numbers)


def _await(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        assert process.poll() is None, "the gateway stopped while starting"
        try:
            client.get("/livez")
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the gateway did not start")


def _tell(client: httpx.Client, port: int) -> None:
    made = client.post("/fhir/Patient", content=json.dumps(PERSON), headers={"content-type": FHIR})
    if made.status_code == 201:
        # The words do reach the store: what is not in the log was left out of it.
        assert NAME in client.get(httpx.URL(made.headers["location"]).path.split("/_history")[0]).text
    for path in (
        f"Patient/{NAME}",
        f"Patient?name={NAME}",
        f"{NAME}/1",
        f"Patient/{NUMBER}/_history",
        f"Patient?{NAME}=1",
    ):
        client.get(f"/fhir/{path}")
    for body in (f'{{"resourceType": "{NAME}"', json.dumps({**PERSON, NAME: 1}), f'"{NAME}"'):
        for method, path in (
            ("POST", "Patient"),
            ("PUT", f"Patient/{NAME}"),
            ("POST", ""),
            ("PATCH", f"Patient/{NUMBER}"),
        ):
            client.request(method, f"/fhir/{path}", content=body, headers={"content-type": FHIR})
    client.post("/fhir/Patient/_search", data={"name": NAME, "identifier": NUMBER})
    client.get("/fhir/Patient", headers={"authorization": f"Bearer {SECRET}"})
    for path in (
        f"/{NAME}",
        f"/today?name={NAME}",
        f"/clinic/patients/{NUMBER}",
        f"/static/{NAME}.js",
        f"/metrics?{NAME}",
    ):
        client.get(path)
    for path in ("/sign-in", "/staff/sign-in", "/activate", "/auth/token"):
        client.post(path, data={"email": EMAIL, "phone": NUMBER, "name": NAME, "passphrase": SECRET, "pin": SECRET})
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(f"{NAME} /fhir/{NAME} HTTP/1.1\r\nHost: {EMAIL}\r\n\r\n".encode())
        raw.recv(1000)


def _break(home: Path) -> None:
    """From now on handlers fail with an error of the database, in which it says what it was asked."""
    with sqlite3.connect(home / "backbridge.sqlite") as connection:
        for table in ("index_string", "history"):
            connection.execute(f"ALTER TABLE {table} RENAME TO {table}_away")


@pytest.mark.parametrize("canary", CANARIES)
def test_no_word_about_a_person_is_logged_or_counted(spoken: Spoken, canary: str) -> None:
    assert canary not in spoken.log
    assert canary not in spoken.numbers


def test_every_line_of_the_log_is_json_of_an_event(spoken: Spoken) -> None:
    assert all({"time", "level", "event", "role", "pid"} <= set(event) for event in spoken.events)


def test_what_was_told_did_leave_its_lines(spoken: Spoken) -> None:
    found = {(event.get("route"), event.get("method"), event.get("status")) for event in spoken.events}
    assert {
        ("/fhir/{type}", "POST", 201),
        ("/fhir/{type}/{id}", "GET", 200),
        ("/fhir/{type}", "POST", 400),
        ("unrouted", "GET", 404),
        ("/fhir/{type}", "GET", 500),
    } <= found
    faults = [event for event in spoken.events if event["event"] == "request.fault"]
    assert faults
    assert all(event["error"] == "OperationalError" and event["place"] for event in faults)


def test_what_was_told_was_counted(spoken: Spoken) -> None:
    for route, status in (("/fhir/{type}", "5xx"), ("/fhir/{type}/{id}", "2xx"), ("unrouted", "4xx")):
        assert f'route="{route}",status="{status}"' in spoken.numbers
