"""References to this server, under both policies; version-specific ones are kept and can be followed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fhir_client import BASE, Client, Resource, asking, bundle_of, statuses

from gateway.access import Scope, ScopeSet


@pytest.fixture
def strict(make_client: Callable[..., Client]) -> Client:
    """An endpoint that wants references to lead somewhere."""
    return make_client(references="existing")


def observed(**more: object) -> Resource:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **more}


def to(target: str) -> Resource:
    return {"reference": target}


def test_by_default_a_reference_may_lead_nowhere(client: Client) -> None:
    client.created(observed(subject=to("Patient/nobody"), performer=[to("Practitioner/elsewhere")]))


def test_a_reference_that_leads_nowhere_is_refused_with_its_place(strict: Client) -> None:
    known = strict.created({"resourceType": "Practitioner"})
    performers = [to(f"Practitioner/{known['id']}"), to("Practitioner/absent")]
    refused = strict.post("Observation", observed(performer=performers, device=to(f"{BASE}/Device/absent")))
    assert refused.status == 422
    places = {issue["expression"][0] for issue in refused.json["issue"]}
    assert places == {"Observation.performer[1]", "Observation.device"}
    assert strict.get("Observation?_summary=count").json["total"] == 0


@pytest.mark.parametrize(
    "target", ["https://elsewhere.example/fhir/Device/1", "urn:uuid:0d7a3f0c-51a5-4f5e-8d53-6f1b1d5f6f10", "#inner"]
)
def test_references_to_elsewhere_and_inside_are_not_looked_at(strict: Client, target: str) -> None:
    inner = {"contained": [{"resourceType": "Device", "id": "inner"}]} if target.startswith("#") else {}
    strict.created({**observed(device=to(target)), **inner})


def test_what_was_deleted_does_not_exist(strict: Client) -> None:
    url = f"Device/{strict.created({'resourceType': 'Device'})['id']}"
    stored = strict.created(observed(device=to(url)))
    strict.delete(url)
    assert strict.post("Observation", observed(device=to(url))).status == 422
    # What is stored already stays as it is; a new version is judged anew.
    same = f"Observation/{stored['id']}"
    assert strict.put(same, {**observed(device=to(url)), "id": stored["id"]}).headers["etag"] == 'W/"1"'
    assert strict.put(same, {**observed(device=to(url)), "id": stored["id"], "status": "amended"}).status == 422


def test_entries_of_a_transaction_may_refer_to_each_other(strict: Client) -> None:
    alias = "urn:uuid:0d7a3f0c-51a5-4f5e-8d53-6f1b1d5f6f10"
    device = {**asking("POST", "Device", {"resourceType": "Device"}), "fullUrl": alias}
    answer = strict.post(
        "", bundle_of("transaction", asking("POST", "Observation", observed(device=to(alias))), device)
    )
    assert statuses(answer.json) == ["201", "201"]
    refused = strict.post(
        "", bundle_of("transaction", device, asking("POST", "Observation", observed(device=to("Device/x"))))
    )
    assert (refused.status, refused.issue["expression"]) == (422, ["Bundle.entry[1].resource.device"])


def test_writes_side_by_side_see_each_other(strict: Client) -> None:
    """A create that refers to what an earlier request of the same moment made."""
    for n in range(8):
        strict.put(f"Device/d{n}", {"resourceType": "Device", "id": f"d{n}"})
        assert strict.post("Observation", observed(device=to(f"Device/d{n}"))).status == 201


def test_the_statement_says_which_policy_holds(client: Client, strict: Client) -> None:
    policies = [each.get("metadata").json["rest"][0]["resource"][0]["referencePolicy"] for each in (client, strict)]
    assert policies == [["literal", "logical"], ["literal", "logical", "enforced"]]


def test_a_reference_to_a_version_is_kept_and_leads_to_it(strict: Client, patient: Resource) -> None:
    stored = strict.created(patient)
    url = f"Patient/{stored['id']}"
    versioned = f"{url}/_history/1"
    observation = strict.created(observed(subject=to(versioned)))
    strict.put(url, {**stored, "gender": "male"})
    kept = strict.get(f"Observation/{observation['id']}").json["subject"]["reference"]
    assert kept == versioned
    assert strict.get(kept).json["gender"] == "female"
    found = strict.get(f"Observation?subject={url}").json["entry"]
    assert [entry["resource"]["id"] for entry in found] == [observation["id"]]


def test_a_write_needs_no_scope_to_read_what_it_refers_to(strict: Client) -> None:
    url = f"Device/{strict.created({'resourceType': 'Device'})['id']}"
    strict.acting_with(ScopeSet((Scope("system", "Observation", frozenset("c")),)))
    assert strict.post("Observation", observed(device=to(url))).status == 201
