"""Loading the demonstration clinic: once, in the job child, through the one write path, a person at a time.

What an interrupted start has left out is loaded by the next one. Progress and, once, the passwords go to the terminal.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import text

from consent.forms import Choice, sharing_consent, withdrawn
from gateway.commands.terminal import out
from gateway.demo.cast import Person, people
from gateway.demo.clinic import (
    CLINIC_ID,
    NAMES,
    PRACTICE_ID,
    Login,
    clinician_context,
    is_registered,
    open_accounts,
    register_clinic,
)
from gateway.demo.record import Record
from gateway.people import care
from gateway.people.registration import Registration, patient
from gateway.people.relationships import Reason
from gateway.r4.identity import key_of
from gateway.store.changes import Create, Delete, Update
from gateway.store.outbox import DONE, WAITING
from gateway.work.records import SYNTHETIC, by_identifier, every
from gateway.work.workplace import Workplace

JSON = dict[str, Any]

CATEGORIES = ("prom", "plan", "sensor", "record")
_REQUEST = "demonstration"
_WRITTEN = (
    *("QuestionnaireResponse?subject={}", "Observation?subject={}", "CarePlan?subject={}", "Goal?subject={}"),
    *("Flag?subject={}", "Consent?patient={}", "Provenance?entity={}"),
)
_LOADED_TAG = {"system": "https://backbridge.example/tags", "code": "demonstration-loaded"}


async def load(workplace: Workplace) -> AsyncIterator[None]:
    """Load what is missing; yields after each person, so that other work gets its turn."""
    began = time.perf_counter()
    logins = [] if is_registered(workplace) else await register_clinic(workplace)
    patients = await _patients(workplace)
    missing = [person for person in people() if not _is_loaded(patients[person.number])]
    if not missing:
        return
    await asyncio.to_thread(_refer, workplace, patients)
    if logins:
        logins += await asyncio.to_thread(open_accounts, workplace, _holders(patients))
        _print_logins(workplace, logins)
    for done, person in enumerate(missing, start=1):
        await _person(workplace, person, patients[person.number])
        out.print(f"Demonstration: {person.name}, {done} of {len(missing)} invented people loaded", markup=False)
        yield
    out.print(f"Demonstration: complete after {time.perf_counter() - began:.0f} s.")


async def _patients(workplace: Workplace) -> dict[int, JSON]:
    """Everybody's Patient, registered by the clinic where it is not there yet."""
    context, found = clinician_context(_REQUEST), {}
    changes = []
    for person in people():
        resource = _patient(person)
        changes.append(Create("Patient", resource, json.dumps(resource), condition=by_identifier(resource)))
    for person, committed in zip(people(), await workplace.store.commit(context, changes), strict=True):
        assert committed.version.body is not None, "a registered patient is there"
        found[person.number] = json.loads(committed.version.body)
    return found


def _patient(person: Person) -> JSON:
    registration = Registration(person.nhs_number, person.given, person.family, person.born)
    resource = patient(registration, f"Organization/{CLINIC_ID}")
    return {**resource, "gender": person.gender, "meta": {"tag": [SYNTHETIC]}}


def _is_loaded(resource: JSON) -> bool:
    return any(tag.get("code") == _LOADED_TAG["code"] for tag in resource["meta"].get("tag", ()))


def _refer(workplace: Workplace, patients: dict[int, JSON]) -> None:
    """The practice has referred every third person and whoever shares with it; it knows who they are, no more."""
    for person in people():
        if person.shares == "clinic-gp" or person.number % 3 == 0:
            care.begin(
                workplace.database,
                organisation=key_of("Organization", PRACTICE_ID),
                patient=key_of("Patient", patients[person.number]["id"]),
                opened_by=0,
                reason=Reason.REFERRAL,
                now_us=workplace.store.clock(),
            )


def _holders(patients: dict[int, JSON]) -> list[tuple[str, str, str]]:
    return [(patients[p.number]["id"], p.login, p.name) for p in people() if p.login]


