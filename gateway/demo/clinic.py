"""The invented clinic: two organisations, their staff and two patients who sign in, with passwords made on the spot."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from gateway.access import AccessContext
from gateway.people import organisations, patients, staff
from gateway.people.authenticate import DIRECT_CARE
from gateway.people.codes import new_code
from gateway.people.errors import NotKnown
from gateway.people.hashing import SecretHasher, sign_in_key
from gateway.people.registry import organization, practitioner, publish
from gateway.people.tables import Organisation, Role, StaffAccount
from gateway.r4.identity import key_of
from gateway.work.records import SYNTHETIC
from gateway.work.workplace import Workplace

JSON = dict[str, Any]

CLINIC_ID = "demo-meadow-lane"
PRACTICE_ID = "demo-mill-street"
NAMES = {
    CLINIC_ID: "Meadow Lane Physiotherapy (demonstration)",
    PRACTICE_ID: "Mill Street Practice (demonstration)",
}
LOADER = "demonstration"
# Nobody types these in: the loader stands where the address of a browser would.
_ADDRESS = LOADER


@dataclass(frozen=True, slots=True)
class Colleague:
    """A member of staff to invent."""

    id: str
    name: str
    email: str
    organisation: str
    roles: tuple[Role, ...]
    what: str


@dataclass(frozen=True, slots=True)
class Login:
    """One line of what is printed once; `door` is where to sign in."""

    what: str
    door: str
    name: str
    secret: str


COLLEAGUES = (
    Colleague(
        "demo-rowan", "Rowan Sample", "rowan@meadow-lane.example", CLINIC_ID, (Role.CLINICIAN,), "Physiotherapist"
    ),
    Colleague("demo-farah", "Farah Specimen", "farah@mill-street.example", PRACTICE_ID, (Role.CLINICIAN,), "GP"),
    Colleague(
        "demo-leslie",
        "Leslie Template",
        "leslie@meadow-lane.example",
        CLINIC_ID,
        (Role.ADMINISTRATOR,),
        "Administrator",
    ),
)
PHYSIOTHERAPIST = COLLEAGUES[0]


def clinician_context(request_id: str) -> AccessContext:
    """The physiotherapist at work, as a session of theirs would have it."""
    return AccessContext(
        actors=(key_of("Practitioner", PHYSIOTHERAPIST.id), key_of("Organization", CLINIC_ID)),
        agent=f"Practitioner/{PHYSIOTHERAPIST.id}",
        client=LOADER,
        activity=DIRECT_CARE,
        request_id=request_id,
        organization=f"Organization/{CLINIC_ID}",
    )


def is_registered(workplace: Workplace) -> bool:
    """Whether an earlier start has registered the clinic."""
    with workplace.database.reading() as session:
        try:
            organisations.get(session, CLINIC_ID)
        except NotKnown:
            return False
    return True


async def register_clinic(workplace: Workplace) -> list[Login]:
    """Both organisations and their staff, published as resources too; how the staff sign in."""
    for each in await asyncio.to_thread(_organisations, workplace):
        await publish(workplace.store, _marked(organization(each)))
    hasher = _hasher(workplace)
    return [await _employ(workplace, hasher, each) for each in COLLEAGUES]


def open_accounts(workplace: Workplace, holders: Sequence[tuple[str, str, str]]) -> list[Login]:
    """Accounts for patients (id, name to sign in with, name to show), opened with a code as anybody's are."""
    hasher = _hasher(workplace)
    return [_activate(workplace, hasher, *holder) for holder in holders]


def _organisations(workplace: Workplace) -> list[Organisation]:
    now_us = workplace.store.clock()
    with workplace.database.writing() as session:
        return [organisations.add(session, name=NAMES[id], now_us=now_us, organisation_id=id) for id in NAMES]


def _account(workplace: Workplace, hasher: SecretHasher, colleague: Colleague, passphrase: str) -> StaffAccount:
    now_us = workplace.store.clock()
    with workplace.database.writing() as session:
        code = _invited(session, colleague, now_us)
    return staff.accept(workplace.database, hasher, code=code, passphrase=passphrase, address=_ADDRESS, now_us=now_us)


async def _employ(workplace: Workplace, hasher: SecretHasher, colleague: Colleague) -> Login:
    passphrase = new_code()
    account = await asyncio.to_thread(_account, workplace, hasher, colleague, passphrase)
    await publish(workplace.store, _marked(practitioner(account)))
    where = NAMES[colleague.organisation]
    return Login(f"{colleague.what}, {where}", "/sign-in/staff", account.email, passphrase)


def _invited(session: Session, colleague: Colleague, now_us: int) -> str:
    return staff.invite(
        session,
        name=colleague.name,
        email=colleague.email,
        organisation=key_of("Organization", colleague.organisation),
        roles=colleague.roles,
        invited_by=0,
        now_us=now_us,
        practitioner_id=colleague.id,
    ).code


def _activate(workplace: Workplace, hasher: SecretHasher, patient_id: str, handle: str, name: str) -> Login:
    now_us, secret = workplace.store.clock(), new_code()
    with workplace.database.writing() as session:
        prescribed = patients.prescribe(
            session,
            patient_id=patient_id,
            organisation=key_of("Organization", CLINIC_ID),
            prescriber=key_of("Practitioner", PHYSIOTHERAPIST.id),
            now_us=now_us,
        )
    patients.redeem(
        workplace.database,
        hasher,
        code=prescribed.code,
        handle=handle,
        secret=secret,
        address=_ADDRESS,
        now_us=now_us,
    )
    return Login(f"Patient, {name}", "/sign-in/patient", handle, secret)


def _hasher(workplace: Workplace) -> SecretHasher:
    return SecretHasher(sign_in_key(workplace.settings.home / "keys"))


def _marked(resource: JSON) -> JSON:
    return {**resource, "meta": {"tag": [SYNTHETIC]}}
