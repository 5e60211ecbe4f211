"""$meta, $meta-add and $meta-delete as a client sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir_client import Client, Resource

TAG = {"system": "urn:example:tags", "code": "follow-up"}
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
PROFILE = "http://example.org/StructureDefinition/patient"


def parameters(meta: Any) -> Resource:
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}


def returned(body: Any) -> Resource:
    (parameter,) = body["parameter"]
    assert parameter["name"] == "return"
    found: Resource = parameter["valueMeta"]
    return found


def test_meta_is_told(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created({**patient, 'meta': {'tag': [TAG]}})['id']}"
    told = client.get(f"{url}/$meta")
    assert (told.status, told.headers["etag"]) == (200, 'W/"1"')
    assert returned(told.json)["tag"] == [TAG]
    assert client.post(f"{url}/$meta", None).json == told.json


def test_what_is_added_is_there_once_and_makes_a_version(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    wanted = {"tag": [TAG], "security": [LABEL], "profile": [PROFILE]}
    added = client.post(f"{url}/$meta-add", parameters(wanted))
    assert (added.status, added.headers["etag"]) == (200, 'W/"2"')
    assert {name: returned(added.json)[name] for name in wanted} == wanted
    again = client.post(f"{url}/$meta-add", parameters({"tag": [{**TAG, "display": "Follow-up"}]}))
    assert (again.headers["etag"], returned(again.json)["tag"]) == ('W/"2"', [TAG])
    assert client.get(url).json["meta"]["security"] == [LABEL]
    assert "security" not in client.get(f"{url}/_history/1").json["meta"]


def test_what_is_deleted_is_gone_and_the_rest_stays(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created({**patient, 'meta': {'tag': [TAG], 'security': [LABEL]}})['id']}"
    left = client.post(f"{url}/$meta-delete", parameters({"tag": [TAG], "profile": [PROFILE]}))
    assert (left.status, left.headers["etag"]) == (200, 'W/"2"')
    assert "tag" not in returned(left.json)
    assert returned(left.json)["security"] == [LABEL]
    assert client.get(url).json["name"] == patient["name"]


@pytest.mark.parametrize(
    "body",
    [None, {"resourceType": "Parameters"}, parameters({"tag": TAG}), parameters({"profile": [1]}), parameters("x"),
     {"resourceType": "Patient"}, {"resourceType": "Parameters", "parameter": {"name": "meta"}},
     {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {}}] * 2}],
)  # fmt: skip
def test_without_a_proper_meta_it_is_400(client: Client, patient: Resource, body: Any) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    assert client.post(f"{url}/$meta-add", body).status == 400
    assert client.get(url).headers["etag"] == 'W/"1"'


def test_an_invalid_meta_is_422_and_a_get_changes_nothing(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    assert client.post(f"{url}/$meta-add", parameters({"tag": [{"colour": "red"}]})).status == 422
    assert client.get(f"{url}/$meta-add").status == 405
    assert client.post("Patient/absent/$meta-add", parameters({"tag": [TAG]})).status == 404
    assert client.get("Patient/absent/$meta").status == 404
    assert client.get("Patient/not_an_id/$meta").status == 404
    assert client.post("AuditEvent/x/$meta-add", parameters({"tag": [TAG]})).status == 403


def test_parallel_additions_are_all_there(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    headers = {"content-type": "application/fhir+json"}
    bodies = [json.dumps(parameters({"tag": [{"system": "urn:n", "code": str(n)}]})).encode() for n in range(8)]
    answers = client.together(*(client.send("POST", f"{url}/$meta-add", body, headers) for body in bodies))
    assert {answer.status for answer in answers} == {200}
    assert {tag["code"] for tag in client.get(url).json["meta"]["tag"]} == {str(n) for n in range(8)}
