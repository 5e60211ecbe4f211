"""The job child as a process: it does what waits, survives what fails, and ends when it should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlmodel import select

from gateway.settings import Settings
from gateway.store.outbox import DONE, WAITING, Work
from gateway.store.tables import Outbox
from gateway.work.published import publish_knowledge
from gateway.work.worker import Worker
from gateway.work.workplace import Workplace
from recommender import knowledge
from tests.store.actors import clinic
from tests.work.people import Person

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60.0


def states(workplace: Workplace) -> dict[str, list[int]]:
    """The states of the outbox rows by kind."""
    with workplace.database.reading() as session:
        found: dict[str, list[int]] = {}
        for kind, state in session.exec(select(Outbox.kind, Outbox.state).order_by(Outbox.id)):
            found.setdefault(kind, []).append(state)
        return found


def started(settings: Settings, *, parent: int | None = None) -> subprocess.Popen[bytes]:
    options = ["--home", str(settings.home), *(["--parent", str(parent)] if parent else [])]
    environment = os.environ | {"BACKBRIDGE_DATABASE_URL": settings.database_url}
    return subprocess.Popen([sys.executable, "-m", "gateway.cli", "worker", *options], cwd=ROOT, env=environment)


def wait_until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.1)


async def test_what_fails_is_tried_again_later_and_holds_up_only_its_own_patient(
    anna: Person, workplace: Workplace, caplog: pytest.LogCaptureFixture
) -> None:
    other = await Person.activated(workplace)
    done: list[int] = []

    async def handler(_: Workplace, work: Work) -> None:
        if work.patient == anna.key:
            raise ValueError("Anna Sand said 7")
        done.append(work.patient)

    await anna.answers("pain-nrs")
    await other.answers("pain-nrs")
    await Worker(workplace, {"score": handler, "plan": handler}).work_off()
    assert done == [other.key] * 2
    assert states(workplace) == {"score": [WAITING, DONE], "plan": [WAITING, DONE]}
    assert {vars(record)["error"] for record in caplog.records if record.msg == "work.failed"} == {"ValueError"}
    assert "Sand" not in caplog.text


async def test_work_that_nothing_does_any_more_holds_nobody_up(anna: Person, workplace: Workplace) -> None:
    await anna.answers("pain-nrs")
    await Worker(workplace, {}).work_off()
    assert states(workplace) == {"score": [DONE], "plan": [DONE]}


async def test_every_instrument_is_published_once_for_everybody_to_read(workplace: Workplace, anna: Person) -> None:
    assert await publish_knowledge(workplace.store) == len(knowledge.instrument_names())
    assert await publish_knowledge(workplace.store) == 0
    found = await anna.sees("Questionnaire", clinic("Organization/somebody"))
    assert {each["url"] for each in found} == {row["url"] for row in knowledge.table("instruments")}


async def test_a_worker_process_works_and_ends_on_sigterm(anna: Person, workplace: Workplace) -> None:
    await anna.answers("pain-nrs")
    child = started(workplace.settings)
    try:
        wait_until(lambda: states(workplace)["plan"] == [DONE])
        assert len(await anna.sees("Observation")) == 2
        child.send_signal(signal.SIGTERM)
        assert child.wait(PATIENCE_SECONDS) == 0
    finally:
        child.kill()


async def test_a_worker_whose_parent_is_gone_ends_by_itself(workplace: Workplace) -> None:
    somebody_else = os.getppid()
    child = started(workplace.settings, parent=somebody_else)
    try:
        assert child.wait(PATIENCE_SECONDS) == 0
    finally:
        child.kill()
