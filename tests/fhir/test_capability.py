"""The CapabilityStatement says what the routes do, and the routes do what it says."""

from __future__ import annotations

from typing import Any

import pytest
from fhir_client import BASE, Client

from gateway.fhir.app import HANDLERS
from gateway.fhir.capability import NOT_STORED
from gateway.fhir.paths import INTERACTIONS, READ_ONLY
from gateway.r4.definitions import TYPES
from gateway.r4.parse import parse
from gateway.r4.search_parameters import PARAMETERS
from gateway.r4.validate import Validator

SEND = {
    "read": ("GET", "{type}/x"),
    "vread": ("GET", "{type}/x/_history/1"),
    "history-instance": ("GET", "{type}/x/_history"),
    "history-type": ("GET", "{type}/_history"),
    "create": ("POST", "{type}"),
    "update": ("PUT", "{type}/x"),
    "delete": ("DELETE", "{type}/x"),
    "search-type": ("GET", "{type}"),
    "history-system": ("GET", "_history"),
    "search-system": ("GET", "?_type=Patient"),
    "batch": ("POST", ""),
    "transaction": ("POST", ""),
}
"""A request of each interaction that a CapabilityStatement can name (R4 valueset restful-interaction)."""
NOT_OFFERED = {"patch": ("PATCH", "{type}/x")}


@pytest.fixture
def statement(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("metadata").json
    return found


def refused_by_the_routes(client: Client, code: str, resource_type: str) -> bool:
    method, url = {**SEND, **NOT_OFFERED}[code]
    body = {"resourceType": resource_type, "id": "x"} if method in ("POST", "PUT", "PATCH") else None
    if code in ("batch", "transaction"):
        body = {"resourceType": "Bundle", "type": code}
    return client.request(method, url.format(type=resource_type), body).status in (403, 405)


def test_the_statement_is_valid_r4(client: Client) -> None:
    raw = client.get("metadata").content
    assert Validator().validate(parse(raw), "CapabilityStatement") == []


def test_every_interaction_of_a_type_is_listed_exactly_where_its_route_works(
    client: Client, statement: dict[str, Any]
) -> None:
    listed = {r["type"]: {i["code"] for i in r["interaction"]} for r in statement["rest"][0]["resource"]}
    for resource_type in ("Patient", "AuditEvent", "Bundle"):
        works = {
            code for code, (_, url) in {**SEND, **NOT_OFFERED}.items()
            if "{type}" in url and not refused_by_the_routes(client, code, resource_type)
        }  # fmt: skip
        assert listed[resource_type] == works
    every = {code for code, (_, url) in SEND.items() if "{type}" in url}
    assert all(codes == every for name, codes in listed.items() if name not in READ_ONLY)


def test_every_interaction_of_the_system_is_listed_and_works(client: Client, statement: dict[str, Any]) -> None:
    listed = {i["code"] for i in statement["rest"][0]["interaction"]}
    assert listed == {code for code, (_, url) in SEND.items() if "{type}" not in url}
    assert not any(refused_by_the_routes(client, code, "Patient") for code in listed)


def test_every_row_of_the_table_has_a_handler_and_every_handler_a_row() -> None:
    assert {row.code for row in INTERACTIONS} == set(HANDLERS)


def test_every_type_is_listed_with_its_search_parameters(statement: dict[str, Any]) -> None:
    resources = statement["rest"][0]["resource"]
    assert [r["type"] for r in resources] == [name for name in TYPES if name not in NOT_STORED]
    for resource in resources:
        names = [parameter["name"] for parameter in resource["searchParam"]]
        assert sorted(names) == sorted({*PARAMETERS[resource["type"]], "_id", "_lastUpdated"})


def test_it_names_this_server_and_version_4_0_1(statement: dict[str, Any]) -> None:
    assert statement["implementation"]["url"] == BASE
    assert statement["fhirVersion"] == "4.0.1"


@pytest.mark.parametrize(
    ("method", "url", "allow"),
    [
        ("PATCH", "Patient/x", "DELETE, GET, HEAD, PUT"),
        ("DELETE", "Patient", "GET, HEAD, POST"),
        ("PUT", "Patient?identifier=x", "GET, HEAD, POST"),
        ("POST", "Patient/x", "DELETE, GET, HEAD, PUT"),
        ("PUT", "", "GET, HEAD, POST"),
        ("POST", "metadata", "GET, HEAD"),
        ("GET", "Patient/_search", "POST"),
        ("OPTIONS", "_history", "GET, HEAD"),
    ],
)
def test_a_method_that_an_endpoint_does_not_take_is_405_with_those_it_does(
    client: Client, method: str, url: str, allow: str
) -> None:
    refused = client.request(method, url)
    assert (refused.status, refused.headers["allow"]) == (405, allow)


@pytest.mark.parametrize(
    "url",
    [
        "Nothing", "patient/1", "Patient/1/2/3/4", "Patient/x/_history/1/2", "Patient/x/Nothing", "_unknown",
        "metadata/x", "Patient/_history/1", "$everything", "Patient/x/$everything",
    ],
)  # fmt: skip
def test_an_endpoint_that_does_not_exist_is_404(client: Client, url: str) -> None:
    refused = client.get(url)
    assert (refused.status, refused.issue["code"]) == (404, "not-supported")


def test_other_modes_of_the_statement_are_400(client: Client) -> None:
    assert client.get("metadata?mode=full").status == 200
    assert client.get("metadata?mode=terminology").status == 400
