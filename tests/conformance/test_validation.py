"""Validation: what is not R4 is refused, and $validate says why (R4 section 5.3)."""

from __future__ import annotations

import pytest

from tests.conformance.peer import Peer, Resource, patient

WRONG = {
    "gender is foo": patient(gender="foo"),
    "an unknown element": patient(colour="red"),
    "pat-1": patient(contact=[{"relationship": [{"text": "nobody"}]}]),
}


@pytest.mark.parametrize("resource", WRONG.values(), ids=WRONG)
def test_what_is_not_r4_is_refused(peer: Peer, resource: Resource) -> None:
    answer = peer.post("Patient", resource)
    assert answer.status_code in (400, 422)
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("resource", WRONG.values(), ids=WRONG)
def test_validate_finds_it_too(peer: Peer, resource: Resource) -> None:
    assert "error" in severities(peer, resource)
    assert "error" not in severities(peer, patient(gender="female"))


def severities(peer: Peer, resource: Resource) -> set[str]:
    body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource}]}
    answer = peer.post("Patient/$validate", body)
    assert answer.json()["resourceType"] == "OperationOutcome"
    return {issue["severity"] for issue in answer.json()["issue"]}
