"""read and vread, as a client sees them."""

from __future__ import annotations

from typing import Any

from fhir_client import BASE, Client

Resource = dict[str, Any]


def test_read_returns_the_resource_as_it_was_sent(client: Client) -> None:
    sent = b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":105.00}}'
    stored = client.request("POST", "Observation", sent)
    read = client.get(f"Observation/{stored.json['id']}")
    assert read.status == 200
    assert b'"value":105.00' in read.content
    assert read.content == stored.content


def test_read_names_version_and_time_in_its_headers(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    read = client.get(f"Patient/{stored['id']}")
    assert read.headers["etag"] == 'W/"1"'
    assert read.headers["last-modified"].endswith(" GMT")
    assert read.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert read.headers["cache-control"] == "no-store"
    assert read.headers["x-content-type-options"] == "nosniff"


def test_head_is_read_without_the_body(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    head, get = client.request("HEAD", url), client.get(url)
    assert head.content == b""
    volatile = {"x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in volatile} == {
        k: v for k, v in get.headers.items() if k not in volatile
    }


def test_if_none_match_of_the_current_version_is_304_without_body(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    for known in ('W/"1"', '"1"', '"7", W/"1"', "*"):
        unchanged = client.get(url, if_none_match=known)
        assert (unchanged.status, unchanged.content) == (304, b"")
        assert unchanged.headers["etag"] == 'W/"1"'
    assert client.get(url, if_none_match='W/"2"').status == 200


def test_if_modified_since_is_304_unless_if_none_match_says_otherwise(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    modified = client.get(url).headers["last-modified"]
    assert client.get(url, if_modified_since=modified).status == 304
    assert client.get(url, if_modified_since="Sun, 06 Nov 1994 08:49:37 GMT").status == 200
    assert client.get(url, if_modified_since="yesterday").status == 200
    assert client.get(url, if_modified_since=modified, if_none_match='W/"9"').status == 200


def test_read_of_an_unknown_id_is_404(client: Client) -> None:
    assert client.get("Patient/unknown").status == 404
    assert client.get("Patient/not_an_id").status == 404
    assert client.get("Patient/" + "x" * 65).status == 404


def test_read_of_deleted_patient_is_410(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    client.delete(url)
    gone = client.get(url)
    assert gone.status == 410
    assert gone.issue["code"] == "deleted"


def test_an_id_of_another_type_is_not_found(client: Client, patient: Resource) -> None:
    assert client.get(f"Observation/{client.created(patient)['id']}").status == 404


def test_an_id_may_be_the_name_of_a_type(client: Client, patient: Resource) -> None:
    assert client.put("Patient/Group", {**patient, "id": "Group"}).status == 201
    assert client.get("Patient/Group").status == 200


def test_vread_returns_each_version(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    url = f"Patient/{stored['id']}"
    client.put(url, {**stored, "gender": "male"})
    assert client.get(f"{url}/_history/1").json["gender"] == "female"
    second = client.get(f"{url}/_history/2")
    assert second.json["gender"] == "male"
    assert second.headers["etag"] == 'W/"2"'
    for absent in ("3", "0", "x", "1.0", "99999999999999999999"):
        assert client.get(f"{url}/_history/{absent}").status == 404


def test_vread_of_a_deletion_is_410_and_of_the_version_before_is_200(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    client.delete(url)
    assert client.get(f"{url}/_history/2").status == 410
    assert client.get(f"{url}/_history/1").status == 200


def test_elements_and_summary_are_tagged_subsetted_and_keep_decimals(client: Client) -> None:
    sent = (
        b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"note":[{"text":"n"}],'
        b'"text":{"status":"generated","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">t</div>"},'
        b'"valueQuantity":{"value":1.50}}'
    )
    url = f"Observation/{client.request('POST', 'Observation', sent).json['id']}"
    elements = client.get(f"{url}?_elements=value")
    assert set(elements.json) == {"resourceType", "id", "meta", "status", "code", "valueQuantity"}
    assert b'"value":1.50' in elements.content
    assert client.get(f"{url}?_elements=Observation.value").content == elements.content
    assert elements.json["meta"]["tag"][-1]["code"] == "SUBSETTED"
    assert "note" not in client.get(f"{url}?_summary=true").json
    assert set(client.get(f"{url}?_summary=text").json) == {"resourceType", "id", "meta", "status", "code", "text"}
    assert "text" not in client.get(f"{url}?_summary=data").json
    assert client.get(f"{url}?_summary=false").content == client.get(url).content
    assert client.get(f"{url}?_summary=count").status == 400


def test_a_summary_of_a_backbone_keeps_only_its_summary(client: Client) -> None:
    component = {"code": {"text": "c"}, "valueInteger": 3, "dataAbsentReason": {"text": "why"}}
    del component["dataAbsentReason"]
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "component": [{**component, "interpretation": [{"text": "high"}]}],
    }
    url = f"Observation/{client.created(observation)['id']}"
    assert client.get(f"{url}?_summary=true").json["component"] == [component]


def test_unknown_parameters_of_a_read_are_refused_when_strict_and_ignored_when_lenient(
    client: Client, patient: Resource
) -> None:
    url = f"Patient/{client.created(patient)['id']}?colour=red"
    assert client.get(url, prefer="handling=strict").status == 400
    assert client.get(url, prefer="handling=lenient").status == 200


def test_the_request_id_is_echoed_when_harmless_and_replaced_when_not(client: Client) -> None:
    assert client.get("Patient/x", x_request_id="abc-123").headers["x-request-id"] == "abc-123"
    for hostile in ("a b", "<script>", "x" * 65, ""):
        own = client.get("Patient/x", x_request_id=hostile).headers["x-request-id"]
        assert own not in ("", hostile)


def test_an_encoded_slash_does_not_change_the_route(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    assert client.get(f"Patient%2F{stored['id']}").status == 404
    assert client.get(f"{BASE}/Patient/{stored['id']}%2F_history").status == 404
    assert client.get(f"%50atient/{stored['id']}").status == 200


def test_the_ten_thousandth_read_is_as_good_as_the_first(client: Client, patient: Resource) -> None:
    """Whatever counts up while reading must not bring the endpoint down."""
    url = f"Patient/{client.created(patient)['id']}"
    assert {client.get(url).status for _ in range(12_000)} == {200}
