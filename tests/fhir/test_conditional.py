"""Conditional update and delete: none, one, several, side by side, and in Bundles (R4 section 3.1.0.5.1, 3.1.0.7.1)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir_client import Client, Resource, asking, bundle_of, statuses

CONDITION = "Patient?identifier=urn:example:clinic|p-1"


def count(client: Client) -> int:
    total: int = client.get("Patient?_summary=count").json["total"]
    return total


def test_an_update_that_matches_nothing_creates(client: Client, patient: Resource) -> None:
    created = client.put(CONDITION, patient)
    assert created.status == 201
    assert created.headers["location"].endswith(f"/Patient/{created.json['id']}/_history/1")


def test_an_update_that_matches_one_updates_it(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    without_id = client.put(CONDITION, {**patient, "gender": "male"})
    assert (without_id.status, without_id.json["id"], without_id.headers["etag"]) == (200, stored["id"], 'W/"2"')
    with_its_id = client.put(CONDITION, {**patient, "id": stored["id"], "gender": "other"})
    assert (with_its_id.status, with_its_id.headers["etag"]) == (200, 'W/"3"')
    unchanged = client.put(CONDITION, {**patient, "gender": "other"})
    assert (unchanged.status, unchanged.headers["etag"]) == (200, 'W/"3"')


def test_an_update_that_matches_one_under_another_id_is_400(client: Client, patient: Resource) -> None:
    client.created(patient)
    refused = client.put(CONDITION, {**patient, "id": "another"})
    assert (refused.status, refused.issue["expression"]) == (400, ["Patient.id"])


def test_an_update_that_matches_several_is_412(client: Client, patient: Resource) -> None:
    client.created(patient)
    client.created(patient)
    refused = client.put(CONDITION, patient)
    assert (refused.status, refused.issue["code"]) == (412, "multiple-matches")


def test_an_update_that_matches_nothing_keeps_its_id_where_the_client_may_choose(
    client: Client, patient: Resource
) -> None:
    assert client.put(CONDITION, {**patient, "id": "chosen"}).json["id"] == "chosen"
    # The id is taken by a resource that the condition does not match.
    taken = client.put("Patient?identifier=other", {**patient, "id": "chosen"})
    assert taken.status == 412
    assert client.get("Patient/chosen").headers["etag"] == 'W/"1"'
    assert client.put("Patient?identifier=other", {**patient, "id": 7}).status == 400
    assert client.put("Patient?identifier=other", {**patient, "id": "a_b"}).status == 400


def test_a_conditional_update_honours_version_conditions(client: Client, patient: Resource) -> None:
    assert client.put(CONDITION, patient, if_match='W/"1"').status == 412
    client.created(patient)
    assert client.put(CONDITION, {**patient, "gender": "male"}, if_match='W/"2"').status == 412
    assert client.put(CONDITION, {**patient, "gender": "male"}, if_match='W/"1"').status == 200
    assert client.put(CONDITION, patient, if_none_match="*").status == 412


@pytest.mark.parametrize("query", ["", "?", "?colour=red", "?identifier=", "?_count=3", "?_format=json"])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_condition_that_says_nothing_or_is_not_understood_is_400(
    client: Client, patient: Resource, method: str, query: str
) -> None:
    client.created(patient)
    body = patient if method == "PUT" else None
    refused = client.request(method, f"Patient{query}", body, headers={"prefer": "handling=lenient"})
    assert refused.status == 400
    assert count(client) == 1


def test_sixteen_conditional_updates_side_by_side_leave_one_resource(client: Client) -> None:
    headers = {"content-type": "application/fhir+json"}
    bodies = [
        json.dumps(
            {"resourceType": "Patient", "identifier": [{"value": "p-1"}], "birthDate": f"19{n}-01-01"}
        ).encode()
        for n in range(50, 66)
    ]  # fmt: skip
    answers = client.together(*(client.send("PUT", "Patient?identifier=p-1", body, headers) for body in bodies))
    assert sorted(answer.status for answer in answers) == [200] * 15 + [201]
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sorted(int(answer.json["meta"]["versionId"]) for answer in answers) == list(range(1, 17))
    assert count(client) == 1


def test_a_conditional_delete_removes_the_one_match(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    other = client.created({**patient, "identifier": [{"value": "p-2"}]})
    assert client.delete(CONDITION).status == 204
    assert client.get(f"Patient/{stored['id']}").status == 410
    assert client.get(f"Patient/{other['id']}").status == 200
    assert client.delete(CONDITION).status == 204


def test_a_conditional_delete_of_several_is_412_unless_the_setting_allows_it(
    make_client: Any, patient: Resource
) -> None:
    single, several = make_client(), make_client(conditional_delete_max=3)
    for client in (single, several):
        for _ in range(3):
            client.created(patient)
    refused = single.delete(CONDITION)
    assert (refused.status, refused.issue["code"], count(single)) == (412, "multiple-matches", 3)
    told = several.delete(CONDITION, prefer="return=OperationOutcome")
    assert (told.status, told.issue["severity"], count(several)) == (200, "information", 0)
    for _ in range(4):
        several.created(patient)
    assert (several.delete(CONDITION).status, count(several)) == (412, 4)


def test_a_conditional_delete_honours_if_match(client: Client, patient: Resource) -> None:
    assert client.delete(CONDITION, if_match='W/"1"').status == 412
    client.created(patient)
    assert client.delete(CONDITION, if_match='W/"2"').status == 412
    assert client.delete(CONDITION, if_match='W/"1"').status == 204


def test_conditional_deletes_and_creates_side_by_side_lose_nothing(client: Client) -> None:
    body = b'{"resourceType":"Patient","identifier":[{"value":"p-1"}]}'
    creating = {"content-type": "application/fhir+json", "if-none-exist": "identifier=p-1"}
    deletes = [client.send("DELETE", "Patient?identifier=p-1", b"", {}) for _ in range(8)]
    creates = [client.send("POST", "Patient", body, creating) for _ in range(8)]
    answers = client.together(*(send for pair in zip(creates, deletes, strict=True) for send in pair))
    assert {answer.status for answer in answers} <= {200, 201, 204}
    assert count(client) <= 1


def test_conditional_entries_of_a_transaction(make_client: Any, patient: Resource) -> None:
    client = make_client(conditional_delete_max=5)
    kept = client.created(patient)
    for _ in range(2):
        client.created({**patient, "identifier": [{"value": "old"}]})
    alias = "urn:uuid:0d7a3f0c-51a5-4f5e-8d53-6f1b1d5f6f10"
    observed = {
        "resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": alias},
    }  # fmt: skip
    answer = client.post(
        "",
        bundle_of(
            "transaction",
            {**asking("PUT", CONDITION, {**patient, "gender": "male"}), "fullUrl": alias},
            asking("PUT", "Patient?identifier=new", {**patient, "identifier": [{"value": "new"}]}),
            asking("DELETE", "Patient?identifier=old"),
            asking("DELETE", "Patient?identifier=nobody"),
            asking("POST", "Observation", observed),
        ),
        prefer="return=representation",
    )
    assert statuses(answer.json) == ["200", "201", "200", "200", "201"]
    assert answer.json["entry"][4]["resource"]["subject"]["reference"] == f"Patient/{kept['id']}"
    assert client.get(f"Patient/{kept['id']}").json["gender"] == "male"
    assert count(client) == 2


def test_two_conditions_of_a_transaction_that_name_one_resource_are_400(client: Client, patient: Resource) -> None:
    client.created(patient)
    entries = [asking("PUT", CONDITION, patient), asking("PUT", "Patient?identifier=p-1", patient)]
    assert client.post("", bundle_of("transaction", *entries)).status == 400


def test_conditional_entries_of_a_batch(client: Client, patient: Resource) -> None:
    answer = client.post(
        "",
        bundle_of("batch", asking("PUT", CONDITION, patient), asking("DELETE", "Patient?identifier=nobody"),
                  asking("PUT", "Patient", patient)),
    )  # fmt: skip
    assert statuses(answer.json) == ["201", "204", "400"]


def test_transactions_with_the_same_condition_side_by_side_leave_one_resource(client: Client) -> None:
    headers = {"content-type": "application/fhir+json"}

    def body(n: int) -> bytes:
        person = {"resourceType": "Patient", "identifier": [{"value": "p-1"}], "birthDate": f"19{n}-01-01"}
        return json.dumps(bundle_of("transaction", asking("PUT", "Patient?identifier=p-1", person))).encode()

    answers = client.together(*(client.send("POST", "", body(n), headers) for n in range(50, 66)))
    assert sorted(statuses(answer.json)[0] for answer in answers) == ["200"] * 15 + ["201"]
    assert count(client) == 1
    found = client.get("Patient?identifier=p-1").json["entry"][0]["resource"]
    assert found["meta"]["versionId"] == "16"