async def _person(workplace: Workplace, person: Person, resource: JSON) -> None:
    record = Record(workplace, person, resource["id"], _begun(workplace, person))
    await _discard_half(record)
    await asyncio.to_thread(care.admit_plan_engine, workplace.database, key_of("Patient", record.patient_id))
    await _consent(record)
    await record.write()
    await _withdraw(record)
    await _mark_loaded(workplace, resource)
    await asyncio.to_thread(_settle_outbox, workplace, key_of("Patient", record.patient_id))


def _begun(workplace: Workplace, person: Person) -> date:
    """The day of the baseline, so that the latest report was today or in the last days; logins have one to make."""
    days_ago = 6 if person.login else person.chance("begun").randrange(0, 5)
    return workplace.now().date() - timedelta(weeks=person.weeks, days=days_ago)


async def _discard_half(record: Record) -> None:
    """What an interrupted start has written of a person goes, so that nothing is there twice."""
    store, context = record.workplace.store, record.own_context()
    found = [each for query in _WRITTEN for each in await every(store, context, query.format(record.reference))]
    deletions = [Delete(each["resourceType"], each["id"]) for each in found]
    if deletions:
        await store.commit(context, deletions)


async def _consent(record: Record) -> None:
    """What the person decided about sharing when they began."""
    clinic, practice = f"Organization/{CLINIC_ID}", f"Organization/{PRACTICE_ID}"
    shares = record.person.shares
    decided: list[JSON] = []
    if shares == "none":
        decided.append({**_sharing(record, clinic), "status": "rejected"})
    else:
        decided.append(_sharing(record, clinic, actions=("access", "collect")))
    if shares == "clinic-gp":
        decided.append(_sharing(record, practice))
    elif record.person.number % 3 == 0:
        decided.append({**_sharing(record, practice), "status": "rejected"})
    changes = [Create("Consent", each, json.dumps(each)) for each in decided]
    await record.workplace.store.commit(record.own_context(), changes)


def _sharing(record: Record, recipient: str, actions: Sequence[str] = ("access",)) -> JSON:
    begun = record.begun
    choice = Choice(
        recipient=recipient,
        recipient_name=NAMES[recipient.partition("/")[2]],
        categories=CATEGORIES,
        purposes=("TREAT",),
        start=begun.isoformat(),
        end=(begun + timedelta(days=365)).isoformat(),
        actions=actions,
    )
    when = datetime.combine(begun, datetime.min.time(), record.workplace.zone)
    made = sharing_consent(record.reference, choice, language="en", now_us=int(when.timestamp() * 1_000_000))
    return {**made, "meta": {"tag": [SYNTHETIC]}}


async def _withdraw(record: Record) -> None:
    """Who changed their mind withdraws last, as people do."""
    if record.person.shares != "withdrawn":
        return
    store, context = record.workplace.store, record.own_context()
    for consent in await every(store, context, f"Consent?patient={record.reference}&status=active"):
        ended = withdrawn(consent, store.clock())
        version = int(consent["meta"]["versionId"])
        await store.commit(context, [Update("Consent", consent["id"], ended, json.dumps(ended), if_match=version)])


async def _mark_loaded(workplace: Workplace, resource: JSON) -> None:
    """The mark that keeps the next start from loading this person again."""
    marked = {**resource, "meta": {"tag": [SYNTHETIC, _LOADED_TAG]}}
    change = Update("Patient", resource["id"], marked, json.dumps(marked))
    await workplace.store.commit(clinician_context(_REQUEST), [change])


def _settle_outbox(workplace: Workplace, patient: int) -> None:
    """The scores and plans that these answers call for are written already."""
    with workplace.database.working() as session:
        session.connection().execute(
            text("UPDATE outbox SET state = :done WHERE patient = :patient AND state = :waiting"),
            {"done": DONE, "waiting": WAITING, "patient": patient},
        )


def _print_logins(workplace: Workplace, logins: Sequence[Login]) -> None:
    """The only time that anybody sees them: what is stored are hashes."""
    out.print("Demonstration logins, made for this installation and shown this once:", style="bold")
    for login in logins:
        where = f"{workplace.settings.base_url}{login.door}"
        out.print(f"  {where}  {login.name}  {login.secret}  ({login.what})", markup=False)
