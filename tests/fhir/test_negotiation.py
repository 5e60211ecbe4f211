"""Formats in and out."""

from __future__ import annotations

import pytest
from fhir_client import Client

FHIR = "application/fhir+json; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("application/fhir+json", FHIR),
        ("application/fhir+json; fhirVersion=4.0", FHIR),
        ('application/fhir+json; fhirVersion="4.0"', FHIR),
        ("APPLICATION/FHIR+JSON", FHIR),
        ("application/json", "application/json; charset=utf-8"),
        ("text/json", "text/json; charset=utf-8"),
        ("*/*", FHIR),
        ("application/*", FHIR),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", FHIR),
        ("application/json;q=0.5, application/fhir+json;q=0.9", FHIR),
        ("application/fhir+xml, application/json;q=0.1", "application/json; charset=utf-8"),
    ],
)
def test_json_is_answered_under_the_name_that_the_client_uses(client: Client, accept: str, answered: str) -> None:
    response = client.get("metadata", accept=accept)
    assert (response.status, response.headers["content-type"]) == (200, answered)


@pytest.mark.parametrize(
    "accept",
    [
        "application/fhir+xml", "application/xml", "text/turtle", "text/html", "nonsense", "", "application/json;q=0",
        "application/fhir+json; fhirVersion=3.0", "application/fhir+json; fhirVersion=5.0",
    ],
)  # fmt: skip
def test_any_other_format_is_406(client: Client, accept: str) -> None:
    refused = client.get("metadata", accept=accept)
    assert refused.status == 406
    assert refused.issue["code"] == "not-supported"
    assert refused.headers["content-type"] == FHIR


@pytest.mark.parametrize(
    ("format_", "status"),
    [
        ("json", 200), ("application/json", 200), ("application/fhir%2Bjson", 200), ("application/fhir+json", 200),
        ("text/json", 200), ("xml", 406), ("ttl", 406), ("application/fhir%2Bxml", 406), ("html", 406),
        ("application/fhir%2Bjson;fhirVersion=5.0", 406),
    ],
)  # fmt: skip
def test_format_goes_before_accept(client: Client, format_: str, status: int) -> None:
    accept = "application/fhir+xml" if status == 200 else "application/fhir+json"
    assert client.get(f"Patient?_format={format_}", accept=accept).status == status


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/fhir+json", 201), ("application/json", 201), ("text/json", 201),
        ("application/fhir+json; charset=UTF-8", 201), ("application/fhir+json; fhirVersion=4.0", 201),
        ("application/fhir+xml", 415), ("text/plain", 415), ("application/fhir+json; charset=iso-8859-1", 415),
        ("application/fhir+json; fhirVersion=3.0", 415), ("application/x-www-form-urlencoded", 415), (None, 415),
    ],
)  # fmt: skip
def test_a_body_must_say_that_it_is_json_in_utf_8(client: Client, content_type: str | None, status: int) -> None:
    assert client.request("POST", "Patient", {"resourceType": "Patient"}, content_type=content_type).status == status


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_compressed_bodies_are_415(client: Client, encoding: str) -> None:
    assert client.post("Patient", {"resourceType": "Patient"}, content_encoding=encoding).status == 415
    assert client.post("Patient", {"resourceType": "Patient"}, content_encoding="identity").status == 201
