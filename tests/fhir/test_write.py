"""create, conditional create, update and delete, as a client sees them."""

from __future__ import annotations

from typing import Any

import pytest
from fhir_client import BASE, Client

Resource = dict[str, Any]


def test_create_answers_201_with_location_etag_and_the_resource(client: Client, patient: Resource) -> None:
    created = client.post("Patient", patient)
    stored = created.json
    assert created.status == 201
    assert created.headers["location"] == f"{BASE}/Patient/{stored['id']}/_history/1"
    assert created.headers["etag"] == 'W/"1"'
    assert stored["meta"]["versionId"] == "1"
    assert stored["name"] == patient["name"]


def test_create_ignores_the_id_that_the_client_sent(client: Client, patient: Resource) -> None:
    assert client.created({**patient, "id": "mine"})["id"] != "mine"
    assert client.get("Patient/mine").status == 404


def test_prefer_decides_what_a_write_sends_back(client: Client, patient: Resource) -> None:
    minimal = client.post("Patient", patient, prefer="return=minimal")
    assert (minimal.status, minimal.content) == (201, b"")
    assert "content-type" not in minimal.headers
    assert minimal.headers["content-length"] == "0"
    outcome = client.post("Patient", patient, prefer="return=OperationOutcome; handling=lenient")
    assert outcome.issue["severity"] == "information"
    assert client.post("Patient", patient, prefer="return=representation").json["resourceType"] == "Patient"


def test_an_invalid_resource_is_422_and_nothing_is_stored(client: Client, patient: Resource) -> None:
    refused = client.post("Patient", {**patient, "gender": "foo"})
    assert refused.status == 422
    assert refused.issue["expression"] == ["Patient.gender"]
    assert "foo" not in refused.content.decode()
    assert client.get("Patient?_summary=count").json["total"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"\xff\xfe", 400),
        (b'{"resourceType":"Patient","resourceType":"Patient"}', 400),
        (b'{"resourceType":"Observation"}', 400),
        (b'{"id":"1"}', 400),
        (b'{"resourceType":"Patient","x":' + b"[" * 100 + b"]" * 100 + b"}", 400),
    ],
)
def test_a_body_that_is_no_resource_of_the_type_is_400(client: Client, body: bytes, status: int) -> None:
    refused = client.request("POST", "Patient", body, headers={"content-type": "application/fhir+json"})
    assert refused.status == status


def test_conditional_create_returns_the_match_instead_of_a_second_one(client: Client, patient: Resource) -> None:
    condition = "identifier=urn:example:clinic|p-1"
    first = client.post("Patient", patient, if_none_exist=condition)
    second = client.post("Patient", patient, if_none_exist=condition)
    assert (first.status, second.status) == (201, 200)
    assert second.json == first.json
    assert second.headers["location"] == first.headers["location"]


def test_conditional_create_with_several_matches_is_412(client: Client, patient: Resource) -> None:
    client.created(patient)
    client.created(patient)
    refused = client.post("Patient", patient, if_none_exist="?identifier=p-1")
    assert refused.status == 412
    assert refused.issue["code"] == "multiple-matches"


@pytest.mark.parametrize("condition", ["", "colour=red", "_count=3", "identifier=", "birthdate=yesterday"])
def test_a_condition_that_says_nothing_or_is_not_understood_is_400(
    client: Client, patient: Resource, condition: str
) -> None:
    assert client.post("Patient", patient, if_none_exist=condition, prefer="handling=lenient").status == 400


def test_sixteen_parallel_conditional_creates_leave_one_resource(client: Client, patient: Resource) -> None:
    headers = {"if-none-exist": "identifier=p-1", "content-type": "application/fhir+json"}
    body = b'{"resourceType":"Patient","identifier":[{"value":"p-1"}]}'
    answers = client.together(*(client.send("POST", "Patient", body, headers) for _ in range(16)))
    assert sorted(answer.status for answer in answers) == [200] * 15 + [201]
    assert client.get("Patient?_summary=count").json["total"] == 1


