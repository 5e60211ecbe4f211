"""$validate as a client sees it: 200 and every issue, whatever is found."""

from __future__ import annotations

from typing import Any

import pytest
from fhir_client import Client, Resource, Response

from gateway.access import Scope, ScopeSet

PATIENT_PROFILE = "http://hl7.org/fhir/StructureDefinition/Patient"


def asking(resource: Any = None, **more: str) -> Resource:
    named = [{"name": name, "valueString": value} for name, value in more.items()]
    sent = [] if resource is None else [{"name": "resource", "resource": resource}]
    return {"resourceType": "Parameters", "parameter": [*sent, *named]}


def errors(answer: Response) -> list[tuple[str, str]]:
    """Code and place of each error."""
    assert answer.status == 200
    assert answer.json["resourceType"] == "OperationOutcome"
    found = [issue for issue in answer.json["issue"] if issue["severity"] in ("error", "fatal")]
    return [(issue["code"], issue["expression"][0]) for issue in found]


def test_a_valid_resource_has_no_error(client: Client, patient: Resource) -> None:
    assert errors(client.post("Patient/$validate", asking(patient))) == []
    assert errors(client.post("Patient/$validate", patient)) == []
    assert client.get("Patient?_summary=count").json["total"] == 0


def test_every_error_is_told_with_its_place(client: Client, patient: Resource) -> None:
    wrong = {**patient, "gender": "foo", "birthDate": "yesterday"}
    assert {place for _, place in errors(client.post("Patient/$validate", wrong))} == {
        "Patient.gender",
        "Patient.birthDate",
    }
    assert errors(client.post("Observation/$validate", patient)) != []
    assert errors(client.post("Patient/$validate", asking({"resourceType": "Nothing"}))) != []


def test_what_is_stored_can_be_validated_by_its_url(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}"
    assert errors(client.get(f"{url}/$validate")) == []
    assert errors(client.post(f"{url}/$validate", asking(mode="profile", profile=PATIENT_PROFILE))) == []
    assert client.get("Patient/absent/$validate").status == 404


def test_a_profile_that_is_not_known_is_an_error_for_nothing_was_judged_by_it(
    client: Client, patient: Resource
) -> None:
    assert errors(client.post("Patient/$validate", asking(patient, profile="http://example.org/mine"))) == [
        ("not-supported", "profile")
    ]
    assert errors(client.post(f"Patient/$validate?profile={PATIENT_PROFILE}|4.0.1", patient)) == []


def test_a_mode_asks_whether_the_interaction_would_be_let_through(client: Client, patient: Resource) -> None:
    stored = client.created(patient)
    url = f"Patient/{stored['id']}"
    assert errors(client.post("Patient/$validate", asking(patient, mode="create"))) == []
    assert errors(client.post(f"{url}/$validate", asking(stored, mode="update"))) == []
    assert errors(client.post(f"{url}/$validate", asking(patient, mode="update"))) == [("invalid", "Patient.id")]
    assert errors(client.post(f"{url}/$validate", asking(mode="delete"))) == []
    assert errors(client.post("Patient/absent/$validate", asking(mode="delete"))) == [("not-found", "Patient")]
    assert (
        errors(client.post("AuditEvent/$validate?mode=create", {"resourceType": "AuditEvent"}))[0][0] == "business-rule"
    )
    client.acting_with(ScopeSet((Scope("system", "Patient", frozenset("r")),)))
    assert errors(client.post("Patient/$validate", asking(patient, mode="create"))) == [("forbidden", "Patient")]


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("Patient/$validate", None),
        ("Patient/$validate", asking(mode="delete")),
        ("Patient/$validate", asking({"resourceType": "Patient"}, mode="update")),
        ("Patient/$validate", asking({"resourceType": "Patient"}, mode="wish")),
        ("Patient/$validate", asking({"resourceType": "Patient"}, colour="red")),
        ("Patient/x/$validate", asking(mode="create")),
        ("Patient/$validate", {"resourceType": "Nothing"}),
        ("Patient/$validate", b"{"),
    ],
)
def test_a_question_that_cannot_be_asked_is_400(client: Client, url: str, body: Any) -> None:
    assert client.post(url, body).status == 400


def test_validating_needs_a_token_and_an_instance_the_scope_to_read(client: Client, patient: Resource) -> None:
    url = f"Patient/{client.created(patient)['id']}/$validate"
    client.acting_with(ScopeSet((Scope("system", "Goal", frozenset("r")),)))
    assert client.get(url).status == 403
    client.context = None
    assert client.post("Patient/$validate", patient).status == 401


def test_what_is_worth_knowing_is_told_without_being_an_error(client: Client, patient: Resource) -> None:
    answer = client.post("Patient/$validate", patient)
    told = [issue for issue in answer.json["issue"] if issue["severity"] == "warning"]
    assert any("dom-6" in issue["diagnostics"] for issue in told)
    assert client.post("Patient", patient).status == 201
