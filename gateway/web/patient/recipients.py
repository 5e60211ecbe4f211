"""Whom a patient can share with, and what is shared now: Consents read back, organisations beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from consent.forms import describe, is_withdrawn
from consent.wording import NoWording
from gateway.people import organisations, relationships
from gateway.store.database import Database
from gateway.store.errors import NotFound
from gateway.web.dates import Dates
from gateway.web.messages import Messages
from gateway.web.visit import PatientVisit

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recipient:
    """
    One organisation.

    is_carer  it cares for the patient
    state     undecided, shared, declined, withdrawn or ended
    words     the consent in force, in plain words
    consents  the consents in force, latest first
    """

    id: str
    name: str
    is_carer: bool
    state: str = "undecided"
    words: str = ""
    consents: tuple[JSON, ...] = ()

    @property
    def reference(self) -> str:
        return f"Organization/{self.id}"

    @property
    def categories(self) -> frozenset[str]:
        """What the latest consent in force covers."""
        latest = next(iter(self.consents), None)
        return frozenset(c["code"] for c in latest["provision"].get("class", ())) if latest else frozenset()

    @property
    def may_write(self) -> bool:
        latest = next(iter(self.consents), None)
        actions = latest["provision"].get("action", ()) if latest else ()
        return any(coding["code"] == "collect" for action in actions for coding in action["coding"])


async def recipients(visit: PatientVisit) -> list[Recipient]:
    """Every organisation, those that care for the patient first."""
    consents = await visit.reads.every("Consent", patient=visit.reference, _sort="-date")
    listed = await asyncio.to_thread(_organisations, visit.site.database, visit.patient_key, visit.now_us)
    return [_recipient(name, found, is_carer, consents, visit) for found, name, is_carer in listed]


async def recipient(visit: PatientVisit, organisation_id: str) -> Recipient:
    """One of them; NotFound."""
    found = next((each for each in await recipients(visit) if each.id == organisation_id), None)
    if found is None:
        raise NotFound
    return found


def _organisations(database: Database, patient: int, now_us: int) -> list[tuple[str, str, bool]]:
    with database.reading() as session:
        open_now = [r for r in relationships.of_patient(session, patient) if r.valid_from <= now_us < r.valid_to]
        carers = {row.organisation for row in open_now}
        rows = [(row.id, row.name, row.key in carers) for row in organisations.every(session)]
    return sorted(rows, key=lambda row: not row[2])


def _recipient(name: str, found: str, is_carer: bool, consents: Sequence[JSON], visit: PatientVisit) -> Recipient:
    own = [c for c in consents if _names(c, f"Organization/{found}")]
    active = tuple(c for c in own if c["status"] == "active" and not _is_over(c, visit.dates))
    if active:
        return Recipient(found, name, is_carer, "shared", _words(active[0], visit.messages), active)
    latest = next(iter(own), None)
    return Recipient(found, name, is_carer, _state(latest))


def _state(latest: JSON | None) -> str:
    if latest is None:
        return "undecided"
    if is_withdrawn(latest):
        return "withdrawn"
    return {"rejected": "declined", "active": "ended"}.get(latest["status"], "undecided")


def _names(consent: JSON, organization: str) -> bool:
    root = consent.get("provision", {})
    actors = (actor["reference"].get("reference") for actor in root.get("actor", ()))
    return root.get("type") == "permit" and organization in actors


def _is_over(consent: JSON, dates: Dates) -> bool:
    end = consent["provision"].get("period", {}).get("end", "")
    return bool(end) and end[:10] < dates.today.isoformat()


def _words(consent: JSON, t: Messages) -> str:
    try:
        return describe(consent, t.language)
    except NoWording:
        return t("sharing.from-elsewhere")
