"""Clients that are slow, hang up or are cut off: each wait has an end, nobody else waits, nothing is half done."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.proxy import Fault, Proxy, proxied
from tests.faults.serving import FHIR, Gateway, running, wait_until

CLIENT_SECONDS = 2.0
# Looks come twice in CLIENT_SECONDS; a slow body is judged over twice that. The rest is for a busy machine.
ENDED_SECONDS = 30.0
SLOW_CLIENTS = 40
HEAD = (
    b"POST /fhir/Patient HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/fhir+json\r\n"
    b"Content-Length: 1000\r\n\r\n"
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("connections") / "home"
    with running(home, BACKBRIDGE_CLIENT_SECONDS=str(CLIENT_SECONDS), BACKBRIDGE_PAGE_MAX="5000") as found:
        yield found


@pytest.fixture
def proxy(gateway: Gateway) -> Iterator[Proxy]:
    with proxied(gateway.port) as found:
        yield found


def connected(gateway: Gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=ENDED_SECONDS)


def received_until_end(connection: socket.socket) -> bytes:
    """All that the gateway says until it ends the connection; the test fails where it never does."""
    received = b""
    try:
        while data := connection.recv(65_536):
            received += data
    except ConnectionResetError:
        pass
    return received


def drip(connection: socket.socket, text: bytes, stop: threading.Event) -> None:
    """Send byte by byte, for ever."""
    try:
        while not stop.is_set():
            for byte in text:
                connection.sendall(bytes((byte,)))
                if stop.wait(0.2):
                    return
    except OSError:
        return


@pytest.mark.parametrize(
    ("sent", "dripped", "status"),
    [
        (b"", b"", b"408"),
        (b"GET /fhir/metadata HTTP/1.1\r\nHost: gateway\r\n", b"X-Filler: 1\r\n", b"408"),
        (HEAD, b" ", b"408"),
    ],
    ids=["says nothing", "headers byte by byte", "body byte by byte"],
)
def test_a_client_that_never_completes_its_request_is_ended_and_holds_nobody_back(
    gateway: Gateway, sent: bytes, dripped: bytes, status: bytes
) -> None:
    stop = threading.Event()
    connections = [connected(gateway) for _ in range(SLOW_CLIENTS)]
    threads = [threading.Thread(target=drip, args=(each, dripped, stop)) for each in connections if dripped]
    try:
        for connection in connections:
            connection.sendall(sent)
        for thread in threads:
            thread.start()
        with gateway.client() as others:
            assert all(others.get("/Patient/nobody").status_code == 404 for _ in range(50))
            made = others.post("/Patient", json={"resourceType": "Patient"}, headers=FHIR)
        assert made.status_code == 201
        answers = [received_until_end(connection) for connection in connections]
    finally:
        stop.set()
        for connection in connections:
            connection.close()
        for thread in threads:
            thread.join()
    assert all(answer == b"" or answer.split()[1] == status for answer in answers), answers
    assert any(answers)


def test_a_slow_body_that_keeps_a_pace_is_not_ended(gateway: Gateway, proxy: Proxy) -> None:
    """Control: the limits above end who is too slow, not who is merely slow."""
    proxy.to_server = Fault(delay=0.1, piece=2_000)
    body = json.dumps({"resourceType": "Patient", "name": [{"family": "S" * 20_000}]})
    made = httpx.post(f"http://127.0.0.1:{proxy.port}/fhir/Patient", content=body, headers=FHIR, timeout=ENDED_SECONDS)
    assert made.status_code == 201


def test_a_client_that_never_takes_its_answer_is_ended(gateway: Gateway) -> None:
    with gateway.client() as client:
        entry = {"resource": {"resourceType": "Patient", "name": [{"family": "A" * 4_000}]}}
        entries = [entry | {"request": {"method": "POST", "url": "Patient"}}] * 2_000
        made = client.post("", content=json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
        assert made.status_code == 200
    with connected(gateway) as connection:
        connection.sendall(b"GET /fhir/Patient?_count=5000 HTTP/1.1\r\nHost: gateway\r\n\r\n")
        connection.recv(1)
        wait_until(lambda: not is_open(gateway, connection), "the gateway lets go of the connection", ENDED_SECONDS)


def is_open(gateway: Gateway, connection: socket.socket) -> bool:
    """Whether the gateway's end of the connection exists, seen from outside, without taking a byte."""
    own_port = connection.getsockname()[1]
    lines = Path(f"/proc/{gateway.pid}/net/tcp").read_text().splitlines()[1:]
    ends = {tuple(part.split(":")[1] for part in line.split()[1:3]) for line in lines if line.split()[3] == "01"}
    return (f"{gateway.port:04X}", f"{own_port:04X}") in ends


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_body_that_is_cut_off_leaves_nothing_behind(gateway: Gateway, proxy: Proxy, share: float) -> None:
    body, family = bundle("Cut", 200)
    proxy.to_server = Fault(cut_after=int(len(body) * share) + 300)
    with pytest.raises(httpx.TransportError):
        httpx.post(f"http://127.0.0.1:{proxy.port}/fhir", content=body, headers=FHIR, timeout=ENDED_SECONDS)
    assert stored(gateway, family) == 0


