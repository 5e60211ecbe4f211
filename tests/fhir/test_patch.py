"""PATCH as a client sees it: both kinds of patch, alone, conditional, in Bundles and side by side."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from fhir_client import Client, Response, asking, bundle_of, statuses

from gateway.access import Scope, ScopeSet

Resource = dict[str, Any]
JSON_PATCH = "application/json-patch+json"


def patch(client: Client, url: str, operations: Any, **headers: str) -> Response:
    """A JSON Patch."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.request("PATCH", url, operations, headers=named, content_type=JSON_PATCH)


def fhirpath(*operations: Resource) -> Resource:
    """A FHIRPath Patch; each operation by its parts, as name to (key, value)."""
    return {"resourceType": "Parameters", "parameter": [
        {"name": "operation", "part": [{"name": name, key: value} for name, (key, value) in parts.items()]}
        for parts in operations
    ]}  # fmt: skip


def replacing(path: str, key: str, value: Any) -> Resource:
    return {"type": ("valueCode", "replace"), "path": ("valueString", path), "value": (key, value)}


def in_binary(operations: Any) -> Resource:
    data = b64encode(json.dumps(operations).encode()).decode()
    return {"resourceType": "Binary", "contentType": JSON_PATCH, "data": data}


MALE = [{"op": "replace", "path": "/gender", "value": "male"}]


