"""Synthetic patients in great numbers, by the store's own write path in large transactions.

Two processes validate and prepare while one of them writes. Resources are written in the order of their keys, and the
indexes are built afterwards: a row then goes beside the one before it, where in the order of time it would touch a page
of its own in every table. Interrupted, it leaves a database without indexes: seed an empty one anew.

All patients are registered by one organisation, which therefore sees everything; the first hundred share their records
with a second one by consent.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass

import orjson

from gateway.access import AccessContext, actor_key
from gateway.bench.corpus import LABEL, Resource, observation, patient, repeatable
from gateway.r4.identity import key_of, new_id
from gateway.settings import Settings
from gateway.store.changes import Create
from gateway.store.sqlite import SQLiteDatabase
from gateway.store.store import Store

RUN = "seed"
EVERYBODY = "Organization/seed-everybody"
"""Registered all patients and wrote all of their Observations."""
A_HUNDRED = "Organization/seed-a-hundred"
"""Reads the first hundred patients by their consent."""
SHARING = 100

_PROCESSES = 2
_SHARE = 10_000
_TRANSACTION = 5_000


def seed(
    settings: Settings, first: int, last: int, observations: int, say: Callable[[int], None] = lambda resources: None
) -> None:
    """
    Add the patients numbered from `first` up to but not including `last`, each with so many Observations.

    say  is told how many resources have been added since it was last told
    """
    people = [_Share(range(start, min(start + _SHARE, last)), ()) for start in range(first, last, _SHARE)]
    # Each process opens the database for itself: a connection does not survive a fork.
    with (
        without_indexes(settings),
        ProcessPoolExecutor(_PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        for shares in (people, _shares(first, last, observations)):
            for done in as_completed([pool.submit(_write, settings, share) for share in shares]):
                say(done.result())


@dataclass(frozen=True, slots=True)
class _Share:
    """A part of the work: people, or Observations by their ids and whom they are about."""

    people: range
    observations: Sequence[tuple[str, int]]


def _shares(first: int, last: int, observations: int) -> list[_Share]:
    owners = [number for number in range(first, last) for _ in range(observations)]
    repeatable(first).shuffle(owners)
    ids = sorted((new_id() for _ in owners), key=lambda logical_id: key_of("Observation", logical_id))
    pairs = list(zip(ids, owners, strict=True))
    return [_Share(range(0), pairs[start : start + _SHARE]) for start in range(0, len(pairs), _SHARE)]


def _write(settings: Settings, share: _Share) -> int:
    return asyncio.run(_commit(settings, list(_changes(share))))


async def _commit(settings: Settings, changes: Sequence[Create]) -> int:
    database = SQLiteDatabase(settings.database_path)
    store = Store(database, settings=settings)
    await store.start()
    try:
        for start in range(0, len(changes), _TRANSACTION):
            await store.commit(_CONTEXT, changes[start : start + _TRANSACTION])
    finally:
        await store.stop()
        database.close()
    return len(changes)


@contextmanager
def without_indexes(settings: Settings) -> Iterator[None]:
    """Leave the indexes of a SQLite file out while it is filled, and make them anew at the end."""
    connection = sqlite3.connect(settings.database_path, isolation_level=None)
    made = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    for name, _ in made:
        connection.execute(f"DROP INDEX {name}")
    try:
        yield
    finally:
        for _, sql in made:
            connection.execute(sql)
        connection.close()


# Open access: what is written about invented people needs nobody's consent, and is audited as bypass.
_CONTEXT = AccessContext(
    actors=(actor_key(EVERYBODY),),
    agent=EVERYBODY,
    client="seed",
    activity="synthetic data for measuring",
    request_id="seed",
    organization=EVERYBODY,
    bypass=True,
)


def _changes(share: _Share) -> Iterator[Create]:
    for number in share.people:
        yield _create(patient(RUN, number), f"{RUN}-{number}")
        if number < SHARING:
            yield _create(_consent({"reference": f"Patient/{RUN}-{number}"}), new_id())
    for logical_id, number in share.observations:
        seed = repeatable(logical_id)
        yield _create(observation({"reference": f"Patient/{RUN}-{number}"}, seed), logical_id)


def _create(resource: Resource, logical_id: str) -> Create:
    return Create(resource["resourceType"], resource, orjson.dumps(resource).decode(), id=logical_id)


def _consent(about: dict[str, str]) -> Resource:
    """A permit of demographics and health record for the second organisation, for treatment."""
    terminology = "http://terminology.hl7.org/CodeSystem"
    return {
        "resourceType": "Consent",
        "meta": LABEL,
        "status": "active",
        "scope": {"coding": [{"system": f"{terminology}/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": f"{terminology}/v3-ActCode", "code": "INFA"}]}],
        "patient": about,
        "dateTime": "2026-01-01",
        "policy": [{"uri": "https://backbridge.example/policy/sharing|1.0.0"}],
        "provision": {
            "type": "permit",
            "actor": [
                {
                    "role": {"coding": [{"system": f"{terminology}/v3-ParticipationType", "code": "IRCP"}]},
                    "reference": {"reference": A_HUNDRED},
                }
            ],
            "purpose": [{"system": f"{terminology}/v3-ActReason", "code": "TREAT"}],
            "class": [
                {"system": "https://backbridge.example/fhir/CodeSystem/sharing-category", "code": code}
                for code in ("demographics", "record")
            ],
        },
    }
