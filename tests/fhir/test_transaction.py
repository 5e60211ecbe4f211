"""transaction: all or nothing, with references between the entries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir_client import Client, asking, bundle_of, statuses

Resource = dict[str, Any]
URN = "urn:uuid:11111111-1111-4111-8111-111111111111"
OTHER_URN = "urn:uuid:22222222-2222-4222-8222-222222222222"


def transaction(*entries: Resource) -> Resource:
    return bundle_of("transaction", *entries)


def observation(subject: str, **more: Any) -> Resource:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": subject},
        **more,
    }


def total(client: Client, query: str) -> int:
    separator = "&" if "?" in query else "?"
    count: int = client.get(f"{query}{separator}_summary=count").json["total"]
    return count


def test_references_to_a_full_url_become_the_new_id(client: Client, patient: Resource) -> None:
    answered = client.post(
        "",
        transaction(
            asking("POST", "Observation", observation(URN)),
            {**asking("POST", "Patient", patient), "fullUrl": URN},
        ),
    )
    assert answered.status == 200
    assert answered.json["type"] == "transaction-response"
    first, second = (entry["response"] for entry in answered.json["entry"])
    assert (first["status"], second["status"]) == ("201 Created", "201 Created")
    stored = client.get(first["location"]).json
    assert second["location"] == f"{stored['subject']['reference']}/_history/1"


def test_one_invalid_entry_leaves_nothing(client: Client, patient: Resource) -> None:
    refused = client.post(
        "",
        transaction(
            asking("POST", "Patient", patient),
            asking("GET", "Patient"),
            asking("POST", "Patient", {**patient, "gender": "foo"}),
        ),
    )
    assert refused.status == 422
    assert refused.issue["expression"] == ["Bundle.entry[2].resource.gender"]
    assert total(client, "Patient") == 0


def test_a_failing_condition_undoes_the_rest(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    refused = client.post(
        "",
        transaction(
            asking("POST", "Basic", {"resourceType": "Basic", "code": {"text": "x"}}),
            asking("PUT", f"Patient/{stored['id']}", {**stored, "gender": "male"}, ifMatch='W/"7"'),
        ),
    )
    assert refused.status == 412
    assert refused.issue["expression"] == ["Bundle.entry[1]"]
    assert total(client, "Basic") == 0


def test_deletes_come_before_creates_before_updates_before_reads(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    url = f"Patient/{stored['id']}"
    keep = client.created({"resourceType": "Basic", "code": {"text": "old"}})
    answered = client.post(
        "",
        transaction(
            asking("GET", f"Basic/{keep['id']}"),
            asking("GET", url),
            asking("PUT", f"Basic/{keep['id']}", {**keep, "code": {"text": "new"}}),
            asking("POST", "Patient", patient, ifNoneExist="gender=male"),
            asking("DELETE", url),
        ),
    ).json
    assert statuses(answered) == ["200", "410", "200", "201", "204"]
    assert answered["entry"][0]["resource"]["code"]["text"] == "new"


def test_a_conditional_create_that_matches_is_200_and_references_point_at_the_match(
    client: Client, patient: Resource
) -> None:
    stored = client.created(patient)
    answered = client.post(
        "",
        transaction(
            {**asking("POST", "Patient", patient, ifNoneExist="identifier=p-1"), "fullUrl": URN},
            asking("POST", "Observation", observation(URN)),
        ),
    ).json
    assert statuses(answered) == ["200", "201"]
    location = answered["entry"][1]["response"]["location"]
    assert client.get(location).json["subject"]["reference"] == f"Patient/{stored['id']}"


def test_a_conditional_reference_is_resolved_however_it_is_escaped(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    body = (
        b'{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Observation",'
        b'"status":"final","code":{"text":"x"},"subject":{"reference":"Patient?%s"},"valueQuantity":{"value":1.10}},'
        b'"request":{"method":"POST","url":"Observation"}}]}'
    )
    for condition in (
        b"identifier=urn:example:clinic|p-1",
        b"identifier=p-1&gender=female",
        b"identifier=p-1\\u0026gender=female",
        b"identifier=urn%3Aexample%3Aclinic%7Cp-1",
    ):
        answered = client.request("POST", "", body % condition)
        assert answered.status == 200, answered.content
        read = client.get(answered.json["entry"][0]["response"]["location"])
        assert read.json["subject"] == {"reference": f"Patient/{stored['id']}"}
        assert b'"value":1.10' in read.content


def test_a_conditional_reference_to_nothing_or_to_several_is_412(client: Client, patient: Resource) -> None:
    entry = asking("POST", "Observation", observation("Patient?identifier=p-1"))
    none = client.post("", transaction(entry))
    assert (none.status, none.issue["expression"]) == (412, ["Bundle.entry[0]"])
    client.created(patient)
    client.created(patient)
    several = client.post("", transaction(entry))
    assert (several.status, several.issue["code"]) == (412, "multiple-matches")
    assert total(client, "Observation") == 0


def test_a_full_url_that_is_no_reference_replaces_nothing(client: Client, patient: Resource) -> None:
    answered = client.post("", transaction({**asking("POST", "Patient", patient), "fullUrl": "female"}))
    assert client.get(answered.json["entry"][0]["response"]["location"]).json["gender"] == "female"


def test_text_that_looks_like_a_reference_is_left_alone(client: Client, patient: Resource) -> None:
    note = 'see "reference":"Patient?identifier=nobody" and "reference":"urn:uuid:x"'
    answered = client.post("", transaction(asking("POST", "Patient", {**patient, "name": [{"text": note}]})))
    assert client.get(answered.json["entry"][0]["response"]["location"]).json["name"][0]["text"] == note


def test_a_reference_to_a_full_url_that_no_entry_has_is_400(client: Client) -> None:
    refused = client.post("", transaction(asking("POST", "Observation", observation(URN))))
    assert (refused.status, refused.issue["expression"]) == (400, ["Bundle.entry[0].resource"])


@pytest.mark.parametrize(
    "pair",
    [
        lambda p: (asking("PUT", "Patient/a", {**p, "id": "a"}), asking("DELETE", "Patient/a")),
        lambda p: (asking("PUT", "Patient/a", {**p, "id": "a"}), asking("PUT", "Patient/a", {**p, "id": "a"})),
        lambda p: ({**asking("POST", "Patient", p), "fullUrl": URN}, {**asking("POST", "Patient", p), "fullUrl": URN}),
    ],
)
def test_two_entries_about_the_same_resource_are_400(client: Client, patient: Resource, pair: Any) -> None:
    assert client.post("", transaction(*pair(patient))).status == 400
    assert total(client, "Patient") == 0


def test_deleting_what_is_absent_succeeds_as_it_does_alone(client: Client, patient: Resource) -> None:
    deletions = [asking("DELETE", f"Patient/absent-{n}") for n in range(3)]
    answered = client.post("", transaction(*deletions, asking("POST", "Patient", patient))).json
    assert statuses(answered) == ["204", "204", "204", "201"]
    conditional = client.post("", transaction(asking("DELETE", "Patient/absent", ifMatch='W/"1"')))
    assert (conditional.status, conditional.issue["expression"]) == (404, ["Bundle.entry[0]"])


def test_an_update_may_be_referred_to_by_its_full_url(client: Client, patient: Resource) -> None:
    answered = client.post(
        "",
        transaction(
            {**asking("PUT", "Patient/mine", {**patient, "id": "mine"}), "fullUrl": URN},
            {**asking("POST", "Observation", observation(URN)), "fullUrl": OTHER_URN},
        ),
    ).json
    location = answered["entry"][1]["response"]["location"]
    assert client.get(location).json["subject"]["reference"] == "Patient/mine"


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        (asking("PATCH", "Patient/a", {"resourceType": "Patient"}), 400),
        (asking("POST", "Patient/a/$meta-add", {"resourceType": "Parameters"}), 400),
        (asking("PUT", "Patient/a/_history", {"resourceType": "Patient"}), 405),
        (asking("POST", "Patient"), 400),
        (asking("PUT", "Patient", {"resourceType": "Patient"}), 400),
        (asking("DELETE", "Patient"), 400),
        (asking("POST", "Nothing", {"resourceType": "Nothing"}), 404),
        (asking("PUT", "Patient/a", {"resourceType": "Patient"}), 400),
        (asking("PUT", "Patient/a_b", {"resourceType": "Patient", "id": "a_b"}), 400),
        (asking("DELETE", "Patient/a_b"), 400),
        (asking("POST", "AuditEvent", {"resourceType": "AuditEvent"}), 403),
        (asking("POST", "Patient", {"resourceType": "Patient"}, ifNoneExist="colour=red"), 400),
    ],
)
def test_an_entry_that_cannot_be_done_refuses_the_whole(client: Client, entry: Resource, status: int) -> None:
    refused = client.post("", transaction(asking("POST", "Basic", {"resourceType": "Basic"}), entry))
    assert refused.status == status
    assert refused.issue["expression"][0].startswith("Bundle.entry[1]")


def test_ifnonematch_star_of_an_entry_refuses_what_exists(client: Client, patient: Resource) -> None:
    entry = asking("PUT", "Patient/mine", {**patient, "id": "mine"}, ifNoneMatch="*")
    assert client.post("", transaction(entry)).status == 200
    assert client.post("", transaction(entry)).status == 412


def test_a_thousand_entries_leave_other_requests_their_turn(client: Client, patient: Resource) -> None:
    """A read that is sent together with a large transaction is answered before the transaction is."""
    stored = client.created(patient)
    creation = asking("POST", "Observation", observation(f"Patient/{stored['id']}"))
    body = json.dumps(transaction(*[creation] * 1000)).encode()
    answered: list[str] = []

    async def noted(name: str, sending: Any) -> Any:
        response = await sending
        answered.append(name)
        return response

    large, small = client.together(
        noted("large", client.send("POST", "", body, {"content-type": "application/fhir+json"})),
        noted("small", client.send("GET", f"Patient/{stored['id']}", b"", {})),
    )
    assert (large.status, small.status) == (200, 200)
    assert answered == ["small", "large"]
    assert total(client, "Observation") == 1000


def test_a_transaction_may_only_read(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    reads = [asking("GET", f"Patient/{stored['id']}"), asking("HEAD", "Patient"), asking("GET", "Patient/absent")]
    assert statuses(client.post("", transaction(*reads)).json) == ["200", "200", "404"]
    assert client.post("", transaction()).json == {"resourceType": "Bundle", "type": "transaction-response"}
