"""batch: each entry has its own answer."""

from __future__ import annotations

from typing import Any

import pytest
from fhir_client import Client, asking, bundle_of, statuses

Resource = dict[str, Any]


def batch(*entries: Resource) -> Resource:
    return bundle_of("batch", *entries)


def test_one_entry_is_found_and_the_other_is_not(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    answered = client.post("", batch(asking("GET", f"Patient/{stored['id']}"), asking("GET", "Patient/absent")))
    assert answered.status == 200
    assert answered.json["type"] == "batch-response"
    found, absent = answered.json["entry"]
    assert (found["response"]["status"], found["resource"]) == ("200 OK", stored)
    assert found["response"]["etag"] == 'W/"1"'
    assert absent["response"]["status"] == "404 Not Found"
    assert absent["response"]["outcome"]["issue"][0]["code"] == "not-found"


def test_entries_do_not_spoil_each_other(client: Client, patient: Resource) -> None:
    answered = client.post(
        "",
        batch(
            asking("POST", "Patient", patient),
            asking("POST", "Patient", {**patient, "gender": "foo"}),
            asking("PUT", "Patient/chosen", {**patient, "id": "chosen"}),
            asking("DELETE", "Patient/absent"),
            asking("PATCH", "Patient/absent", patient),
            asking("GET", "Nothing/1"),
            asking("GET", "Patient?colour=red"),
            asking("GET", "Patient?_summary=count"),
            asking("HEAD", "Patient"),
            asking("GET", "metadata"),
        ),
    ).json
    assert statuses(answered) == ["201", "422", "201", "204", "400", "404", "400", "200", "200", "200"]
    assert answered["entry"][7]["resource"]["resourceType"] == "Bundle"
    assert "resource" not in answered["entry"][8]


def test_a_created_entry_says_where_it_is_and_is_repeated_only_when_asked(client: Client, patient: Resource) -> None:
    (brief,) = client.post("", batch(asking("POST", "Patient", patient))).json["entry"]
    assert "resource" not in brief
    location = brief["response"]["location"]
    assert client.get(location).status == 200
    assert brief["response"]["lastModified"].endswith("Z")
    (full,) = client.post("", batch(asking("POST", "Patient", patient)), prefer="return=representation").json["entry"]
    assert full["resource"]["name"] == patient["name"]
    (told,) = client.post("", batch(asking("POST", "Patient", patient)), prefer="return=OperationOutcome").json["entry"]
    assert told["response"]["outcome"]["issue"][0]["severity"] == "information"


def test_conditions_of_entries_count(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    url = f"Patient/{stored['id']}"
    answered = client.post(
        "",
        batch(
            asking("GET", url, ifNoneMatch='W/"1"'),
            asking("GET", url, ifModifiedSince="2999-01-01T00:00:00Z"),
            asking("PUT", url, stored, ifMatch='W/"7"'),
            asking("POST", "Patient", patient, ifNoneExist="identifier=p-1"),
        ),
    ).json
    assert statuses(answered) == ["304", "304", "412", "200"]


def test_a_batch_within_a_batch_and_forms_are_refused(client: Client) -> None:
    answered = client.post("", batch(asking("POST", "", batch()), asking("POST", "Patient/_search"))).json
    assert statuses(answered) == ["400", "400"]


def test_an_absolute_url_of_this_server_is_understood(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    own = f"http://testserver/fhir/Patient/{stored['id']}"
    assert statuses(client.post("", batch(asking("GET", own))).json) == ["200"]
    assert client.post("", batch(asking("GET", "http://elsewhere/fhir/Patient/1"))).status == 400


def test_an_empty_batch_has_an_empty_answer(client: Client) -> None:
    answered = client.post("", {"resourceType": "Bundle", "type": "batch"})
    assert answered.json == {"resourceType": "Bundle", "type": "batch-response"}


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        ({"resourceType": "Patient"}, "Bundle"),
        ({"resourceType": "Bundle", "type": "collection"}, "Bundle.type"),
        ({"resourceType": "Bundle", "type": "batch", "entry": {}}, "Bundle"),
        ({"resourceType": "Bundle", "type": "batch", "entry": [1]}, "Bundle"),
        (batch({}), "Bundle.entry[0].request"),
        (batch(asking("GET", "Patient"), asking("STEAL", "Patient")), "Bundle.entry[1].request.method"),
        (batch({"request": {"method": "GET"}}), "Bundle.entry[0].request.url"),
        (batch({"request": {"method": [], "url": "Patient"}}), "Bundle.entry[0].request.method"),
        (batch(asking("GET", "Patient?name=\ud800")), "Bundle.entry[0].request.url"),
        (batch({"fullUrl": 1, "request": {"method": "GET", "url": "Patient"}}), "Bundle.entry[0].fullUrl"),
        (batch(asking("GET", "Patient/1", ifModifiedSince="soon")), "Bundle.entry[0].request.ifModifiedSince"),
    ],
)  # fmt: skip
def test_a_bundle_that_cannot_be_read_is_400_and_says_where(client: Client, body: Resource, expression: str) -> None:
    refused = client.post("", body)
    assert refused.status == 400
    assert refused.issue["expression"] == [expression]


def test_more_entries_than_the_limit_are_413(make_client: Any) -> None:
    client = make_client(max_bundle_entries=2)
    assert client.post("", batch(*[asking("GET", "Patient")] * 2)).status == 200
    refused = client.post("", batch(*[asking("GET", "Patient")] * 3))
    assert (refused.status, refused.issue["code"]) == (413, "too-costly")
