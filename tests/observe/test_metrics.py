"""Numbers: counted cheaply, added up over processes, written as Prometheus reads them."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.observe import published
from gateway.observe.exposition import Exposition, exposed
from gateway.observe.measures import BATCHES, OF_A_PROCESS, OF_THE_INSTALLATION, OUTBOX, WAITING
from gateway.observe.numbers import Counter, Histogram
from gateway.observe.published import collected, publishing
from gateway.settings import Settings
from gateway.store.database import Database
from gateway.store.store import Store, now_us
from gateway.work.figures import figures
from tests.observe.counting import commit_batches
from tests.store.actors import OPEN, create, person
from tests.work.people import Person

ROOT = Path(__file__).resolve().parents[2]
Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: bytes) -> Numbers:
    """What Prometheus' own reader makes of it: numbers by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_a_value_on_the_bound_of_a_range_belongs_to_it() -> None:
    measure = Histogram("x", "", (), (1, 2))
    for value in (1, 1.5, 2, 3):
        measure.observe(value)
    assert measure.series == {(): [1, 2, 1, 7.5]}


def test_counters_rise_by_labels() -> None:
    measure = Counter("x_total", "", ("kind",))
    measure.add("a")
    measure.add("a", by=2)
    measure.add("b")
    assert measure.series == {("a",): 3, ("b",): 1}


def test_processes_add_up_and_what_an_ended_one_counted_stays(tmp_path: Path) -> None:
    spawned = multiprocessing.get_context("spawn")
    processes = [spawned.Process(target=commit_batches, args=(tmp_path, times)) for times in (2, 5)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    numbers = parsed(Exposition(tmp_path, list).text())
    assert numbers[key("backbridge_commit_batch_size_count", queue="test")] == 7
    assert numbers[key("backbridge_commit_batch_size_sum", queue="test")] == 21
    assert numbers[key("backbridge_commit_batch_size_bucket", queue="test", le="2")] == 0
    assert numbers[key("backbridge_commit_batch_size_bucket", queue="test", le="4")] == 7
    assert numbers[key("backbridge_commit_batch_size_bucket", queue="test", le="+Inf")] == 7


def test_levels_of_a_process_that_is_gone_are_not_shown_but_its_counts_are(tmp_path: Path) -> None:
    with publishing(tmp_path, "gateway"):
        BATCHES.observe(1, "gone")
        WAITING.set(4, "gone")
    assert collected(tmp_path)[WAITING.name][("gone",)] == [4]
    (file,) = (tmp_path / "metrics").glob("*.json")
    long_ago = time.time() - 60
    os.utime(file, (long_ago, long_ago))
    found = collected(tmp_path)
    assert ("gone",) not in found.get(WAITING.name, {})
    assert found[BATCHES.name][("gone",)][0] >= 1


def test_half_a_file_of_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "gateway-1-aa.json").write_text('{"backbridge_queue_length": [[["x"')
    assert collected(tmp_path) == {}


def test_a_new_start_counts_from_zero(tmp_path: Path) -> None:
    commit_batches(tmp_path, 1)
    assert collected(tmp_path)
    published.begin(tmp_path)
    assert collected(tmp_path) == {}


@pytest.mark.anyio
async def test_commits_and_looks_are_counted_with_the_size_of_their_batches(store: Store, settings: Settings) -> None:
    before = dict(BATCHES.series)
    writes = list(before.get(("writes",), [0]))
    (made,) = await store.commit(OPEN, [create(person())])
    await store.read(OPEN, "Patient", made.version.id)
    with publishing(settings.home, "gateway"):
        found = collected(settings.home)
    assert found[BATCHES.name][("writes",)][-1] == writes[-1] + 1
    assert ("read-audit",) in found[BATCHES.name]
    assert found[WAITING.name][("writes",)] == [0]


@pytest.mark.anyio
async def test_the_outbox_is_shown_by_kind_with_its_age(anna: Person, settings: Settings, database: Database) -> None:
    await anna.answers("pain-nrs")
    later = now_us() + 90_000_000
    numbers = parsed(Exposition(settings.home, figures(database, settings, "0.1.0", lambda: later)).text())
    assert numbers[key(OUTBOX.name, kind="score", state="waiting")] == 1
    assert 90 <= numbers[key("backbridge_outbox_oldest_seconds", kind="score")] < 120
    assert numbers[key("backbridge_database_up")] == 1
    assert numbers[key("backbridge_info", version="0.1.0")] == 1
    assert numbers[key("backbridge_database_bytes", part="main")] > 0


def test_a_database_that_does_not_answer_is_a_number_too(settings: Settings, database: Database) -> None:
    look = figures(database, settings, "0.1.0", now_us)
    settings.database_path.write_bytes(b"this is no database" * 1000)
    numbers = parsed(Exposition(settings.home, look).text())
    assert numbers[key("backbridge_database_up")] == 0


def test_a_scraper_is_answered_on_a_port_of_its_own(tmp_path: Path) -> None:
    commit_batches(tmp_path, 1)
    with exposed(Exposition(tmp_path, list), "127.0.0.1", 0) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert key("backbridge_commit_batch_size_sum", queue="test") in parsed(answer.content)


def test_what_is_published_is_json_of_the_table(tmp_path: Path) -> None:
    commit_batches(tmp_path, 1)
    (file,) = (tmp_path / "metrics").glob("*.json")
    assert list(json.loads(file.read_text())) == [measure.name for measure in OF_A_PROCESS]


def test_every_number_is_described_in_the_operators_page() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    missing = [each.name for each in (*OF_A_PROCESS, *OF_THE_INSTALLATION) if f"`{each.name}`" not in page]
    assert missing == []