def test_a_json_patch_makes_a_new_version(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    answer = patch(client, url, [{"op": "test", "path": "/gender", "value": "female"}, *MALE])
    assert (answer.status, answer.headers["etag"]) == (200, 'W/"2"')
    assert answer.json["gender"] == client.get(url).json["gender"] == "male"
    assert client.get(f"{url}/_history/1").json["gender"] == "female"


def test_a_fhirpath_patch_makes_a_new_version(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    answer = client.request("PATCH", url, fhirpath(replacing("Patient.name[0].family", "valueString", "Nordmann")))
    assert (answer.status, answer.headers["etag"]) == (200, 'W/"2"')
    assert client.get(url).json["name"] == [{"family": "Nordmann", "given": ["Kari"]}]


def test_numbers_that_a_patch_does_not_touch_keep_their_tokens(client: Client) -> None:
    raw = (
        b'{"resourceType":"Observation","status":"final","code":{"text":"weight"},'
        b'"valueQuantity":{"value":105.00,"unit":"kg"},"referenceRange":[{"high":{"value":1e2}}]}'
    )
    created = client.request("POST", "Observation", raw, headers={"content-type": "application/fhir+json"})
    url = f"Observation/{created.json['id']}"
    patch(client, url, [{"op": "replace", "path": "/status", "value": "amended"}])
    client.request("PATCH", url, fhirpath(replacing("Observation.code.text", "valueString", "body weight")))
    stored = client.get(url)
    assert stored.headers["etag"] == 'W/"3"'
    assert b'"value":105.00,' in stored.content
    assert b'"value":1e2}' in stored.content


def test_a_patch_that_changes_nothing_makes_no_version(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    assert patch(client, url, []).headers["etag"] == 'W/"1"'
    assert patch(client, url, [{"op": "test", "path": "/gender", "value": "female"}]).headers["etag"] == 'W/"1"'
    assert client.request("PATCH", url, {"resourceType": "Parameters"}).headers["etag"] == 'W/"1"'


@pytest.mark.parametrize(
    ("operations", "status", "place"),
    [
        ([{"op": "test", "path": "/gender", "value": "male"}, *MALE], 422, "patch[0]"),
        ([*MALE, {"op": "remove", "path": "/photo"}], 422, "patch[1]"),
        ([{"op": "replace", "path": "/id", "value": "other"}], 422, "Patient.id"),
        ([{"op": "replace", "path": "/resourceType", "value": "Person"}], 422, "Patient.id"),
        ([{"op": "replace", "path": "", "value": []}], 422, "Patient"),
        ([{"op": "replace", "path": "/gender", "value": "foo"}], 422, "Patient.gender"),
        ([{"op": "add", "path": "/colour", "value": "red"}], 422, "Patient"),
        ([{"op": "remove", "path": "/name/0/given/0"}], 422, "Patient.name[0].given"),
        ([{"op": "spam", "path": "/gender"}], 400, "patch[0]"),
        ({"op": "remove"}, 400, "patch"),
        (b"[", 400, "patch"),
        (b'[{"op":"remove","path":"/a","op":"add"}]', 400, "patch"),
    ],
)  # fmt: skip
def test_a_patch_that_does_not_fit_is_refused_and_changes_nothing(
    client: Client, patient: Resource, operations: Any, status: int, place: str
) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    refused = patch(client, url, operations)
    assert (refused.status, refused.issue["expression"][0].partition(".colour")[0]) == (status, place)
    assert client.get(url).headers["etag"] == 'W/"1"'


@pytest.mark.parametrize(
    ("operation", "status", "place"),
    [
        (replacing("Patient.photo", "valueAttachment", {}), 422, "Parameters.parameter[0]"),
        (replacing("Patient.gender", "valueCode", "foo"), 422, "Patient.gender"),
        (replacing("Patient.id", "valueId", "other"), 422, "Patient.id"),
        ({"type": ("valueCode", "change")}, 400, "Parameters.parameter[0]"),
    ],
)
def test_a_fhirpath_patch_that_does_not_fit_is_refused(
    client: Client, patient: Resource, operation: Resource, status: int, place: str
) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    refused = client.request("PATCH", url, fhirpath(operation))
    assert (refused.status, refused.issue["expression"]) == (status, [place])
    assert client.get(url).headers["etag"] == 'W/"1"'


def test_what_is_declared_decides_how_a_patch_is_read(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    assert client.request("PATCH", url, MALE, content_type="application/fhir+json").status == 400
    assert client.request("PATCH", url, MALE, content_type="application/xml-patch+xml").status == 415
    assert client.request("PATCH", url, MALE, content_type=f"{JSON_PATCH}; charset=utf-8").status == 200


def test_a_patch_of_what_is_absent_is_404_and_of_what_was_deleted_410(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    client.delete(url)
    assert patch(client, url, MALE).status == 410
    assert patch(client, "Patient/never-there", MALE).status == 404
    assert patch(client, "Patient/not_an_id", MALE).status == 404


def test_a_patch_honours_if_match_and_prefer(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    assert patch(client, url, MALE, if_match='W/"7"').status == 412
    minimal = patch(client, url, MALE, if_match='W/"1"', prefer="return=minimal")
    assert (minimal.status, minimal.content, minimal.headers["etag"]) == (200, b"", 'W/"2"')


def test_sixteen_patches_side_by_side_all_count(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    bodies = [
        json.dumps([{"op": "add", "path": "/identifier/-", "value": {"value": f"side-{n}"}}]).encode()
        for n in range(16)
    ]
    answers = client.together(*(client.send("PATCH", url, body, {"content-type": JSON_PATCH}) for body in bodies))
    assert {answer.status for answer in answers} == {200}
    stored = client.get(url).json
    assert {item["value"] for item in stored["identifier"]} == {"p-1", *(f"side-{n}" for n in range(16))}
    assert stored["meta"]["versionId"] == "17"


def test_of_sixteen_patches_of_one_version_one_wins(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    headers = {"content-type": JSON_PATCH, "if-match": 'W/"1"'}
    bodies = [
        json.dumps([{"op": "replace", "path": "/birthDate", "value": f"19{n}-01-01"}]).encode() for n in range(50, 66)
    ]
    answers = client.together(*(client.send("PATCH", url, body, headers) for body in bodies))
    assert sorted(answer.status for answer in answers) == [200] + [412] * 15


def test_a_conditional_patch_needs_exactly_one_match(client: Client, patient: Resource) -> None:
    assert patch(client, "Patient?identifier=p-1", MALE).status == 404
    stored = client.created(patient)
    answer = patch(client, "Patient?identifier=p-1", MALE)
    assert (answer.status, answer.json["id"], answer.json["gender"]) == (200, stored["id"], "male")
    client.created(patient)
    several = patch(client, "Patient?identifier=p-1", MALE)
    assert (several.status, several.issue["code"]) == (412, "multiple-matches")
    assert patch(client, "Patient", MALE).status == 400
    assert patch(client, "Patient?colour=red", MALE, prefer="handling=lenient").status == 400


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_patches_are_entries_of_a_bundle(client: Client, patient: Resource, kind: str) -> None:
    first, second = client.created(patient), client.created({**patient, "identifier": [{"value": "p-2"}]})
    answer = client.post(
        "",
        bundle_of(
            kind,
            asking("PATCH", f"Patient/{first['id']}", in_binary(MALE), ifMatch='W/"1"'),
            asking("PATCH", "Patient?identifier=p-2", fhirpath(replacing("Patient.gender", "valueCode", "other"))),
        ),
    )
    assert statuses(answer.json) == ["200", "200"]
    assert client.get(f"Patient/{first['id']}").json["gender"] == "male"
    assert client.get(f"Patient/{second['id']}").json["gender"] == "other"


def test_a_patch_that_fails_undoes_the_transaction(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    failing = in_binary([{"op": "test", "path": "/gender", "value": "male"}])
    entries = asking("POST", "Patient", patient), asking("PATCH", f"Patient/{stored['id']}", failing)
    refused = client.post("", bundle_of("transaction", *entries))
    assert (refused.status, refused.issue["expression"]) == (422, ["Bundle.entry[1].resource"])
    assert client.get("Patient?_summary=count").json["total"] == 1


def test_a_patch_in_a_transaction_may_refer_to_its_entries(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    alias = "urn:uuid:7c1b0f5e-2f4e-4f0f-9f0e-0a4f3a1d2c3b"
    linking = in_binary([{"op": "add", "path": "/managingOrganization", "value": {"reference": alias}}])
    clinic = {**asking("POST", "Organization", {"resourceType": "Organization", "name": "Clinic"}), "fullUrl": alias}
    answer = client.post("", bundle_of("transaction", asking("PATCH", f"Patient/{stored['id']}", linking), clinic))
    assert statuses(answer.json) == ["200", "201"]
    reference = client.get(f"Patient/{stored['id']}").json["managingOrganization"]["reference"]
    assert client.get(reference).json["name"] == "Clinic"


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Binary", "contentType": "text/plain", "data": "W10="},
        {"resourceType": "Binary", "contentType": JSON_PATCH, "data": "not base64"},
        {"resourceType": "Binary", "contentType": JSON_PATCH},
    ],
)
def test_a_binary_that_holds_no_patch_is_400(client: Client, patient: Resource, resource: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    assert client.post("", bundle_of("transaction", asking("PATCH", url, resource))).status == 400
    assert statuses(client.post("", bundle_of("batch", asking("PATCH", url, resource))).json) == ["400"]


def test_a_patch_needs_the_scope_to_read_too_for_it_tells_what_is_stored(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    client.acting_with(ScopeSet((Scope("system", "Patient", frozenset("u")),)))
    assert patch(client, url, MALE).status == 403
    client.acting_with(ScopeSet((Scope("system", "Patient", frozenset("ru")),)))
    assert patch(client, url, MALE).status == 200


def test_nobody_patches_audit_events(client: Client) -> None:
    assert patch(client, "AuditEvent/a", MALE).status == 403


def test_a_patch_that_nests_or_asks_without_end_is_refused_quickly(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    deep: Any = "x"
    for _ in range(50):
        deep = [deep]
    nesting = [{"op": "add", "path": "/a" + "/0" * 50 * n, "value": deep} for n in range(40)]
    assert patch(client, url, nesting).status == 422
    assert patch(client, url, [{"op": "add", "path": "/a", "value": 1}] * 1_001).status == 400
    value = {"name": "value", "part": [{"name": "url", "valueUri": "urn:x"}]}
    operations = [
        {"name": "operation", "part": [{"name": "type", "valueCode": "add"},
                                       {"name": "path", "valueString": "Patient" + ".extension[0]" * n},
                                       {"name": "name", "valueString": "extension"}, value]}
        for n in range(60)
    ]  # fmt: skip
    body = {"resourceType": "Parameters", "parameter": operations}
    assert client.request("PATCH", url, body).status in (400, 422)
    assert client.get(url).headers["etag"] == 'W/"1"'
