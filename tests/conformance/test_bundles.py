"""Batches, transactions and the CapabilityStatement (R4 sections 3.1.0.11 and 3.1.0.9)."""

from __future__ import annotations

from tests.conformance.peer import Peer, bundle, entry, patient, unique


def statuses(answer: dict[str, object]) -> list[str]:
    entries: list[dict[str, dict[str, str]]] = answer["entry"]  # type: ignore[assignment]
    return [each["response"]["status"][:3] for each in entries]


def test_a_batch_answers_each_entry(peer: Peer) -> None:
    someone = peer.created(patient())["id"]
    answer = peer.post("", bundle("batch", entry("GET", f"Patient/{someone}"), entry("GET", f"Patient/{unique()}")))
    assert (answer.status_code, statuses(answer.json())) == (200, ["200", "404"])


def test_a_transaction_with_one_invalid_entry_leaves_nothing(peer: Peer) -> None:
    value = unique()
    good = patient(identifier=[{"system": "urn:check", "value": value}])
    bad = patient(gender="foo")
    answer = peer.post("", bundle("transaction", entry("POST", "Patient", good), entry("POST", "Patient", bad)))
    assert 400 <= answer.status_code < 500
    assert peer.found(f"Patient?identifier=urn:check|{value}") == []


def test_a_conditional_reference_is_resolved(peer: Peer) -> None:
    value = unique()
    someone = peer.created(patient(identifier=[{"system": "urn:check", "value": value}]))["id"]
    subject = {"reference": f"Patient?identifier=urn:check|{value}"}
    condition = {"resourceType": "Condition", "code": {"text": "pain"}, "subject": subject}
    answer = peer.post("", bundle("transaction", entry("POST", "Condition", condition)))
    assert statuses(answer.json()) == ["201"]
    assert len(peer.found(f"Condition?subject=Patient/{someone}")) == 1


def test_if_none_exist_inside_a_transaction(peer: Peer) -> None:
    value = unique()
    body = patient(identifier=[{"system": "urn:check", "value": value}])
    conditional = entry("POST", "Patient", body, ifNoneExist=f"identifier=urn:check|{value}")
    assert statuses(peer.post("", bundle("transaction", conditional)).json()) == ["201"]
    assert statuses(peer.post("", bundle("transaction", conditional)).json()) == ["200"]


def test_metadata(peer: Peer) -> None:
    statement = peer.get("metadata").json()
    assert (statement["resourceType"], statement["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
    assert {"Patient", "Observation"} <= {each["type"] for each in statement["rest"][0]["resource"]}
