"""A store whose database refuses by itself: it connects as a role that row-level security holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from gateway.access import AccessContext
from gateway.settings import Settings
from gateway.store.postgresql.database import PostgreSQLDatabase
from gateway.store.postgresql.net import SETTINGS, Net
from gateway.store.store import Store, now_us
from tests.postgresql import Server
from tests.store.actors import OPEN, clinic, create, delete, observation, person, update

Rows = list[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Secured:
    """
    store      on the application's role, sessions included
    unsecured  on the same database, as the superuser whom nothing holds
    """

    store: Store
    unsecured: Store
    database: PostgreSQLDatabase
    home: Path
    application_url: str
    superuser_url: str

    def as_superuser(self, sql: str) -> Rows:
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            found = connection.execute(sql.encode())
            return found.fetchall() if found.description else []

    def as_application(self, sql: str, net: Net | None = None) -> Rows:
        """The rows of a statement that carries no guard; `net` is what its transaction says first."""
        with psycopg.connect(self.application_url) as connection:
            if net is not None:
                tell(connection, net)
            found = connection.execute(sql.encode())
            return found.fetchall() if found.description else []


def tell(connection: psycopg.Connection[tuple[object, ...]], net: Net) -> None:
    _, values = net.statement
    for name, value in zip(SETTINGS, values, strict=True):
        connection.execute("SELECT set_config(%s, %s, true)", (f"backbridge.{name}", value))


def net_of(context: AccessContext) -> Net:
    return Net.of(context, now_us())


@asynccontextmanager
async def secured(server: Server, home: Path) -> AsyncIterator[Secured]:
    """An empty database with row-level security, and stores on it."""
    superuser_url = server.new_secured_database()
    application_url = server.of_application(superuser_url)
    database = PostgreSQLDatabase(application_url, row_level_security=True)
    everything = PostgreSQLDatabase(superuser_url)
    settings = Settings(home=home, public_base_url="http://testserver")
    store, unsecured = Store(database, settings=settings), Store(everything, settings=settings)
    await store.start()
    await unsecured.start()
    try:
        yield Secured(store, unsecured, database, home, application_url, superuser_url)
    finally:
        await store.stop()
        await unsecured.stop()
        database.close()
        everything.close()
        server.drop_database(superuser_url)


async def fill(store: Store, families: tuple[str, ...] = ("Sand", "Stone")) -> list[str]:
    """Patients of the clinic with rows in every clinical table; their ids."""
    made = []
    for family in families:
        [registered] = await store.commit(clinic(), [create(person(family, birthDate="1980-02-03"))])
        made.append(registered.version.id)
        first, second = await store.commit(clinic(), [create(observation(made[-1])), create(observation(made[-1]))])
        await store.commit(clinic(), [update(first.version.id, observation(made[-1], value=2.0))])
        await store.commit(clinic(), [delete("Observation", second.version.id)])
        await store.commit(OPEN, [create(each) for each in _with_other_indexes(made[-1])])
    both = [{"actor": {"reference": f"Patient/{each}"}, "status": "accepted"} for each in made]
    await store.commit(OPEN, [create({"resourceType": "Appointment", "status": "proposed", "participant": both})])
    await store.commit(OPEN, [create({"resourceType": "Questionnaire", "status": "draft", "url": "urn:example:q"})])
    return made


def _with_other_indexes(patient_id: str) -> list[dict[str, Any]]:
    """Resources about a patient that have a number, a date and a uri to search for."""
    whose = {"reference": f"Patient/{patient_id}"}
    prediction = [{"probabilityDecimal": 0.2}]
    plan = {"status": "draft", "intent": "plan", "instantiatesUri": ["urn:example:plan"]}
    return [
        {"resourceType": "RiskAssessment", "status": "final", "subject": whose, "prediction": prediction},
        {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": whose, "authored": "2026-03-01"},
        {"resourceType": "CarePlan", "subject": whose, **plan},
    ]
