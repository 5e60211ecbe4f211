"""The people and systems who ask, and the resources they bring, as the store's tests need them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from gateway.access import AccessContext, Purpose, actor_key
from gateway.fhir.search_syntax import parse_search
from gateway.store.changes import Create, Delete, Update
from gateway.store.query import Search

CLINIC = "Organization/clinic"
OTHER_CLINIC = "Organization/other-clinic"


def clinic(organization: str = CLINIC, **options: Any) -> AccessContext:
    """A member of staff of an organisation, asking for treatment."""
    return AccessContext(
        actors=(actor_key("Practitioner/ada"), actor_key(organization)),
        agent="Practitioner/ada",
        client="web",
        activity="direct-care",
        request_id="test",
        organization=organization,
        **options,
    )


def patient(logical_id: str) -> AccessContext:
    """The patient, asking for themself."""
    key = actor_key(f"Patient/{logical_id}")
    return AccessContext(
        actors=(key,),
        agent=f"Patient/{logical_id}",
        client="web",
        activity="self-management",
        request_id="test",
        purpose=Purpose.PATRQT,
        subject=key,
    )


OPEN = AccessContext(
    actors=(), agent="Device/open-access", client="open-access", activity="development", request_id="test", bypass=True
)


def create(resource: Mapping[str, Any], **options: Any) -> Create:
    return Create(resource["resourceType"], dict(resource), json.dumps(resource), **options)


def update(logical_id: str, resource: Mapping[str, Any], if_match: int | None = None) -> Update:
    body = {**resource, "id": logical_id}
    return Update(resource["resourceType"], logical_id, body, json.dumps(body), if_match)


def delete(resource_type: str, logical_id: str) -> Delete:
    return Delete(resource_type, logical_id)


def search(resource_type: str, query: str = "", cursor: str | None = None) -> Search:
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    if cursor:
        pairs.append(("_cursor", cursor))
    return parse_search(resource_type, pairs, strict=True).search


def person(family: str = "Sand", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "name": [{"family": family}], **more}


def observation(patient_id: str, code: str = "8302-2", value: float = 1.0, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{patient_id}"},
        "valueQuantity": {"value": value, "unit": "cm", "system": "http://unitsofmeasure.org", "code": "cm"},
        **more,
    }
