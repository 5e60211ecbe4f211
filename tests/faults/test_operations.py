"""Thousands of operations while gateway and job child are killed: nothing acknowledged is lost, nothing done twice.

10,000 operations and 10 kills; BACKBRIDGE_FAULT_OPERATIONS=100000 makes it 100,000 with 50 kills.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from gateway.people import care
from gateway.r4.identity import key_of
from gateway.settings import Settings
from gateway.store.database import Database, open_database
from gateway.store.outbox import DONE
from gateway.work.planning import BASELINE
from recommender import knowledge
from recommender.score import observations, score
from tests.faults.databases import environment
from tests.faults.line import Line
from tests.faults.operations import Client, Ledger, answered_by, keys_of, mark_of, person
from tests.faults.serving import Gateway, running, wait_until
from tests.faults.stored import Stored

OPERATIONS = int(os.environ.get("BACKBRIDGE_FAULT_OPERATIONS", "10000"))
KILLS = 10 if OPERATIONS <= 10_000 else 50
CLIENTS = 16
WORKED_OFF_SECONDS = 120.0 + OPERATIONS / 100
PATIENTS = 4


@pytest.mark.timeout(400 if OPERATIONS <= 10_000 else 3_600)
def test_no_acknowledged_operation_is_lost_or_done_twice_under_kills(tmp_path: Path, database_url: str) -> None:
    ledger = Ledger()
    with (
        running(tmp_path / "home", **environment(database_url)) as gateway,
        contextlib.closing(open_database(Settings(home=gateway.home, database_url=database_url))) as database,
    ):
        patients = asyncio.run(activated(gateway, database))
        kills = asyncio.run(under_kills(gateway, ledger, patients))
        wait_until(lambda: is_worked_off(database), "the job child has done everything", WORKED_OFF_SECONDS)
        stored = Stored.in_database(database)
    assert kills == KILLS
    assert ledger.done >= OPERATIONS
    assert ledger.unknown > 0, "no kill hit a request, so this has shown nothing"
    check_creates(ledger, stored)
    check_registers(ledger, stored)
    check_deletions(ledger, stored)
    check_effects(ledger, stored, patients)


async def activated(gateway: Gateway, database: Database) -> list[str]:
    """Patients for whom the plan engine works; each has answered all that comes before a first plan."""
    line, found = Line(gateway.port), []
    for number in range(PATIENTS):
        made = await line.ask("POST", "/Patient", person(f"patient-{number}"))
        await asyncio.to_thread(care.admit_plan_engine, database, key_of("Patient", made.id))
        for instrument in BASELINE:
            assert (await line.ask("POST", "/QuestionnaireResponse", answered_by(made.id, instrument))).status == 201
        found.append(made.id)
    line.close()
    return found


async def under_kills(gateway: Gateway, ledger: Ledger, patients: list[str]) -> int:
    """Let all clients work to the end; the number of kills meanwhile."""
    clients = [Client(number, gateway.port, ledger, patients) for number in range(CLIENTS)]
    killer = asyncio.create_task(kill_at_random(gateway, ledger))
    await asyncio.gather(*(client.work(OPERATIONS) for client in clients))
    return await killer


async def kill_at_random(gateway: Gateway, ledger: Ledger) -> int:
    """Gateway and job child in turn, at random moments of the work."""
    chosen = random.Random(7)
    moments = sorted(chosen.uniform(0.02, 0.95) * OPERATIONS for _ in range(KILLS))
    for number, moment in enumerate(moments):
        while ledger.done < moment:
            await asyncio.sleep(0.002)
        await asyncio.sleep(chosen.uniform(0, 0.05))
        if number % 2:
            os.kill(await asyncio.to_thread(gateway.job_child), signal.SIGKILL)
        else:
            gateway.kill()
            await asyncio.to_thread(gateway.start)
    return len(moments)


def is_worked_off(database: Database) -> bool:
    return all(row["state"] == DONE for row in database.ask("SELECT DISTINCT state FROM outbox", {}))


# -- what must be there -----------------------------------------------------------------------------------------


def check_creates(ledger: Ledger, stored: Stored) -> None:
    """Each key once, under the id that was told; a plain create without an answer once or not at all."""
    first = [versions[0] for versions in (*stored.of("Patient"), *stored.of("Observation"))]
    found = [(key, version.id) for version in first for key in keys_of(version.resource)]
    times = Counter(key for key, _ in found)
    assert set(times.values()) == {1}, [key for key, count in times.items() if count > 1]
    ids = dict(found)
    assert {key: ids.get(key) for key in ledger.created} == ledger.created, "an acknowledged create is lost"
    for key, size in ledger.together.items():
        subjects = {subject_of(stored, ids[f"{key}-{number}"]) for number in range(size)}
        assert subjects == {f"Patient/{ids[key]}"}
    known = ledger.created.keys() | ledger.maybe | ledger.together.keys()
    people = {key for versions in stored.of("Patient") for key in keys_of(versions[0].resource)}
    assert {key for key in people if not key.startswith("patient-")} <= known, "something that nobody asked for"


def subject_of(stored: Stored, logical_id: str) -> str:
    subject: str = stored.versions["Observation", logical_id][0].resource["subject"]["reference"]
    return subject


def check_registers(ledger: Ledger, stored: Stored) -> None:
    """The versions of each register are its updates, in order, each once."""
    for logical_id, values in ledger.values.items():
        assert [mark_of(version.resource) for version in stored.versions["Patient", logical_id]] == values


def check_deletions(ledger: Ledger, stored: Stored) -> None:
    for logical_id in ledger.deleted:
        assert [version.method for version in stored.versions["Patient", logical_id]] == ["POST", "DELETE"]


def check_effects(ledger: Ledger, stored: Stored, patients: list[str]) -> None:
    """Scores of every answer and a plan for every patient, exactly once, and nothing that was given up."""
    assert {state for _, state in stored.work} == {DONE}
    answers = [versions[0] for versions in stored.of("QuestionnaireResponse")]
    assert {answer.id for answer in answers} >= set(ledger.answers)
    assert len(answers) == len(ledger.answers) + PATIENTS * len(BASELINE)
    made = Counter(source for versions in stored.of("Observation") for source in sources_of(versions[0].resource))
    expected = {f"QuestionnaireResponse/{answer.id}": len(scores_of(answer.resource)) for answer in answers}
    assert made == Counter({source: count for source, count in expected.items() if count})
    assert all(len(versions) == 1 for versions in stored.of("Observation")), "a score was made again"
    plans = Counter(plan["subject"]["reference"] for plan in stored.current("CarePlan"))
    assert plans == dict.fromkeys((f"Patient/{patient}" for patient in patients), 1)


def sources_of(observation: dict[str, list[dict[str, str]]]) -> list[str]:
    return [each["reference"] for each in observation.get("derivedFrom", ())]


def scores_of(response: dict[str, str]) -> list[object]:
    name = response["questionnaire"].partition("|")[0].rpartition("/")[2]
    return list(observations(score(knowledge.instrument(name), response), response))
