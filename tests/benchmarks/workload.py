"""Synthetic patients and bundles from a fixed seed, in the shape of the published workloads (docs/performance.md)."""

from __future__ import annotations

import random
import uuid
from typing import Any

import orjson

CODES = [
    "8302-2", "29463-7", "39156-5", "8480-6", "8462-4", "8867-4",
    "9279-1", "8310-5", "2339-0", "4548-4", "2093-3", "718-7",
]  # fmt: skip
IDENTIFIER_SYSTEM = "https://backbridge.example/benchmark"


def patient(number: int) -> dict[str, Any]:
    """A Patient of about 1.6 kB: narrative, identifiers, names, contacts, address."""
    seed = random.Random(number)
    family = f"Sample{seed.randrange(10_000)}"
    return {
        "resourceType": "Patient",
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{family}, synthetic person {number}.</p></div>',
        },
        "extension": [
            {"url": "https://backbridge.example/benchmark/one", "valueString": "made for measuring"},
            {"url": "https://backbridge.example/benchmark/two", "valueBoolean": True},
        ],
        "identifier": [
            {"use": "usual", "system": IDENTIFIER_SYSTEM, "value": f"p{number}"},
            {"system": "urn:oid:1.2.36.146.595.217.0.1", "value": f"{seed.randrange(10**9):09}"},
            {"system": "urn:benchmark:account", "value": uuid.UUID(int=seed.getrandbits(128)).hex},
        ],
        "active": True,
        "name": [
            {"use": "official", "family": family, "given": ["Sam", f"Given{seed.randrange(500)}"], "prefix": ["Mx"]}
        ],
        "telecom": [
            {"system": "phone", "value": f"01632 {seed.randrange(10**6):06}", "use": "home"},
            {"system": "email", "value": f"person{number}@example.org"},
        ],
        "gender": seed.choice(["female", "male", "other"]),
        "birthDate": f"19{seed.randrange(30, 99)}-0{seed.randrange(1, 9)}-1{seed.randrange(0, 9)}",
        "address": [
            {
                "use": "home",
                "line": [f"{seed.randrange(1, 200)} Measured Street"],
                "city": "Exampleton",
                "postalCode": "EX1 1AA",
                "country": "GB",
            }
        ],
        "maritalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M"}],
            "text": "Married",
        },
        "communication": [
            {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en-GB"}]}, "preferred": True}
        ],
    }


def bundle(number: int) -> bytes:
    """A transaction of 100 entries about one new patient, wired by urn:uuid references."""
    seed = random.Random(number)
    person = _uuid(seed)
    entries = [_entry(patient(number), person)]
    about = {"reference": person}
    entries += [_entry(_encounter(about, seed), _uuid(seed)) for _ in range(6)]
    entries += [_entry(_condition(about, seed), _uuid(seed)) for _ in range(12)]
    entries += [_entry(_medication_request(about, seed), _uuid(seed)) for _ in range(8)]
    entries += [_entry(_procedure(about, seed), _uuid(seed)) for _ in range(8)]
    entries += [_entry(_observation(about, seed), _uuid(seed)) for _ in range(65)]
    return orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _entry(resource: dict[str, Any], full_url: str) -> dict[str, Any]:
    request = {"method": "POST", "url": resource["resourceType"]}
    return {"fullUrl": full_url, "resource": resource, "request": request}


def _uuid(seed: random.Random) -> str:
    return f"urn:uuid:{uuid.UUID(int=seed.getrandbits(128), version=4)}"


def _moment(seed: random.Random) -> str:
    year, month, day = seed.randrange(2008, 2025), seed.randrange(1, 13), seed.randrange(1, 29)
    return f"{year}-{month:02}-{day:02}T10:{seed.randrange(60):02}:00Z"


def _loinc(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://loinc.org", "code": code}], "text": f"LOINC {code}"}


def _observation(about: dict[str, str], seed: random.Random) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "vital-signs",
                    }
                ]
            }
        ],
        "code": _loinc(seed.choice(CODES)),
        "subject": about,
        "effectiveDateTime": _moment(seed),
        "valueQuantity": {
            "value": seed.randrange(10, 2000) / 10,
            "unit": "cm",
            "system": "http://unitsofmeasure.org",
            "code": "cm",
        },
    }


def _encounter(about: dict[str, str], seed: random.Random) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": about,
        "period": {"start": _moment(seed)},
    }


def _condition(about: dict[str, str], seed: random.Random) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "code": {"text": f"Condition {seed.randrange(50)}"},
        "subject": about,
        "onsetDateTime": _moment(seed),
    }


def _medication_request(about: dict[str, str], seed: random.Random) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": f"Medicine {seed.randrange(50)}"},
        "subject": about,
        "authoredOn": _moment(seed),
    }


def _procedure(about: dict[str, str], seed: random.Random) -> dict[str, Any]:
    return {
        "resourceType": "Procedure",
        "status": "completed",
        "code": {"text": f"Procedure {seed.randrange(50)}"},
        "subject": about,
        "performedDateTime": _moment(seed),
    }
