"""The operator's side of the outbox: what was given up is seen and done again, what is done goes after a while."""

from __future__ import annotations

import threading
from typing import cast

import pytest
from sqlmodel import text
from typer.testing import CliRunner

from gateway.cli import app
from gateway.store import outbox
from gateway.store.outbox import DEAD, DONE, TRIES_MAX, WAITING, Work
from gateway.work.housekeeping import purge
from gateway.work.worker import Worker
from gateway.work.workplace import Workplace
from tests.work.people import Person

pytestmark = pytest.mark.anyio

WEEK_US = 7 * 86_400_000_000


async def fail(_: Workplace, __: Work) -> None:
    raise ValueError("Anna Sand said 7")


async def give_up(workplace: Workplace) -> None:
    """Let everything that waits fail for the last time."""
    with workplace.database.working() as session:
        session.connection().execute(text("UPDATE outbox SET tries = :tries"), {"tries": TRIES_MAX - 1})
    await Worker(workplace, {"score": fail, "plan": fail}).work_off()


def states(workplace: Workplace) -> list[int]:
    with workplace.database.reading() as session:
        return [state for (state,) in session.connection().execute(text("SELECT state FROM outbox ORDER BY id"))]


def said(workplace: Workplace, *words: str) -> str:
    environment = {"BACKBRIDGE_DATABASE_URL": workplace.settings.database_url}
    done = CliRunner().invoke(app, ["outbox", *words, "--home", str(workplace.settings.home)], env=environment)
    assert done.exit_code == 0, done.output
    return cast(str, done.output)


async def test_work_that_was_given_up_is_listed_without_what_went_wrong_in_words(
    anna: Person, workplace: Workplace
) -> None:
    assert "Nothing was given up" in said(workplace, "list")
    await anna.answers("pain-nrs")
    await give_up(workplace)
    assert states(workplace) == [DEAD, DEAD]
    listed = said(workplace, "list")
    assert [line.split("\t")[1] for line in listed.splitlines()] == ["score", "plan"]
    assert "QuestionnaireResponse/" in listed
    assert "ValueError" in listed
    assert "Sand" not in listed


async def test_replayed_work_is_done(anna: Person, workplace: Workplace, worker: Worker) -> None:
    await anna.answers("pain-nrs")
    await give_up(workplace)
    first = said(workplace, "list").split("\t")[0]
    assert said(workplace, "replay", first).startswith("1 piece")
    assert states(workplace) == [WAITING, DEAD]
    assert said(workplace, "replay").startswith("1 piece")
    await worker.work_off()
    assert set(states(workplace)) == {DONE}


async def test_a_number_that_is_not_dead_is_left_alone(anna: Person, workplace: Workplace) -> None:
    await anna.answers("pain-nrs")
    assert said(workplace, "replay", "1", "4711").startswith("0 piece")
    assert states(workplace) == [WAITING, WAITING]


async def test_finished_work_is_purged_after_its_time_and_nothing_else_is(
    anna: Person, workplace: Workplace, worker: Worker
) -> None:
    await anna.answers("pain-nrs")
    await give_up(workplace)
    await anna.answers("pain-nrs")
    await worker.work_off()
    await anna.answers("pain-nrs")
    before = states(workplace)
    assert {WAITING, DONE, DEAD} == set(before)
    assert await purge(workplace, threading.Event()) == 0
    with workplace.database.working() as session:
        session.connection().execute(text("UPDATE outbox SET due = due - :week"), {"week": WEEK_US})
    assert await purge(workplace, threading.Event()) == before.count(DONE)
    assert states(workplace) == [state for state in before if state != DONE]


async def test_a_purge_takes_small_bites(anna: Person, workplace: Workplace, worker: Worker) -> None:
    await anna.answers("pain-nrs")
    await worker.work_off()
    with workplace.database.working() as session:
        later = workplace.store.clock() + WEEK_US
        assert outbox.purge(session, later, limit=1) == 1
        assert outbox.purge(session, later, limit=1) == 1
