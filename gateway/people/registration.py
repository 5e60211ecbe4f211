"""Registering a patient with a clinic: one person, one Patient, whoever registers first (architecture rule 5).

A duplicate person would be a clinical hazard, so a number that is known already links the organisation to the Patient
there is. The organisation is told only that registration succeeded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.access import AccessContext
from gateway.people.relationships import Reason
from gateway.r4.identity import new_id
from gateway.store.changes import Create
from gateway.store.store import Store
from mappings.demographics import NHS_NUMBER_SYSTEM, is_synthetic

SYNTHETIC_TAG = {"system": "https://backbridge.example/tags", "code": "synthetic", "display": "Invented person"}


@dataclass(frozen=True, slots=True)
class Registration:
    """What a clinic writes down: nhs_number is ten valid digits; phone and email may be empty."""

    nhs_number: str
    given: str
    family: str
    born: date
    phone: str = ""
    email: str = ""


async def register(store: Store, context: AccessContext, registration: Registration) -> str:
    """
    The reference of the Patient with this number, who is now in the care of the context's organisation.

    raises  what `store.commit` raises
    """
    assert context.organization is not None, "registration is the act of an organisation"
    known = await store.link_by_identifier(context, NHS_NUMBER_SYSTEM, registration.nhs_number)
    if known is not None:
        await store.open_relationship(context, context.organization, known, Reason.REGISTRATION)
        return known
    resource = patient(registration, context.organization)
    change = Create("Patient", resource, json.dumps(resource, ensure_ascii=False), id=new_id())
    committed = (await store.commit(context, [change]))[0]
    return committed.version.reference


def patient(registration: Registration, organization: str) -> dict[str, Any]:
    """The Patient resource; one whose number is of the test range is tagged as invented."""
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"use": "official", "system": NHS_NUMBER_SYSTEM, "value": registration.nhs_number}],
        "active": True,
        "name": [{"use": "official", "family": registration.family, "given": registration.given.split()}],
        "birthDate": registration.born.isoformat(),
        "managingOrganization": {"reference": organization},
    }
    if is_synthetic(registration.nhs_number):
        resource["meta"] = {"tag": [SYNTHETIC_TAG]}
    telecom = [
        {"system": system, "value": value}
        for system, value in (("phone", registration.phone), ("email", registration.email))
        if value
    ]
    if telecom:
        resource["telecom"] = telecom
    return resource
