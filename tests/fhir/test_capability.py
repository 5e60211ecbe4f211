"""The CapabilityStatement says what the routes do, and the routes do what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fhir_client import BASE, Client

from gateway.access import EVERYTHING, ScopeSet
from gateway.fhir.app import HANDLERS
from gateway.fhir.capability import NOT_STORED
from gateway.fhir.operations import OPERATIONS, Operation
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
    "patch": ("PATCH", "{type}/x"),
    "delete": ("DELETE", "{type}/x"),
    "search-type": ("GET", "{type}"),
    "history-system": ("GET", "_history"),
    "search-system": ("GET", "?_type=Patient"),
    "batch": ("POST", ""),
    "transaction": ("POST", ""),
}
"""A request of each interaction that a CapabilityStatement can name (R4 valueset restful-interaction)."""


@pytest.fixture
def statement(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("metadata").json
    return found


def refused_by_the_routes(client: Client, code: str, resource_type: str) -> bool:
    method, url = SEND[code]
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
            code for code, (_, url) in SEND.items()
            if "{type}" in url and not refused_by_the_routes(client, code, resource_type)
        }  # fmt: skip
        assert listed[resource_type] == works
    every = {code for code, (_, url) in SEND.items() if "{type}" in url}
    assert all(codes == every for name, codes in listed.items() if name not in READ_ONLY)


def test_every_interaction_of_the_system_is_listed_and_works(client: Client, statement: dict[str, Any]) -> None:
    listed = {i["code"] for i in statement["rest"][0]["interaction"]}
    assert listed == {code for code, (_, url) in SEND.items() if "{type}" not in url}
    assert not any(refused_by_the_routes(client, code, "Patient") for code in listed)


def test_every_operation_is_listed_where_it_is_routed_and_nowhere_else(
    client: Client, statement: dict[str, Any]
) -> None:
    listed = {
        (resource["type"], operation["name"], operation["definition"])
        for resource in statement["rest"][0]["resource"]
        for operation in resource.get("operation", ())
    }
    assert "operation" not in statement["rest"][0]
    names = {name for _, name, _ in listed}
    for resource in statement["rest"][0]["resource"]:
        kind = resource["type"]
        here = {name for each, name, _ in listed if each == kind}
        routed = {name for name in names if is_routed(client, kind, name)}
        assert here == routed, kind


def is_routed(client: Client, resource_type: str, name: str) -> bool:
    """Whether some level of the type has the operation, for this client."""
    urls = f"{resource_type}/${name}", f"{resource_type}/absent/${name}"
    answers = [client.post(url, {"resourceType": "Parameters"}) for url in urls]
    return any(
        answer.status not in (403, 405) and answer.json.get("issue", [{}])[0].get("code") != "not-supported"
        for answer in answers
    )


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: row.code)
def test_an_operation_takes_get_where_it_changes_nothing(client: Client, row: Operation) -> None:
    for level in row.letters:
        url = f"{(row.types or ('Patient',))[0]}/{'absent/' if level == 'instance' else ''}${row.name}"
        assert (client.get(url).status == 405) == row.affects_state
        client.acting_with(ScopeSet(()))
        assert (client.post(url, {"resourceType": "Parameters"}).status == 403) == bool(row.letters[level])
        client.acting_with(EVERYTHING)


def test_conditional_interactions_are_said_as_they_are(make_client: Callable[..., Client]) -> None:
    for most, word in ((1, "single"), (2, "multiple")):
        rest = make_client(conditional_delete_max=most).get("metadata").json["rest"][0]
        said = {each["type"]: each for each in rest["resource"]}
        assert (said["Patient"]["conditionalDelete"], said["Patient"]["conditionalUpdate"]) == (word, True)
        assert (said["AuditEvent"]["conditionalDelete"], said["AuditEvent"]["conditionalUpdate"]) == (
            "not-supported",
            False,
        )


def test_the_patch_formats_are_those_that_are_taken(client: Client, statement: dict[str, Any]) -> None:
    assert set(statement["patchFormat"]) == {"application/json-patch+json", "application/fhir+json"}
    for kind in (*statement["patchFormat"], "application/xml-patch+xml", "application/fhir+xml"):
        taken = client.request("PATCH", "Patient/absent", {}, content_type=kind).status != 415
        assert taken == (kind in statement["patchFormat"])


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
        ("POST", "Patient/x", "DELETE, GET, HEAD, PATCH, PUT"),
        ("OPTIONS", "Patient", "DELETE, GET, HEAD, PATCH, POST, PUT"),
        ("PUT", "Patient/$match", "GET, HEAD, POST"),
        ("GET", "Patient/x/$meta-add", "POST"),
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
        "metadata/x", "Patient/_history/1", "$everything", "Patient/$everything",
        "Patient/x/$match", "Observation/x/$everything", "$", "Patient/x/y/$meta", "Patient/x/$nothing",
    ],
)  # fmt: skip
def test_an_endpoint_that_does_not_exist_is_404(client: Client, url: str) -> None:
    refused = client.get(url)
    assert (refused.status, refused.issue["code"]) == (404, "not-supported")


def test_the_mode_says_which_statement(client: Client, statement: dict[str, Any]) -> None:
    assert client.get("metadata?mode=full").json == client.get("metadata?mode=normative").json == statement
    terminology = client.get("metadata?mode=terminology")
    assert Validator().validate(parse(terminology.content), "TerminologyCapabilities") == []
    assert client.get("metadata?mode=other").status == 400
