"""Every error of every family of routes is an OperationOutcome with the right status and code, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from fhir_client import Client

from gateway.fhir import errors as door
from gateway.fhir.outcomes import CARRY_THEIR_STATUS, OUTCOMES, failure_of
from gateway.r4.issues import Issue
from gateway.store import errors as store
from gateway.store.store import Store

PATIENT = {"resourceType": "Patient", "id": "x"}
SECRET = "Kari-Nordmann-1980"

CASES: list[tuple[str, str, Any, dict[str, str], int, str]] = [
    ("GET", "Patient/absent", None, {}, 404, "not-found"),
    ("GET", "Patient/absent/_history/1", None, {}, 404, "not-found"),
    ("GET", "Patient/absent/_history", None, {}, 404, "not-found"),
    ("GET", f"Patient/{SECRET}", None, {}, 404, "not-found"),
    ("GET", f"Nothing/{SECRET}", None, {}, 404, "not-supported"),
    ("GET", "", None, {"accept": "application/xml"}, 406, "not-supported"),
    ("GET", f"Patient?birthdate={SECRET}", None, {}, 400, "invalid"),
    ("GET", f"Patient?{SECRET}=1", None, {}, 400, "not-supported"),
    ("GET", f"Patient?_cursor={SECRET}", None, {}, 400, "value"),
    ("GET", f"Patient/_history?_since={SECRET}", None, {}, 400, "invalid"),
    ("GET", "Patient?name=%ff", None, {}, 400, "invalid"),
    ("PATCH", "Patient/x/_history", None, {}, 405, "not-supported"),
    ("PATCH", "Patient/x", None, {}, 415, "not-supported"),
    ("POST", "Patient", b"{", {}, 400, "structure"),
    ("POST", "Patient", {"resourceType": SECRET}, {}, 400, "invalid"),
    ("POST", "Patient", {"resourceType": "Patient", "gender": SECRET}, {}, 422, "code-invalid"),
    ("POST", "Patient", {"resourceType": "Patient"}, {"content-type": "text/plain"}, 415, "not-supported"),
    ("POST", "Patient", {"resourceType": "Patient"}, {"if-none-exist": f"birthdate={SECRET}"}, 400, "invalid"),
    ("POST", "AuditEvent", {"resourceType": "AuditEvent"}, {}, 403, "forbidden"),
    ("PUT", "Patient/x", PATIENT, {"if-match": SECRET}, 400, "invalid"),
    ("PUT", "Patient/y", PATIENT, {}, 400, "invalid"),
    ("DELETE", "Patient/x", None, {"if-match": SECRET}, 400, "invalid"),
    ("POST", "", {"resourceType": "Bundle", "type": SECRET}, {}, 400, "invalid"),
    ("POST", "", b"{", {}, 400, "invalid"),
]


@pytest.mark.parametrize(("method", "url", "body", "headers", "status", "code"), CASES)
def test_an_error_is_an_operation_outcome_that_repeats_nothing(
    client: Client, method: str, url: str, body: Any, headers: dict[str, str], status: int, code: str
) -> None:
    refused = client.request(method, url, body, headers=headers)
    assert refused.status == status
    outcome = refused.json
    assert set(outcome) == {"resourceType", "issue"}
    issue = refused.issue
    assert (issue["severity"], issue["code"]) == ("error", code)
    assert issue["details"]["text"] == issue["diagnostics"] != ""
    assert refused.headers["content-type"].startswith("application/fhir+json")
    assert "Traceback" not in refused.content.decode()
    if f"?{SECRET}=" not in url:
        assert SECRET not in refused.content.decode()


def classes(base: type[Exception]) -> Iterator[type[Exception]]:
    for kind in base.__subclasses__():
        yield kind
        yield from classes(kind)


def test_every_error_class_has_its_row() -> None:
    known = {*classes(door.ProtocolError), *classes(store.StoreError)}
    assert known == {kind for kind in known if any(base in OUTCOMES for base in kind.__mro__)}
    assert all(400 <= status <= 503 for status, _ in OUTCOMES.values())
    assert not set(OUTCOMES) & set(CARRY_THEIR_STATUS)


@pytest.mark.parametrize("kind", [k for k in classes(store.StoreError) if not issubclass(k, store.Invalid)])
def test_an_error_without_a_sentence_speaks_with_its_own(kind: type[Exception]) -> None:
    failure = failure_of(kind())
    assert (failure.status, failure.issues[0].code) == OUTCOMES[kind]
    assert failure.issues[0].diagnostics == (kind.__doc__ or "").strip()


def test_each_issue_of_a_resource_is_placed_in_its_bundle() -> None:
    cause = store.Invalid([Issue("error", "value", "Patient.name[0]", "a"), Issue("error", "value", "Patient", "b")])
    placed = [issue.expression for issue in failure_of(door.EntryRefused(3, cause)).issues]
    assert placed == ["Bundle.entry[3].resource.name[0]", "Bundle.entry[3].resource"]


def test_hidden_absent_and_malformed_ids_are_answered_alike(client: Client) -> None:
    bodies = {client.get(f"Patient/{logical_id}").content for logical_id in ("absent", "00000000000000", "a_b")}
    assert len(bodies) == 1


def test_a_fault_is_500_says_nothing_and_is_logged_without_its_message(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The store is stopped behind the door's back, so that reading from it fails in an unforeseen way."""

    class Broken:
        async def read(self, *_: object) -> None:
            raise KeyError(SECRET)

    client.app._service = replace(client.app._service, store=cast(Store, Broken()))
    with caplog.at_level(logging.ERROR):
        failed = client.get("Patient/x", x_request_id="trace-me")
    assert failed.status == 500
    assert failed.issue["code"] == "exception"
    assert SECRET not in failed.content.decode()
    assert SECRET not in caplog.text
    (record,) = [record for record in caplog.records if record.msg == "request.fault"]
    assert (vars(record)["request_id"], vars(record)["error"]) == ("trace-me", "KeyError")
