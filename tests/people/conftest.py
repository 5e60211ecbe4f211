"""An installation with two clinics, their staff and a clock that the test moves."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from argon2 import PasswordHasher

from gateway.people import organisations, sign_in, staff
from gateway.people.authenticate import Authenticator
from gateway.people.hashing import SecretHasher
from gateway.people.sessions import Started
from gateway.people.sign_in import Browser
from gateway.people.tables import Organisation, Role, StaffAccount
from gateway.settings import Settings
from gateway.store.database import Database, open_database
from gateway.store.sqlite import SQLiteDatabase

SECOND = 1_000_000
HOUR = 3_600 * SECOND
NOW = 1_800_000_000 * SECOND
PASSPHRASE = "seven calm herons"


class CountingArgon2(PasswordHasher):
    """The same hasher, counting the work it does; cheap, because when it hashes is tested and not how slowly."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.verified += 1
        return super().verify(hash, password)


@dataclass
class Installation:
    """The parts under test, and short ways through the front door."""

    database: Database
    settings: Settings
    argon2: CountingArgon2 = field(default_factory=CountingArgon2)
    now_us: int = NOW
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.hasher = SecretHasher(b"k" * 32, self.argon2)
        self.authenticator = Authenticator(self.database, self.settings, lambda: self.now_us)

    def wait(self, seconds: float) -> None:
        self.now_us += int(seconds * SECOND)

    def clinic(self, name: str) -> Organisation:
        with self.database.writing() as session:
            return organisations.add(session, name=name, now_us=self.now_us)

    def member(self, clinic: Organisation, email: str, *roles: Role) -> StaffAccount:
        """A colleague who was invited and has accepted from an address of their own."""
        with self.database.writing() as session:
            invited = staff.invite(
                session,
                name="Ada Example",
                email=email,
                organisation=clinic.key,
                roles=roles or (Role.CLINICIAN,),
                invited_by=0,
                now_us=self.now_us,
            )
        address = f"192.0.2.{next(self.numbers) % 250}"
        return staff.accept(
            self.database,
            self.hasher,
            code=invited.code,
            passphrase=PASSPHRASE,
            address=address,
            now_us=self.now_us,
        )

    def sign_in(
        self, email: str, passphrase: str = PASSPHRASE, address: str = "198.51.100.7", previous: str | None = None
    ) -> Started:
        browser = Browser(address, 12 * HOUR, previous)
        return sign_in.staff(
            self.database,
            self.hasher,
            email=email,
            passphrase=passphrase,
            browser=browser,
            now_us=self.now_us,
        )


@pytest.fixture(params=["sqlite", "postgresql"])
def here(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path) -> Iterator[Installation]:
    """A fresh installation on each database."""
    if request.param == "postgresql":
        settings = Settings(home=tmp_path, database_url=request.getfixturevalue("postgresql_url"))
        database = open_database(settings)
    else:
        settings = Settings(home=tmp_path)
        shutil.copy(empty_database, settings.database_path)
        database = SQLiteDatabase(settings.database_path, synchronous="OFF")
    yield Installation(database, settings)
    database.close()


@pytest.fixture
def clinic(here: Installation) -> Organisation:
    return here.clinic("Riverside Clinic")
