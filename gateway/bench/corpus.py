"""Synthetic people and their records from a fixed seed, in the shape of the published workloads, labelled as test data.

A run has a name of its own in every identifier, so that a server may be measured again without starting anew.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

Resource = dict[str, Any]

LOINC = "http://loinc.org"
IDENTIFIER_SYSTEM = "https://backbridge.example/benchmark"
# Codes of no terminology: nothing here says what anybody has or was given.
MADE_UP = "https://backbridge.example/benchmark/code"
CODES = (
    "8302-2", "29463-7", "39156-5", "8480-6", "8462-4", "8867-4",
    "9279-1", "8310-5", "2339-0", "4548-4", "2093-3", "718-7",
)  # fmt: skip
FIRST_YEAR, LAST_YEAR = 2008, 2024
# Fictional names: enough of them that a prefix is selective, few enough that it finds several people.
_FAMILIES = tuple(
    start + middle + end
    for start in ("Sand", "Ash", "Brook", "Moor", "Thorn", "Wick", "Hale", "Larch")
    for middle in ("", "er", "en", "ing")
    for end in ("ford", "ton", "by", "ley", "worth")
)
_GIVEN = ("Alex", "Robin", "Sam", "Jo", "Kim", "Ashley", "Noor", "Charlie", "Jean", "Dana", "Ari", "Lee")
_CITIES = ("Exampleton", "Testbury", "Samplewich", "Mockham")
# Test data: HL7 v3 ActReason HTEST.
LABEL = {"tag": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]}


def repeatable(seed: int | str) -> random.Random:
    """Values that are drawn at random, and the same for everybody who starts from this seed."""
    return random.Random(seed)  # noqa: S311 - figures to repeat, nothing to keep secret


@dataclass(frozen=True)
class Corpus:
    """
    The data that every server of a run is loaded with.

    run      goes into every identifier
    bundles  transactions of 100 entries, each about one person
    """

    run: str
    bundles: int

    @cached_property
    def entries(self) -> list[list[Resource]]:
        """The resources of each bundle; references are by `urn:uuid:`, and the first of a bundle is its Patient."""
        return [[each["resource"] for each in orjson.loads(body)["entry"]] for body in self.bodies]

    @cached_property
    def bodies(self) -> list[bytes]:
        return [bundle(self.run, number) for number in range(self.bundles)]

    def patient(self, number: int) -> Resource:
        return self.entries[number][0]


def patient(run: str, number: int) -> Resource:
    """A Patient of about 1.6 kB: narrative, identifiers, names, contacts, address."""
    seed = repeatable(number)
    family = seed.choice(_FAMILIES)
    return {
        "resourceType": "Patient",
        "meta": LABEL,
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{family}, synthetic person {number}.</p></div>',
        },
        "extension": [
            {"url": "https://backbridge.example/benchmark/one", "valueString": "made for measuring"},
            {"url": "https://backbridge.example/benchmark/two", "valueBoolean": True},
        ],
        "identifier": [
            {"use": "usual", "system": IDENTIFIER_SYSTEM, "value": f"{run}-p{number}"},
            {"system": "urn:oid:1.2.36.146.595.217.0.1", "value": f"{seed.randrange(10**9):09}"},
            {"system": "urn:benchmark:account", "value": uuid.UUID(int=seed.getrandbits(128)).hex},
        ],
        "active": True,
        "name": [
            {
                "use": "official",
                "family": family,
                "given": [seed.choice(_GIVEN), f"Given{seed.randrange(500)}"],
                "prefix": ["Mx"],
            }
        ],
        "telecom": [
            {"system": "phone", "value": f"01632 {seed.randrange(10**6):06}", "use": "home"},
            {"system": "email", "value": f"person{number}@example.org"},
        ],
        "gender": seed.choice(["female", "male", "other"]),
        "birthDate": f"19{seed.randrange(30, 99)}-0{seed.randrange(1, 10)}-1{seed.randrange(0, 10)}",
        "address": [
            {
                "use": "home",
                "line": [f"{seed.randrange(1, 200)} Measured Street"],
                "city": seed.choice(_CITIES),
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


def bundle(run: str, number: int) -> bytes:
    """A transaction of 100 entries about one new patient, wired by urn:uuid references."""
    seed = repeatable(number)
    person = _uuid(seed)
    about = {"reference": person}
    makers = [encounter] * 6 + [condition] * 12 + [medication_request] * 8 + [procedure] * 8 + [observation] * 65
    entries = [_entry(patient(run, number), person)]
    entries += [_entry(make(about, seed), _uuid(seed)) for make in makers]
    return orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def observation(about: dict[str, str], seed: random.Random) -> Resource:
    return {
        "resourceType": "Observation",
        "meta": LABEL,
        "status": "final",
        "category": [coded("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")],
        "code": {**coded(LOINC, seed.choice(CODES)), "text": "a measurement made up"},
        "subject": about,
        "effectiveDateTime": _moment(seed),
        "valueQuantity": {
            "value": seed.randrange(10, 2000) / 10,
            "unit": "cm",
            "system": "http://unitsofmeasure.org",
            "code": "cm",
        },
    }


def encounter(about: dict[str, str], seed: random.Random) -> Resource:
    return {
        "resourceType": "Encounter",
        "meta": LABEL,
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": about,
        "period": {"start": (start := _moment(seed)), "end": start.replace(":00Z", ":40Z")},
    }


def condition(about: dict[str, str], seed: random.Random) -> Resource:
    return {
        "resourceType": "Condition",
        "meta": LABEL,
        "clinicalStatus": coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
        "code": {**coded(MADE_UP, f"c{seed.randrange(40)}"), "text": "a condition made up"},
        "subject": about,
        "onsetDateTime": _moment(seed),
    }


def medication_request(about: dict[str, str], seed: random.Random) -> Resource:
    return {
        "resourceType": "MedicationRequest",
        "meta": LABEL,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {**coded(MADE_UP, f"c{seed.randrange(40)}"), "text": "made up"},
        "subject": about,
        "authoredOn": _moment(seed),
    }


def procedure(about: dict[str, str], seed: random.Random) -> Resource:
    return {
        "resourceType": "Procedure",
        "meta": LABEL,
        "status": "completed",
        "code": {**coded(MADE_UP, f"c{seed.randrange(40)}"), "text": "a procedure made up"},
        "subject": about,
        "performedDateTime": _moment(seed),
    }


def coded(system: str, code: str) -> Resource:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code}]}


def _entry(resource: Resource, full_url: str) -> Resource:
    request = {"method": "POST", "url": resource["resourceType"]}
    return {"fullUrl": full_url, "resource": resource, "request": request}


def _uuid(seed: random.Random) -> str:
    return f"urn:uuid:{uuid.UUID(int=seed.getrandbits(128), version=4)}"


def _moment(seed: random.Random) -> str:
    year, month, day = seed.randrange(FIRST_YEAR, LAST_YEAR + 1), seed.randrange(1, 13), seed.randrange(1, 29)
    return f"{year}-{month:02}-{day:02}T10:{seed.randrange(60):02}:00Z"