def test_update_makes_a_new_version(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    url = f"Patient/{stored['id']}"
    updated = client.put(url, {**stored, "gender": "male"})
    assert updated.status == 200
    assert updated.headers["etag"] == 'W/"2"'
    assert updated.json["meta"]["versionId"] == "2"
    assert client.get(url).json["gender"] == "male"


def test_update_to_a_new_id_is_201_where_the_client_may_choose_ids(client: Client, patient: Resource) -> None:
    created = client.put("Patient/chosen", {**patient, "id": "chosen"})
    assert created.status == 201
    assert created.headers["location"] == f"{BASE}/Patient/chosen/_history/1"


def test_update_with_a_stale_if_match_is_412_and_changes_nothing(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    url = f"Patient/{stored['id']}"
    assert client.put(url, {**stored, "gender": "male"}, if_match='W/"1"').status == 200
    stale = client.put(url, {**stored, "gender": "other"}, if_match='W/"1"')
    assert stale.status == 412
    assert client.get(url).json["gender"] == "male"
    assert client.put(url, stored, if_match="*").status == 400


def test_of_eight_parallel_updates_of_one_version_one_wins(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    headers = {"if-match": 'W/"1"', "content-type": "application/fhir+json"}
    bodies = [
        f'{{"resourceType":"Patient","id":"{stored["id"]}","birthDate":"199{n}-01-01"}}'.encode() for n in range(8)
    ]
    answers = client.together(*(client.send("PUT", f"Patient/{stored['id']}", body, headers) for body in bodies))
    assert sorted(answer.status for answer in answers) == [200] + [412] * 7


def test_if_none_match_star_refuses_to_update_what_exists(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    assert client.put(f"Patient/{stored['id']}", stored, if_none_match="*").status == 412
    assert client.put("Patient/fresh", {**patient, "id": "fresh"}, if_none_match="*").status == 201
    assert client.put("Patient/other", {**patient, "id": "other"}, if_none_match='W/"1"').status == 400


def test_update_needs_the_id_and_type_of_its_url(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    url = f"Patient/{stored['id']}"
    assert client.put(url, patient).status == 400
    assert client.put(url, {**stored, "id": "other"}).status == 400
    assert client.put(url, {"resourceType": "Basic", "id": stored["id"]}).status == 400
    assert client.put("Patient/not_an_id", {**patient, "id": "not_an_id"}).status == 400


def test_an_update_that_changes_nothing_keeps_the_version(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    assert client.put(f"Patient/{stored['id']}", stored).headers["etag"] == 'W/"1"'


def test_delete_is_204_and_can_be_repeated(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    first = client.delete(url)
    assert (first.status, first.content) == (204, b"")
    assert client.delete(url).status == 204
    assert client.delete("Patient/never-there").status == 204
    assert client.delete("Patient/not_an_id").status == 204


def test_delete_honours_if_match_and_prefer(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    assert client.delete(url, if_match='W/"7"').status == 412
    assert client.delete("Patient/never-there", if_match='W/"1"').status == 404
    told = client.delete(url, if_match='W/"1"', prefer="return=OperationOutcome")
    assert told.status == 200
    assert told.issue["severity"] == "information"


def test_a_deleted_resource_comes_back_with_an_update(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    url = f"Patient/{stored['id']}"
    client.delete(url)
    assert client.put(url, stored).status == 201
    assert client.get(url).headers["etag"] == 'W/"3"'


def test_nobody_writes_audit_events(client: Client) -> None:
    event = {"resourceType": "AuditEvent", "id": "a"}
    assert client.post("AuditEvent", event).status == 403
    assert client.put("AuditEvent/a", event).status == 403
    assert client.delete("AuditEvent/a").status == 403


def test_a_body_beyond_the_limit_is_413_whether_or_not_it_says_so(make_client: Any) -> None:
    client = make_client(max_body_bytes=1_000)
    assert client.post("Patient", {"resourceType": "Patient", "x": "y" * 1_000}).status == 413
    declared = client.request("POST", "Patient", b"{}", headers={"content-length": "1001"})
    assert declared.status == 413
    assert client.request("POST", "Patient", b"{}", headers={"content-length": "ten"}).status == 400
