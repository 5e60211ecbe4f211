"""Composition/[id]/$document as a client sees it."""

from __future__ import annotations

import pytest
from fhir_client import BASE, Client, Resource

from gateway.access import Scope, ScopeSet
from gateway.r4.parse import parse
from gateway.r4.validate import validator

COMPOSITION: Resource = {
    "resourceType": "Composition",
    "id": "c1",
    "status": "final",
    "type": {"text": "summary"},
    "subject": {"reference": "Patient/p1"},
    "date": "2026-01-10",
    "author": [{"reference": f"{BASE}/Practitioner/d1"}],
    "custodian": {"reference": "Organization/o1"},
    "title": "Summary",
    "relatesTo": [{"code": "replaces", "targetReference": {"reference": "Composition/older"}}],
    "section": [{"title": "x", "entry": [{"reference": "Observation/a"}, {"reference": "Observation/a"}],
                 "section": [{"title": "y", "entry": [{"reference": "Observation/b/_history/1"}]}]}],
}  # fmt: skip


@pytest.fixture
def record(client: Client) -> Client:
    for resource in (
        {"resourceType": "Patient", "id": "p1"},
        {"resourceType": "Practitioner", "id": "d1"},
        {"resourceType": "Organization", "id": "o1", "name": "Clinic"},
        *({"resourceType": "Observation", "id": name, "status": "final", "code": {"text": "x"},
           "subject": {"reference": "Patient/p1"}} for name in "ab"),
        COMPOSITION,
    ):  # fmt: skip
        client.put(f"{resource['resourceType']}/{resource['id']}", resource)
    with_number = (
        b'{"resourceType":"Observation","id":"a","status":"final","code":{"text":"x"},'
        b'"subject":{"reference":"Patient/p1"},"valueQuantity":{"value":105.00}}'
    )
    client.request("PUT", "Observation/a", with_number)
    return client


def test_a_document_has_the_composition_first_and_all_it_refers_to(record: Client) -> None:
    answer = record.get("Composition/c1/$document")
    assert answer.status == 200
    urls = [entry["fullUrl"].removeprefix(f"{BASE}/") for entry in answer.json["entry"]]
    assert urls == [
        "Composition/c1",
        "Patient/p1",
        "Practitioner/d1",
        "Organization/o1",
        "Observation/a",
        "Observation/b",
    ]
    assert b'"value":105.00' in answer.content
    assert validator().validate(parse(answer.content), "Bundle") == []
    assert answer.json["type"] == "document"
    assert answer.json["identifier"] != record.get("Composition/c1/$document").json["identifier"]


def test_a_document_can_be_kept(record: Client) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "persist", "valueBoolean": True}]}
    kept = record.post("Composition/c1/$document", body)
    assert kept.status == 200
    assert kept.headers["location"] == f"{BASE}/Bundle/{kept.json['id']}/_history/1"
    assert record.get(f"Bundle/{kept.json['id']}").content == kept.content
    assert record.get("Composition/c1/$document?persist=true").status == 400
    assert record.get("Bundle?_summary=count").json["total"] == 1


def test_a_document_is_never_made_with_a_part_missing(record: Client) -> None:
    record.delete("Observation/b")
    refused = record.get("Composition/c1/$document")
    assert (refused.status, refused.issue["code"]) == (422, "incomplete")


def test_a_document_needs_the_scopes_of_its_parts(record: Client) -> None:
    record.acting_with(ScopeSet((Scope("system", "Composition", frozenset("r")),)))
    assert record.get("Composition/c1/$document").status == 403
    record.acting_with(ScopeSet((Scope("system", "*", frozenset("r")),)))
    assert record.get("Composition/c1/$document").status == 200
    assert record.post("Composition/c1/$document?persist=true", None).status == 403


def test_the_document_of_what_is_not_there_is_404(record: Client) -> None:
    assert record.get("Composition/absent/$document").status == 404
    assert record.get("Composition/not_an_id/$document").status == 404
    assert record.get("Patient/p1/$document").status == 404
