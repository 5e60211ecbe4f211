"""The peers' behavioural checks of search, each through the door: which resources a query finds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fhir_client import Client, Resource

LOINC = "http://loinc.org"


def person(logical_id: str, family: str, given: str, **more: object) -> Resource:
    return {"resourceType": "Patient", "id": logical_id, "name": [{"family": family, "given": [given]}], **more}


def measured(logical_id: str, patient: str, day: str, kilograms: float) -> Resource:
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "29463-7"}], "text": "Body weight"},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": day,
        "valueQuantity": {"value": kilograms, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }


def pressure(logical_id: str, patient: str, systolic: int, diastolic: int) -> Resource:
    def part(code: str, value: int) -> Resource:
        coding = {"system": LOINC, "code": code}
        return {"code": {"coding": [coding]}, "valueQuantity": {"value": value, "unit": "mmHg"}}

    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "85354-9"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "component": [part("8480-6", systolic), part("8462-4", diastolic)],
    }


PEOPLE = [
    person(
        "p1", "Ødegård", "Kari", gender="female", birthDate="1980-02-29",
        identifier=[{"system": "urn:s", "value": "1"}], managingOrganization={"reference": "Organization/o1"},
    ),
    person(
        "p2", "Smithson", "Kari", gender="male", birthDate="1980-03-01", identifier=[{"system": "urn:t", "value": "1"}]
    ),
    person("p3", "Smith", "Anna"),
]  # fmt: skip
OTHERS = [
    {"resourceType": "Organization", "id": "o1", "name": "Clinic"},
    measured("w1", "p1", "2026-01-10", 70.5),
    measured("w2", "p1", "2026-02-10", 71.0),
    measured("w3", "p2", "2026-02-10", 90.0),
    pressure("b1", "p1", 150, 80),
    pressure("b2", "p2", 120, 95),
]


@pytest.fixture(scope="module")
def clinic(make_endpoint: Callable[..., Client]) -> Client:
    client = make_endpoint()
    for resource in (*PEOPLE, *OTHERS):
        assert client.put(f"{resource['resourceType']}/{resource['id']}", resource).status == 201
    return client


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Patient?family=%C3%B8degard", "p1"),
        ("Patient?family=Smith", "p2 p3"),
        ("Patient?family:contains=mithso", "p2"),
        ("Patient?family:exact=Smith", "p3"),
        ("Patient?birthdate:missing=true", "p3"),
        ("Patient?gender:missing=false", "p1 p2"),
        ("Patient?gender:not=female", "p2 p3"),
        ("Patient?identifier=urn:s|", "p1"),
        ("Patient?identifier=urn:t|1", "p2"),
        ("Patient?identifier=1", "p1 p2"),
        ("Patient?birthdate=1980-02", "p1"),
        ("Patient?birthdate=ge1980-02-01&birthdate=lt1980-03-01", "p1"),
        ("Observation?date=ge2026-01-01&date=le2026-01-31", "w1"),
        ("Observation?value-quantity=gt70.5|http://unitsofmeasure.org|kg", "w2 w3"),
        ("Observation?code-value-quantity=http://loinc.org|29463-7$gt80", "w3"),
        ("Observation?component-code-value-quantity=http://loinc.org|8480-6$gt140", "b1"),
        # 95 is diastolic: a systolic above 140 must not be found in the other component.
        ("Observation?component-code-value-quantity=http://loinc.org|8462-4$gt140", ""),
        ("Observation?subject:Patient.family=Smithson", "b2 w3"),
        ("Observation?patient.identifier=urn:s|1", "b1 w1 w2"),
        ("Observation?patient=p2", "b2 w3"),
        ("Patient?_has:Observation:patient:code=http://loinc.org|29463-7", "p1 p2"),
        ("Patient?organization=Organization/o1", "p1"),
        ("Patient?_id=p1,p3", "p1 p3"),
    ],
)
def test_a_search_finds_exactly_what_fits(clinic: Client, query: str, found: str) -> None:
    bundle = clinic.get(f"{query}&_total=accurate").json
    assert sorted(entry["resource"]["id"] for entry in bundle.get("entry", ())) == found.split()
    assert bundle["total"] == len(found.split())


@pytest.mark.parametrize(
    ("query", "matches", "included"),
    [
        ("Observation?_id=w1&_include=Observation:subject", "w1", "p1"),
        ("Patient?_id=p2&_revinclude=Observation:subject", "p2", "b2 w3"),
        ("Observation?_id=w1&_include=Observation:subject&_include:iterate=Patient:organization", "w1", "o1 p1"),
    ],
)
def test_a_search_brings_along_what_it_is_asked_to(clinic: Client, query: str, matches: str, included: str) -> None:
    by_mode: dict[str, list[str]] = {"match": [], "include": []}
    for entry in clinic.get(query).json["entry"]:
        by_mode[entry["search"]["mode"]].append(entry["resource"]["id"])
    assert by_mode["match"] == matches.split()
    assert sorted(by_mode["include"]) == included.split()


def test_a_search_is_sorted_by_two_keys(clinic: Client) -> None:
    entries = clinic.get("Patient?_sort=given,-birthdate").json["entry"]
    assert [entry["resource"]["id"] for entry in entries] == ["p3", "p2", "p1"]
