"""Numbers of a running installation, as a scraper meets them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.commands.test_serve import FHIR, PERSON, free_port, refusal, serving
from tests.observe.test_metrics import Numbers, key, parsed

PATIENCE_SECONDS = 60.0


def scraped(port: int) -> Numbers:
    return parsed(httpx.get(f"http://127.0.0.1:{port}/metrics").content)


def wait_until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.2)


def pids(numbers: Numbers, role: str) -> set[str]:
    """The processes of a role that publish."""
    labels = [dict(labels) for name, labels in numbers if name == "backbridge_process_memory_bytes"]
    return {each["pid"] for each in labels if each["role"] == role}


def test_gateway_and_job_child_are_counted_on_a_port_of_their_own_and_nowhere_else(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, "--open-access", BACKBRIDGE_METRICS_LISTEN=f"127.0.0.1:{port}") as (_, client):
        assert client.post("/fhir/Patient", content=PERSON, headers=FHIR).status_code == 201
        assert client.get("/metrics").status_code == 404
        created = key("backbridge_request_seconds_count", route="/fhir/{type}", method="POST", status="2xx")
        wait_until(lambda: scraped(port).get(created) == 1)
        wait_until(lambda: len(pids(scraped(port), "worker")) == 1)
        (child,) = pids(scraped(port), "worker")
        assert scraped(port).get(key("backbridge_child_restarts_total"), 0) == 0
        os.kill(int(child), signal.SIGKILL)
        wait_until(lambda: scraped(port).get(key("backbridge_child_restarts_total")) == 1)
        wait_until(lambda: bool(pids(scraped(port), "worker") - {child}))


def test_on_the_gateways_own_port_numbers_need_the_token(tmp_path: Path) -> None:
    with serving(tmp_path, BACKBRIDGE_METRICS_TOKEN="let-me-see") as (_, client):
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"authorization": "Bearer let-me-guess"}).status_code == 401
        answer = client.get("/metrics", headers={"authorization": "Bearer let-me-see"})
        assert key("backbridge_database_up") in parsed(answer.content)


def test_without_a_setting_nothing_is_published(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, client):
        assert client.get("/metrics").status_code == 404
    assert not (tmp_path / "metrics").exists()


def test_an_address_that_cannot_be_listened_on_is_told_in_one_line(tmp_path: Path) -> None:
    said = refusal(tmp_path, "serve", "--port", str(free_port()), BACKBRIDGE_METRICS_LISTEN="192.0.2.1:9464")
    assert said.startswith("backbridge: cannot listen on 192.0.2.1:9464 for metrics: ")
    assert len(said.splitlines()) == 1
    wrong = refusal(tmp_path, "serve", BACKBRIDGE_METRICS_LISTEN="everywhere")
    assert wrong.startswith("backbridge: BACKBRIDGE_METRICS_LISTEN: ")


def test_several_gateways_and_job_workers_add_up(tmp_path: Path, postgresql_url: str) -> None:
    port = free_port()
    options = ("--open-access", "--workers", "2", "--job-workers", "2", "--database-url", postgresql_url)
    with serving(tmp_path, *options, BACKBRIDGE_METRICS_LISTEN=f"127.0.0.1:{port}") as (_, client):
        wait_until(lambda: len(pids(scraped(port), "gateway")) == 2)
        wait_until(lambda: len(pids(scraped(port), "worker")) == 2)
        for _ in range(20):
            with httpx.Client(base_url=client.base_url, timeout=20) as another:
                assert another.get("/fhir/metadata").status_code == 200
        asked = key("backbridge_request_seconds_count", route="/fhir/metadata", method="GET", status="2xx")
        wait_until(lambda: scraped(port).get(asked) == 20)
        numbers = scraped(port)
        assert any(name == "backbridge_database_connections" for name, _ in numbers)
        assert numbers[key("backbridge_database_bytes", part="server")] > 0
