"""More at once than fits: what fits is done, the rest is told to come back, small requests go on, memory is bounded."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.faults.serving import FHIR, Gateway, running

AT_ONCE = 16
BUNDLE_BYTES = 8_000_000
ENTRIES = 1_000
# What docs/faults.md states for the default of BACKBRIDGE_MAX_BYTES_IN_FLIGHT.
PEAK_BYTES = 768_000_000


def test_sixteen_bundles_of_eight_megabytes_at_once_are_done_or_refused_and_memory_is_bounded(tmp_path: Path) -> None:
    body = bundle()
    with running(tmp_path / "home") as gateway:
        answers: list[httpx.Response] = []
        senders = [threading.Thread(target=lambda: answers.append(sent(gateway, body))) for _ in range(AT_ONCE)]
        for sender in senders:
            sender.start()
        small = small_answers(gateway, senders)
        for sender in senders:
            sender.join()
        statuses = Counter(answer.status_code for answer in answers)
        assert set(statuses) == {200, 503}, statuses
        assert sum(statuses.values()) == AT_ONCE
        assert small == {201}
        for refused in (answer for answer in answers if answer.status_code == 503):
            assert refused.json()["issue"][0]["code"] == "throttled"
            assert int(refused.headers["retry-after"]) >= 1
        assert gateway.peak_memory() < PEAK_BYTES
        # Room is given back: the same Bundle is taken now, and as many as fit were stored, each of them whole.
        assert sent(gateway, body).status_code == 200
        with gateway.client() as client:
            total = client.get("/Basic?_summary=count").json()["total"]
    assert total == (statuses[200] + 1) * ENTRIES


def test_bodies_of_unknown_length_count_as_they_arrive_and_give_their_room_back(tmp_path: Path) -> None:
    limits = {"BACKBRIDGE_MAX_BYTES_IN_FLIGHT": "1000000", "BACKBRIDGE_MAX_BODY_BYTES": "1000000"}
    with running(tmp_path / "home", **limits) as gateway, gateway.client() as client:
        half = bundle()[:600_000]
        hold = threading.Event()
        told: list[int] = []

        def slowly() -> None:
            def pieces() -> Iterator[bytes]:
                yield half
                hold.wait(20)

            told.append(client.post("", content=pieces()).status_code)

        sender = threading.Thread(target=slowly)
        sender.start()
        answer = until_refused(gateway, half)
        assert answer.json()["issue"][0]["code"] == "throttled"
        hold.set()
        sender.join()
        # The text ends in the middle, so it is no Bundle; what it held is free again.
        assert told == [400]
        assert sent(gateway, half).status_code == 400


def until_refused(gateway: Gateway, body: bytes) -> httpx.Response:
    """The first body takes its room once it has arrived."""
    for _ in range(200):
        answer = sent(gateway, body)
        if answer.status_code == 503:
            return answer
        time.sleep(0.02)
    raise AssertionError("never refused")


def sent(gateway: Gateway, body: bytes) -> httpx.Response:
    return httpx.post(f"{gateway.url}/fhir", content=body, headers=FHIR, timeout=120)


def small_answers(gateway: Gateway, senders: list[threading.Thread]) -> set[int]:
    """What small creates are answered while the large ones are under way."""
    found: set[int] = set()
    with gateway.client(timeout=60) as client:
        while not found or any(sender.is_alive() for sender in senders):
            found.add(client.post("/Patient", json={"resourceType": "Patient"}).status_code)
            time.sleep(0.1)
    return found


def bundle() -> bytes:
    """A transaction of BUNDLE_BYTES: many entries, each with a text."""
    entry = {
        "resource": {"resourceType": "Basic", "code": {"text": "x" * (BUNDLE_BYTES // ENTRIES - 120)}},
        "request": {"method": "POST", "url": "Basic"},
    }
    body = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry] * ENTRIES})
    assert abs(len(body) - BUNDLE_BYTES) < 100_000
    return body.encode()
