"""The RESTful interactions, as any client of R4 may expect them (R4 section 3.1.0)."""

from __future__ import annotations

import httpx
import pytest

from tests.conformance.peer import JSON_PATCH, Peer, Resource, matches, patient, unique


@pytest.fixture
def someone(peer: Peer) -> Resource:
    """A patient with an identifier of its own."""
    return peer.created(patient(identifier=[{"system": "urn:check", "value": unique()}], gender="female"))


@pytest.fixture
def condition(someone: Resource) -> str:
    """The search that finds just that patient."""
    return f"identifier=urn:check|{someone['identifier'][0]['value']}"


def test_create_gives_201_location_and_etag(peer: Peer) -> None:
    answer = peer.post("Patient", patient())
    assert answer.status_code == 201
    assert "/Patient/" in answer.headers["location"]
    assert answer.headers["etag"] == 'W/"1"'


def test_read(peer: Peer, someone: Resource) -> None:
    answer = peer.get(f"Patient/{someone['id']}")
    assert (answer.status_code, answer.json()["gender"]) == (200, "female")


def test_if_none_match_gives_304(peer: Peer, someone: Resource) -> None:
    etag = peer.get(f"Patient/{someone['id']}").headers["etag"]
    assert peer.get(f"Patient/{someone['id']}", if_none_match=etag).status_code == 304


def test_update(peer: Peer, someone: Resource) -> None:
    answer = peer.put(f"Patient/{someone['id']}", {**someone, "gender": "male"})
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert peer.get(f"Patient/{someone['id']}").json()["gender"] == "male"


def test_stale_if_match_is_refused(peer: Peer, someone: Resource) -> None:
    url = f"Patient/{someone['id']}"
    assert peer.put(url, {**someone, "gender": "male"}, if_match='W/"1"').status_code == 200
    assert peer.put(url, {**someone, "gender": "other"}, if_match='W/"1"').status_code in (409, 412)


def test_update_as_create_gives_201(peer: Peer) -> None:
    logical_id = unique()
    assert peer.put(f"Patient/{logical_id}", patient(id=logical_id)).status_code == 201


def test_vread(peer: Peer, someone: Resource) -> None:
    peer.put(f"Patient/{someone['id']}", {**someone, "gender": "male"})
    answer = peer.get(f"Patient/{someone['id']}/_history/1")
    assert (answer.status_code, answer.json()["gender"]) == (200, "female")


def test_history_of_an_instance_has_both_versions(peer: Peer, someone: Resource) -> None:
    peer.put(f"Patient/{someone['id']}", {**someone, "gender": "male"})
    history = peer.get(f"Patient/{someone['id']}/_history").json()
    assert (history["type"], len(history["entry"])) == ("history", 2)


@pytest.mark.parametrize("url", ["Patient/_history", "_history"])
def test_history_of_a_type_and_of_the_system(peer: Peer, someone: Resource, url: str) -> None:
    answer = peer.get(f"{url}?_count=50")
    assert answer.status_code == 200
    assert someone["id"] in {each["resource"]["id"] for each in answer.json()["entry"] if "resource" in each}


def test_json_patch(peer: Peer, someone: Resource) -> None:
    operations = [{"op": "test", "path": "/gender", "value": "female"}, {"op": "remove", "path": "/gender"}]
    answer = peer.send("PATCH", f"Patient/{someone['id']}", operations, JSON_PATCH)
    assert answer.status_code == 200
    assert "gender" not in peer.get(f"Patient/{someone['id']}").json()
    assert peer.send("PATCH", f"Patient/{someone['id']}", operations, JSON_PATCH).status_code in (400, 409, 412, 422)


def test_fhirpath_patch(peer: Peer, someone: Resource) -> None:
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.gender"},
        {"name": "value", "valueCode": "other"},
    ]
    body = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    assert peer.send("PATCH", f"Patient/{someone['id']}", body).status_code == 200
    assert peer.get(f"Patient/{someone['id']}").json()["gender"] == "other"


def test_conditional_patch(peer: Peer, someone: Resource, condition: str) -> None:
    operations = [{"op": "replace", "path": "/gender", "value": "male"}]
    assert peer.send("PATCH", f"Patient?{condition}", operations, JSON_PATCH).status_code == 200
    assert peer.get(f"Patient/{someone['id']}").json()["gender"] == "male"


def test_conditional_create_on_a_match_gives_200(peer: Peer, someone: Resource, condition: str) -> None:
    body = {name: value for name, value in someone.items() if name not in ("id", "meta")}
    assert peer.post("Patient", body, if_none_exist=condition).status_code == 200
    assert peer.found(f"Patient?{condition}") == [someone["id"]]


def test_conditional_update(peer: Peer, someone: Resource, condition: str) -> None:
    assert peer.put(f"Patient?{condition}", {**someone, "gender": "male"}).status_code == 200
    assert peer.get(f"Patient/{someone['id']}").json()["gender"] == "male"
    fresh = unique()
    new = patient(identifier=[{"system": "urn:check", "value": fresh}])
    assert peer.put(f"Patient?identifier=urn:check|{fresh}", new).status_code == 201


def test_sixteen_parallel_conditional_creates_leave_one(peer: Peer) -> None:
    value = unique()
    body = patient(identifier=[{"system": "urn:check", "value": value}])
    condition = f"identifier=urn:check|{value}"
    statuses = peer.side_by_side(lambda _: peer.post("Patient", body, if_none_exist=condition), 16)
    assert statuses.count(201) == 1
    assert len(peer.found(f"Patient?{condition}")) == 1


def test_of_eight_parallel_updates_of_one_version_one_succeeds(peer: Peer, someone: Resource) -> None:
    def update(number: int) -> httpx.Response:
        return peer.put(f"Patient/{someone['id']}", {**someone, "birthDate": f"199{number}-01-01"}, if_match='W/"1"')

    assert peer.side_by_side(update, 8).count(200) == 1


def test_conditional_delete(peer: Peer, someone: Resource, condition: str) -> None:
    assert peer.delete(f"Patient?{condition}").status_code in (200, 204)
    assert peer.get(f"Patient/{someone['id']}").status_code == 410


def test_delete_then_410(peer: Peer, someone: Resource) -> None:
    assert peer.delete(f"Patient/{someone['id']}").status_code in (200, 204)
    assert peer.get(f"Patient/{someone['id']}").status_code == 410
    assert matches(peer.get(f"Patient?_id={someone['id']}").json()) == []


def test_prefer_return_minimal_gives_an_empty_body(peer: Peer) -> None:
    answer = peer.post("Patient", patient(), prefer="return=minimal")
    assert (answer.status_code, answer.content) == (201, b"")
