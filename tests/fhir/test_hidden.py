"""What a client may not see does not exist for the new doors either: patches, conditions and operations."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from fhir_client import DEVELOPER, Client, Resource, asking, bundle_of, statuses

from gateway.access import AccessContext
from tests.store.actors import clinic

JSON_PATCH = "application/json-patch+json"
OURS: AccessContext = clinic()
THEIRS: AccessContext = replace(
    clinic("Organization/other-clinic"), actors=(clinic("Organization/other-clinic").actors[1],)
)
MALE = json.dumps([{"op": "add", "path": "/gender", "value": "male"}]).encode()


@pytest.fixture
def hidden(client: Client) -> Resource:
    """A patient of the other clinic, with an observation; the client then acts for our clinic."""
    client.context = THEIRS
    patient = client.created(
        {
            "resourceType": "Patient",
            "identifier": [{"system": "urn:s", "value": "1"}],
            "name": [{"family": "Sand", "given": ["Kim"]}],
            "birthDate": "1980-02-29",
        }
    )
    subject = {"reference": f"Patient/{patient['id']}"}
    client.created({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": subject})
    client.context = OURS
    return patient


def untouched(client: Client, patient: Resource) -> bool:
    client.context = DEVELOPER
    return client.get(f"Patient/{patient['id']}").headers["etag"] == 'W/"1"'


@pytest.mark.parametrize("url", ["Patient/{id}", "Patient?identifier=urn:s|1"])
def test_a_hidden_resource_cannot_be_patched(client: Client, hidden: Resource, url: str) -> None:
    answer = client.request("PATCH", url.format(**hidden), MALE, content_type=JSON_PATCH)
    absent = client.request("PATCH", url.format(id="absent"), MALE, content_type=JSON_PATCH)
    assert (answer.status, absent.status) == (404, 404)
    assert answer.content == absent.content
    assert untouched(client, hidden)


def test_a_conditional_update_does_not_see_it_and_creates(client: Client, hidden: Resource) -> None:
    body = {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": "1"}]}
    created = client.put("Patient?identifier=urn:s|1", body)
    assert created.status == 201
    assert created.json["id"] != hidden["id"]
    assert client.put("Patient?identifier=urn:s|1", {**body, "gender": "male"}).status == 200
    assert untouched(client, hidden)


def test_a_conditional_delete_leaves_it(client: Client, hidden: Resource) -> None:
    assert client.delete("Patient?identifier=urn:s|1").status == 204
    answer = client.post("", bundle_of("transaction", asking("DELETE", "Patient?identifier=urn:s|1")))
    assert statuses(answer.json) == ["204"]
    assert untouched(client, hidden)


@pytest.mark.parametrize("operation", ["$everything", "$meta", "$validate"])
def test_an_operation_on_it_is_404_as_on_nobody(client: Client, hidden: Resource, operation: str) -> None:
    answers = [client.get(f"Patient/{logical_id}/{operation}") for logical_id in (hidden["id"], "absent")]
    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


def test_its_meta_cannot_be_changed(client: Client, hidden: Resource) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}]}
    assert client.post(f"Patient/{hidden['id']}/$meta-add", body).status == 404
    assert untouched(client, hidden)


def test_match_does_not_know_them(client: Client, hidden: Resource) -> None:
    asked = {name: hidden[name] for name in ("resourceType", "identifier", "name", "birthDate")}
    assert client.post("Patient/$match", asked).json["total"] == 0
    client.context = THEIRS
    assert client.post("Patient/$match", asked).json["total"] == 1


def test_everything_has_only_what_the_reader_may_see(client: Client, hidden: Resource) -> None:
    """The clinic sees what it wrote itself; the measured value of the other clinic's patient is not in its world."""
    mine = client.created({"resourceType": "Patient"})
    client.context = DEVELOPER
    shared: dict[str, Any] = {"resourceType": "Group", "type": "person", "actual": True}
    both = [{"entity": {"reference": f"Patient/{each['id']}"}} for each in (mine, hidden)]
    client.created({**shared, "member": both})
    assert len(client.get(f"Patient/{mine['id']}/$everything").json["entry"]) == 3
    client.context = OURS
    seen = client.get(f"Patient/{mine['id']}/$everything").json["entry"]
    assert [entry["resource"]["id"] for entry in seen] == [mine["id"]]


def test_a_document_cannot_be_made_with_a_part_that_is_hidden(client: Client, hidden: Resource) -> None:
    mine = client.created({"resourceType": "Patient"})
    composition: Resource = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "summary"},
        "subject": {"reference": f"Patient/{mine['id']}"},
        "date": "2026-01-10",
        "author": [{"display": "somebody"}],
        "title": "Summary",
    }
    url = f"Composition/{client.created(composition)['id']}/$document"
    assert client.get(url).status == 200
    client.context = THEIRS
    private = {"resourceType": "Observation", "status": "final", "code": {"text": "about nobody"}}
    part = client.created(private)
    client.context = OURS
    section = [{"title": "x", "entry": [{"reference": f"Observation/{part['id']}"}]}]
    withheld = f"Composition/{client.created({**composition, 'section': section})['id']}/$document"
    assert client.get(withheld).status == 422
