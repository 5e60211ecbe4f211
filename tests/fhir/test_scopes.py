"""Who is let in, and how far the scopes of a token reach."""

from __future__ import annotations

from typing import Any

import pytest
from fhir_client import Client

from gateway.access import Scope, ScopeSet


def scoped(*written: str) -> ScopeSet:
    """`Patient.rs` and the like."""
    return ScopeSet(tuple(Scope("system", t, frozenset(a)) for t, _, a in (w.partition(".") for w in written)))


def test_without_a_token_everything_but_metadata_is_401(client: Client) -> None:
    client.context = None
    refused = client.get("Patient/x")
    assert refused.status == 401
    assert refused.issue["code"] == "login"
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert client.get("metadata").status == 200


def test_a_body_is_not_read_before_its_sender_is_known(make_client: Any) -> None:
    client = make_client(max_body_bytes=1_000)
    client.context = None
    assert client.post("Patient", {"x": "y" * 2_000}).status == 401


@pytest.mark.parametrize(
    ("method", "url", "letter"),
    [
        ("GET", "Patient/x", "r"), ("GET", "Patient/x/_history", "r"), ("GET", "Patient/x/_history/1", "r"),
        ("GET", "Patient/_history", "s"), ("GET", "Patient", "s"), ("POST", "Patient/_search", "s"),
        ("GET", "Patient/x/Patient", "s"), ("POST", "Patient", "c"), ("PUT", "Patient/x", "u"),
        ("DELETE", "Patient/x", "d"),
    ],
)  # fmt: skip
def test_each_interaction_needs_its_letter(client: Client, method: str, url: str, letter: str) -> None:
    body = {"resourceType": "Patient", "id": "x"} if method in ("POST", "PUT") and "_search" not in url else None
    others = "cruds".replace(letter, "")
    client.acting_with(scoped(f"Patient.{others}", f"Observation.{letter}"))
    assert client.request(method, url, body).status == 403
    client.acting_with(scoped(f"Patient.{letter}"))
    assert client.request(method, url, body).status != 403


def test_the_system_needs_a_scope_for_every_type(client: Client) -> None:
    client.acting_with(scoped("Patient.cruds"))
    assert client.get("_history").status == 403
    assert client.get("?_type=Patient").status == 200
    assert client.get("?_type=Patient,Observation").status == 403
    assert client.get("Patient/x/*").status == 403


def test_each_entry_of_a_bundle_needs_its_own_scope(client: Client, patient: dict[str, Any]) -> None:
    client.acting_with(scoped("Patient.cruds"))
    entries = [
        {"resource": patient, "request": {"method": "POST", "url": "Patient"}},
        {"request": {"method": "GET", "url": "Observation/x"}},
        {"resource": {"resourceType": "Basic"}, "request": {"method": "POST", "url": "Basic"}},
    ]
    batch = client.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries}).json
    assert [entry["response"]["status"][:3] for entry in batch["entry"]] == ["201", "403", "403"]
    transaction = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert transaction.status == 403
    assert transaction.issue["expression"] == ["Bundle.entry[2]"]
    assert client.get("Patient?_summary=count").json["total"] == 1
