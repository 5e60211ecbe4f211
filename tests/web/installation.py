"""One installation for tests of the pages: a clinic with a clinician, a second practice, and the job child's work."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from gateway.people import memberships, organisations, patients, staff
from gateway.people.hashing import SecretHasher, sign_in_key
from gateway.people.registry import organization, practitioner, publish
from gateway.people.tables import Organisation, Role, StaffAccount
from gateway.r4.identity import key_of
from gateway.settings import Settings
from gateway.store import migrations
from gateway.store.sqlite import SQLiteDatabase
from gateway.store.store import Store, now_us
from gateway.work.worker import Worker
from gateway.work.workplace import Workplace

EMAIL, PASSPHRASE = "robin@clinic.example", "seven calm herons"


@dataclass
class Installation:
    """A database of its own with people in it; `base_url` is where the pages will be served."""

    home: Path
    base_url: str = "http://testserver"
    settings: Settings = field(init=False)
    database: SQLiteDatabase = field(init=False)
    clinic: Organisation = field(init=False)
    practice: Organisation = field(init=False)
    clinician: StaffAccount = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Settings(home=self.home, public_base_url=self.base_url)
        self.database = SQLiteDatabase(self.settings.database_path)
        migrations.upgrade(self.database)
        hasher = SecretHasher(sign_in_key(self.home / "keys"))
        self.clinician, self.clinic = staff.first_administrator(
            self.database,
            hasher,
            organisation_name="Riverside Physiotherapy",
            name="Robin Hale",
            email=EMAIL,
            passphrase=PASSPHRASE,
            now_us=now_us(),
        )
        with self.database.writing() as session:
            self.practice = organisations.add(session, name="Elm Street Surgery", now_us=now_us())
            memberships.add(
                session,
                person=self.clinician.key,
                organisation=self.clinic.key,
                roles=[Role.CLINICIAN],
                now_us=now_us(),
            )
        _run(self._publish())

    def code_for(self, patient_id: str) -> str:
        """An activation code, as the clinic's page makes it."""
        with self.database.writing() as session:
            prescribed = patients.prescribe(
                session,
                patient_id=patient_id,
                organisation=self.clinic.key,
                prescriber=self.clinician.key,
                now_us=now_us(),
            )
        return prescribed.code

    def key(self, patient_id: str) -> int:
        return key_of("Patient", patient_id)

    def work_off(self) -> None:
        """What the job child does: scores, alerts, plans."""
        _run(self._worked_off())

    async def _worked_off(self) -> None:
        store = Store(self.database, settings=self.settings)
        await store.start()
        try:
            await Worker(Workplace(self.database, store, self.settings)).work_off()
        finally:
            await store.stop()

    async def _publish(self) -> None:
        store = Store(self.database, settings=self.settings)
        await store.start()
        try:
            for resource in (organization(self.clinic), organization(self.practice), practitioner(self.clinician)):
                await publish(store, resource)
        finally:
            await store.stop()


def _run(work: Coroutine[None, None, None]) -> None:
    """On a thread of its own, because a test may have a running loop already."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
