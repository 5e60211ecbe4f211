"""A job child that is stopped for longer than its lease, and wakes up in the middle of work that another has done.

Two real workers on one database; one of them is always stopped. Its lease is ended at that moment, as a minute of
waiting would, so the other takes over what it was doing. Then they change places.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sqlmodel import text

from gateway.people import care
from gateway.r4.identity import key_of
from gateway.settings import Settings
from gateway.store.database import Database, open_database
from gateway.store.outbox import DONE
from gateway.work.planning import BASELINE
from tests.faults.operations import answered_by, person
from tests.faults.serving import REPOSITORY, compiling_once, running, wait_until
from tests.faults.stored import Stored
from tests.faults.test_operations import scores_of, sources_of

PATIENTS = 8
SECONDS = 40.0


def test_a_worker_that_wakes_up_after_its_lease_doubles_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    patients = waiting_for_work(home)
    database = open_database(Settings(home=home))
    with worker(home) as one, worker(home) as other:
        taken_over = change_places(database, one, other, random.Random(3))
        for process in (one, other):
            process.send_signal(signal.SIGCONT)
        wait_until(lambda: left(database) == 0, "everything is done")
    stored = Stored.in_database(database)
    database.close()
    assert taken_over >= 3, "nothing was taken over, so this has shown nothing"
    assert {state for _, state in stored.work} == {DONE}
    answers = [versions[0] for versions in stored.of("QuestionnaireResponse")]
    made = Counter(source for each in stored.of("Observation") for source in sources_of(each[0].resource))
    expected = {f"QuestionnaireResponse/{answer.id}": len(scores_of(answer.resource)) for answer in answers}
    assert made == Counter({source: count for source, count in expected.items() if count})
    assert all(len(versions) == 1 for versions in stored.of("Observation"))
    plans = Counter(plan["subject"]["reference"] for plan in stored.current("CarePlan"))
    assert plans == dict.fromkeys((f"Patient/{patient}" for patient in patients), 1)


def waiting_for_work(home: Path) -> list[str]:
    """Patients who have answered everything while no worker lived."""
    with running(home) as gateway, gateway.client() as client:
        os.kill(gateway.job_child(), signal.SIGSTOP)
        database = open_database(Settings(home=home))
        patients = []
        for number in range(PATIENTS):
            made = client.post("/Patient", json=person(f"patient-{number}"))
            patients.append(made.headers["location"].split("/")[-3])
            care.admit_plan_engine(database, key_of("Patient", patients[-1]))
            for instrument in BASELINE:
                answer = client.post("/QuestionnaireResponse", json=answered_by(patients[-1], instrument))
                assert answer.status_code == 201, answer.text
        database.close()
        gateway.kill()
    return patients


@contextlib.contextmanager
def worker(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A job child without a gateway."""
    command = [sys.executable, "-m", "gateway.cli", "worker", "--home", str(home)]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=compiling_once())
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(30)


def change_places(
    database: Database, one: subprocess.Popen[bytes], other: subprocess.Popen[bytes], chosen: random.Random
) -> int:
    """Stop one, end its lease, let the other work, until nothing is left; how often a lease was taken over."""
    taken_over, ends = 0, time.monotonic() + SECONDS
    wait_until(lambda: left(database) < 2 * PATIENTS * len(BASELINE), "a worker begins")
    while left(database) and time.monotonic() < ends:
        one.send_signal(signal.SIGSTOP)
        other.send_signal(signal.SIGCONT)
        if is_free(database):
            taken_over += end_leases(database)
            time.sleep(chosen.uniform(0.02, 0.3))
        one, other = other, one
    return taken_over


def is_free(database: Database) -> bool:
    """Whether the stopped worker does not hold the writers' lock: nobody could take over while it does."""
    lock = getattr(database, "lock", None)
    if lock is None:
        return True
    ends = time.monotonic() + 0.5
    while time.monotonic() < ends:
        if lock._try_acquire():
            lock._release()
            return True
        time.sleep(0.005)
    return False


def end_leases(database: Database) -> int:
    """A minute passes for the outbox; how many leases have run out."""
    with database.writing() as session:
        ended = session.connection().execute(
            text("UPDATE outbox SET leased_until = 1 WHERE state = 0 AND leased_until > 1")
        )
    return ended.rowcount


def left(database: Database) -> int:
    with database.reading() as session:
        return int(session.connection().execute(text("SELECT count(*) FROM outbox WHERE state = 0")).scalar_one())
