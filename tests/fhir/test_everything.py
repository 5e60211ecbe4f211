"""Patient/[id]/$everything as a client sees it."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from fhir_client import Client, Resource

from gateway.access import Scope, ScopeSet
from gateway.fhir import everything
from gateway.r4.search_parameters import PARAMETERS, compartment_parameters

OPERATION = "Patient/p1/$everything"


def about(kind: str, logical_id: str, patient: str, **more: Any) -> Resource:
    return {"resourceType": kind, "id": logical_id, "subject": {"reference": f"Patient/{patient}"}, **more}


def measured(logical_id: str, patient: str, day: str | None) -> Resource:
    dated = {"effectiveDateTime": day} if day else {}
    return about("Observation", logical_id, patient, status="final", code={"text": "x"}, **dated)


@pytest.fixture
def record(client: Client) -> Client:
    """Two patients, each with some of a record, and a clinic."""
    resources: list[Resource] = [
        {"resourceType": "Organization", "id": "o1", "name": "Clinic"},
        {"resourceType": "Organization", "id": "o2", "name": "Nobody's"},
        {"resourceType": "Practitioner", "id": "d1"},
        {"resourceType": "Patient", "id": "p1", "managingOrganization": {"reference": "Organization/o1"}},
        {"resourceType": "Patient", "id": "p2"},
        {**measured("a", "p1", "2026-01-10"), "performer": [{"reference": "Practitioner/d1"}]},
        measured("b", "p1", "2026-02-10"),
        measured("undated", "p1", None),
        measured("other", "p2", "2026-01-10"),
        about("Condition", "c", "p1", onsetDateTime="2025-06-01", code={"text": "pain"}),
        about("Goal", "g", "p1", lifecycleStatus="active", description={"text": "walk"}),
    ]
    for resource in resources:
        assert client.put(f"{resource['resourceType']}/{resource['id']}", resource).status == 201
    return client


def ids(bundle: Any, mode: str | None = None) -> set[str]:
    entries: Iterable[Any] = bundle.get("entry", ())
    return {entry["resource"]["id"] for entry in entries if mode in (None, entry["search"]["mode"])}


def test_the_record_is_the_compartment_and_what_it_refers_to(record: Client) -> None:
    answer = record.get(OPERATION)
    assert (answer.status, answer.json["type"]) == (200, "searchset")
    assert ids(answer.json, "match") == {"p1", "a", "b", "undated", "c", "g"}
    assert ids(answer.json, "include") == {"o1", "d1"}
    assert "next" not in {link["relation"] for link in answer.json["link"]}
    assert record.post(OPERATION, None).json["entry"] == answer.json["entry"]


def test_pages_follow_each_other_until_everything_was_told_once(record: Client) -> None:
    url: str | None = f"{OPERATION}?_count=2"
    told: list[str] = []
    while url:
        page = record.get(url).json
        told += [entry["resource"]["id"] for entry in page["entry"] if entry["search"]["mode"] == "match"]
        assert len(ids(page, "match")) <= 2
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert sorted(told) == ["a", "b", "c", "g", "p1", "undated"]


def test_types_can_be_chosen(record: Client) -> None:
    assert ids(record.get(f"{OPERATION}?_type=Observation").json) == {"a", "b", "undated"}
    assert ids(record.get(f"{OPERATION}?_type=Observation,Practitioner").json) == {"a", "b", "undated", "d1"}
    assert ids(record.get(f"{OPERATION}?_type=Goal&_type=Condition").json) == {"g", "c"}
    assert record.get(f"{OPERATION}?_type=Nothing").status == 400
    assert record.get(f"{OPERATION}?_type=Practitioner").status == 400


def test_a_period_of_care_leaves_out_what_was_over_before_or_began_after(record: Client) -> None:
    assert ids(record.get(f"{OPERATION}?start=2026-01-15&_type=Observation,Condition").json) == {"b", "undated"}
    assert ids(record.get(f"{OPERATION}?end=2026-01-15&_type=Observation,Condition").json) == {"a", "undated", "c"}
    between = record.get(f"{OPERATION}?start=2026-01-10&end=2026-01-10&_type=Observation").json
    assert ids(between) == {"a", "undated"}
    # The patient has no date of care.
    assert "p1" in ids(record.get(f"{OPERATION}?start=2030").json)


def test_since_asks_for_what_was_stored_from_then_on(record: Client) -> None:
    stored = record.get("Observation/b").json["meta"]["lastUpdated"]
    later = record.get(f"{OPERATION}?_since={stored}&_type=Observation,Goal,Condition").json
    assert {"c", "g"} <= ids(later)
    assert ids(record.get(f"{OPERATION}?_since=2099-01-01T00:00:00Z").json) == set()


def test_parameters_may_come_in_a_body(record: Client) -> None:
    body = {"resourceType": "Parameters", "parameter": [
        {"name": "_type", "valueCode": "Observation"}, {"name": "end", "valueDate": "2026-01-15"},
        {"name": "_count", "valueInteger": 10},
    ]}  # fmt: skip
    assert ids(record.post(OPERATION, body).json) == {"a", "undated"}


@pytest.mark.parametrize(
    "query",
    ["start=yesterday", "end=2026-13-01", "_since=x", "_count=ten", "_cursor=made-up", "colour=red", "_count=-1"],
)
def test_what_cannot_be_understood_is_400(record: Client, query: str) -> None:
    refused = record.get(f"{OPERATION}?{query}")
    assert (refused.status, refused.json["resourceType"]) == (400, "OperationOutcome")


def test_the_record_of_nobody_is_404_and_of_someone_deleted_410(record: Client) -> None:
    assert record.get("Patient/absent/$everything").status == 404
    assert record.get("Patient/not_an_id/$everything").status == 404
    record.delete("Patient/p2")
    assert record.get("Patient/p2/$everything").status == 410


def test_scopes_say_which_types_are_in_the_record(record: Client) -> None:
    record.acting_with(
        ScopeSet((Scope("system", "Patient", frozenset("rs")), Scope("system", "Goal", frozenset("rs"))))
    )
    assert ids(record.get(OPERATION).json) == {"p1", "g"}
    assert record.get(f"{OPERATION}?_type=Observation").status == 403
    record.acting_with(ScopeSet((Scope("system", "Goal", frozenset("rs")),)))
    assert record.get(OPERATION).status == 403


def test_every_type_of_the_compartment_has_a_row_with_a_date_parameter_or_none() -> None:
    path = Path(everything.__file__).with_name("care-dates.csv")
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    compartment = {name for name in PARAMETERS if compartment_parameters("Patient", name)} | {"Patient"}
    assert {row["type"] for row in rows} == compartment
    dated = [row for row in rows if row["parameter"]]
    assert all(PARAMETERS[row["type"]][row["parameter"]].kind == "date" for row in dated)
    assert all(row["why"] for row in rows)