def test_a_body_whose_end_never_comes_leaves_nothing_behind(gateway: Gateway, proxy: Proxy) -> None:
    body, family = bundle("HalfClosed", 200)
    proxy.to_server = Fault(end_after=len(body) // 2)
    with pytest.raises(httpx.TransportError):
        httpx.post(f"http://127.0.0.1:{proxy.port}/fhir", content=body, headers=FHIR, timeout=ENDED_SECONDS)
    assert stored(gateway, family) == 0


@pytest.mark.parametrize("moment", ["at once", "while it is written", "while it is answered"])
def test_a_client_that_hangs_up_after_its_request_leaves_all_or_nothing(
    gateway: Gateway, proxy: Proxy, moment: str
) -> None:
    body, family = bundle("Gone", 300)
    proxy.to_client = Fault(
        cut_after={"at once": None, "while it is written": None, "while it is answered": 1_000}[moment]
    )
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=ENDED_SECONDS) as connection:
        connection.sendall(HEAD.replace(b"/fhir/Patient", b"/fhir").replace(b"1000", str(len(body)).encode()) + body)
        if moment == "while it is written":
            time.sleep(0.05)
        if moment == "while it is answered":
            received_until_end(connection)
    # Whatever was begun is over when the next write of the same gateway has been answered a few times.
    with gateway.client() as others:
        for _ in range(5):
            assert others.post("/Patient", json={"resourceType": "Patient"}).status_code == 201
    wait_until(lambda: stored(gateway, family) in (0, 300), "all or nothing is stored", ENDED_SECONDS)
    if moment == "while it is answered":
        assert stored(gateway, family) == 300


@pytest.mark.parametrize(("condition", "expected"), [("", 2), ("If-None-Exist: identifier=urn:twice|1\r\n", 1)])
def test_a_request_that_arrives_twice_is_done_twice_unless_a_condition_makes_it_one(
    gateway: Gateway, proxy: Proxy, condition: str, expected: int
) -> None:
    """TCP never does this to a connection, but proxies that try again do it to requests."""
    proxy.to_server = Fault(twice=True)
    family = f"Twice{expected}"
    person = {"resourceType": "Patient", "name": [{"family": family}]}
    if condition:
        person["identifier"] = [{"system": "urn:twice", "value": "1"}]
    body = json.dumps(person).encode()
    head = HEAD.replace(b"1000", str(len(body)).encode()).replace(b"Host:", condition.encode() + b"Host:")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=ENDED_SECONDS) as connection:
        connection.sendall(head + body)
        wait_until(lambda: answers(connection) == 2, "both are answered", ENDED_SECONDS)
    assert stored(gateway, family) == expected


def answers(connection: socket.socket) -> int:
    """How many answers have arrived so far; none is taken."""
    return connection.recv(65_536, socket.MSG_PEEK).count(b"HTTP/1.1 20")


def bundle(name: str, size: int) -> tuple[bytes, str]:
    """A transaction of so many patients, and the family name that is theirs alone."""
    family = f"{name}{time.monotonic_ns()}"
    entry = {
        "resource": {"resourceType": "Patient", "name": [{"family": family}]},
        "request": {"method": "POST", "url": "Patient"},
    }
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry] * size}).encode(), family


def stored(gateway: Gateway, family: str) -> int:
    with gateway.client() as client:
        found = client.get(f"/Patient?family={family}&_summary=count").json()
    return int(found["total"])
