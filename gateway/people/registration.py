"""Registering a patient with a clinic: one person, one Patient, whoever registers first (architecture rule 5).

A duplicate person would be a clinical hazard, so a number that is known already links the organisation to the Patient
there is (gateway.store.registration). The organisation is told only that registration succeeded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.access import AccessContext
from gateway.store.changes import Create
from gateway.store.registration import NHS_NUMBER_SYSTEM, verified
from gateway.store.store import Store
from mappings.demographics import is_synthetic

SYNTHETIC_TAG = {"system": "https://backbridge.example/tags", "code": "synthetic", "display": "Synthetic data"}


@dataclass(frozen=True, slots=True)
class Registration:
    """What a clinic writes down: nhs_number is ten valid digits, checked with the person; phone, email may be empty."""

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
    resource = patient(registration, context.organization)
    change = Create("Patient", resource, json.dumps(resource, ensure_ascii=False))
    [committed] = await store.commit(context, [change])
    return committed.version.reference


def patient(registration: Registration, organization: str) -> dict[str, Any]:
    """The Patient resource; one whose number is of the test range is tagged as invented."""
    number = {"use": "official", "system": NHS_NUMBER_SYSTEM, "value": registration.nhs_number}
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"extension": [verified()], **number}],
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
