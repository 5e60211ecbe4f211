"""Whatever is sent, the answer is FHIR: never a 5xx, never an exception."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fhir_client import Client, asking, bundle_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

CASES = int(os.environ.get("BACKBRIDGE_FUZZ", "3000"))
PATIENT: dict[str, Any] = {
    "resourceType": "Patient", "id": "a", "name": [{"family": "Å", "given": ["b"]}], "gender": "female",
    "identifier": [{"system": "urn:s", "value": "v"}], "multipleBirthInteger": 2,
}  # fmt: skip
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation", "id": "b", "status": "final", "code": {"coding": [{"system": "s", "code": "c"}]},
    "subject": {"reference": "Patient/a"}, "valueQuantity": {"value": 1.5, "unit": "kg"},
}  # fmt: skip
COMPOSITION: dict[str, Any] = {
    "resourceType": "Composition", "id": "c", "status": "final", "type": {"text": "t"}, "date": "2026-01-01",
    "author": [{"display": "d"}], "title": "t", "subject": {"reference": "Patient/a"},
}  # fmt: skip
BODIES = [
    PATIENT,
    OBSERVATION,
    bundle_of("batch", asking("GET", "Patient/a"), asking("POST", "Patient", PATIENT, ifNoneExist="identifier=v")),
    bundle_of(
        "transaction",
        {**asking("PUT", "Patient/a", PATIENT), "fullUrl": "urn:uuid:11111111-1111-4111-8111-111111111111"},
        asking("POST", "Observation", {**OBSERVATION, "subject": {"reference": "Patient?identifier=v"}}),
        asking("DELETE", "Observation/b", ifMatch='W/"1"'),
        asking(
            "PATCH",
            "Patient?identifier=v",
            {
                "resourceType": "Binary",
                "contentType": "application/json-patch+json",
                "data": "W10=",
            },
        ),
        asking("PUT", "Observation?code=s|other", {**OBSERVATION, "id": "b2"}),
        asking("GET", "Observation?subject=Patient/a&_include=Observation:subject"),
    ),
]

segments = st.sampled_from(
    ["Patient", "Observation", "AuditEvent", "Parameters", "a", "b", "_history", "_search", "metadata", "1",
     "2", "*", "$x", "$everything", "$validate", "$meta", "$meta-add", "$match", "$document", "Composition", "$expand",
     "%2F", "%ff", "%00", "..", "", "x" * 65, "Nothing", "0" * 13]
)  # fmt: skip
names = st.sampled_from(
    ["_id", "_count", "_sort", "_total", "_summary", "_elements", "_include", "_revinclude", "_cursor",
     "_since", "_format",
     "_type", "_lastUpdated", "_has:Observation:subject:code", "name", "name:exact", "name:contains", "name:missing",
     "birthdate", "identifier", "subject", "subject:Patient.name", "date", "code", "value-quantity",
     "code:not", "_pretty",
     "_filter", "colour", "mode", "start", "end", "profile", "count", "onlyCertainMatches", "persist", "_at",
     "", "code-value-quantity", "combo-code-value-quantity", "_include:iterate"]
)  # fmt: skip
values = st.one_of(
    st.sampled_from(
        ["a", "Patient/a", "s|c", "|", "1", "0", "-1", "9" * 30, "true", "accurate", "count", "text", "name",
         "-birthdate",
         "ge2020-01-01", "2020-13-45", "1e400", "le1e-400", "5.4|http://u|kg", "c$5", "$", ",", "\\", "\\,", "*",
         "Observation:subject", "Patient:organization", "2020-01-01T00:00:00Z", "json", "xml", "%00", "%ff", "+", "|||"]
    ),
    st.text(max_size=12),
)  # fmt: skip
header_values = st.sampled_from(
    ['W/"1"', '"1"', "*", 'W/"0"', "x", "", "return=minimal", "return=representation; handling=lenient",
     "handling=strict",
     "application/fhir+json", "application/json", "application/xml", "application/x-www-form-urlencoded",
     "identifier=v",
     "application/fhir+json; fhirVersion=4.0", "application/json-patch+json",
     "?identifier=v&x", "Sun, 06 Nov 1994 08:49:37 GMT", "gzip",
     "\xff", "9" * 30]
)  # fmt: skip
header_names = st.sampled_from(
    ["accept", "content-type", "content-encoding", "content-length", "if-match", "if-none-match", "if-none-exist",
     "if-modified-since", "prefer", "x-request-id", "authorization"]
)  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8),
    st.sampled_from(["Patient/a", "urn:uuid:11111111-1111-4111-8111-111111111111", "Patient?identifier=v", "\ud800"]),
)  # fmt: skip
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a JSON tree with each of its keys."""
    keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from places(node[key])


@st.composite
def mutated(draw: st.DrawFn, body: Any) -> bytes:
    """JSON that was right before some of it was replaced, removed or cut off; often it still is right."""
    tree = json.loads(json.dumps(body))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        found = list(places(tree))
        if not found:
            break
        container, key = found[draw(st.integers(0, len(found) - 1))]
        if isinstance(container, dict) and draw(st.booleans()):
            del container[key]
        else:
            container[key] = draw(junk)
    text = json.dumps(tree).encode()
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 19)) == 0 else text


queries = st.lists(st.tuples(names, values), max_size=3)
headers = st.dictionaries(header_names, header_values, max_size=2)
READS = ["Patient", "Observation", "", "_history", "Patient/_history", "Patient/a", "Patient/a/_history",
         "Patient/a/_history/1", "Patient/a/Observation", "Patient/a/*", "metadata", "Observation/b"]  # fmt: skip
WRITES = [("POST", "Patient", PATIENT), ("POST", "Observation", OBSERVATION), ("PUT", "Patient/a", PATIENT),
          ("PUT", "Observation/b", OBSERVATION), ("POST", "", BODIES[2]), ("POST", "", BODIES[3])]  # fmt: skip
reading = st.tuples(st.sampled_from(["GET", "GET", "HEAD"]), st.sampled_from(READS), queries, headers, st.just(b""))
forms = st.tuples(
    st.just("POST"),
    st.sampled_from(["Patient/_search", "_search", "Patient/a/Observation/_search"]),
    queries,
    st.just({"content-type": "application/x-www-form-urlencoded"}),
    st.binary(max_size=20) | st.sampled_from([b"name=a", b"_type=Patient", b"_count=1", b"name=%ff", b"&=&"]),
)
writing = st.sampled_from(WRITES).flatmap(
    lambda row: st.tuples(st.just(row[0]), st.just(row[1]), st.just([]), st.just({}) | headers, mutated(row[2]))
)
deleting = st.tuples(
    st.just("DELETE"),
    st.sampled_from(["Patient/a", "Observation/b", "Patient", "Observation"]),
    st.just([]) | queries,
    headers,
    st.just(b""),
)
JSON_PATCHES = [
    [{"op": "test", "path": "/gender", "value": "female"}, {"op": "replace", "path": "/gender", "value": "male"}],
    [{"op": "add", "path": "/name/-", "value": {"family": "x"}}, {"op": "copy", "from": "/name", "path": "/contact"}],
    [{"op": "move", "from": "/name/0", "path": "/name/1"}, {"op": "remove", "path": "/identifier/0/value"}],
]
FHIRPATH_PATCH = {"resourceType": "Parameters", "parameter": [
    {"name": "operation", "part": [
        {"name": "type", "valueCode": kind}, {"name": "path", "valueString": path},
        {"name": "name", "valueString": name},
        {"name": "index", "valueInteger": 0}, {"name": "source", "valueInteger": 0},
        {"name": "destination", "valueInteger": 0}, {"name": "value", key: value}]}
    for kind, path, name, key, value in [
        ("add", "Patient", "telecom", "valueContactPoint", {"value": "1"}),
        ("replace", "Patient.name.where(family.exists())[0].given[0]", "", "valueString", "y"),
        ("delete", "Patient.telecom.last()", "", "valueString", ""),
        ("add", "Patient", "contact", "part", [{"name": "gender", "valueCode": "male"}]),
        ("insert", "Patient.name", "name", "valueHumanName", {"text": "z"}),
    ]
]}  # fmt: skip
patching = st.tuples(
    st.just("PATCH"),
    st.sampled_from(["Patient/a", "Patient/a", "Patient", "Observation/b"]),
    st.just([]) | st.just([("identifier", "v")]) | queries,
    st.just({}) | headers,
    st.just(FHIRPATH_PATCH).flatmap(mutated),
) | st.tuples(
    st.just("PATCH"),
    st.sampled_from(["Patient/a", "Patient"]),
    st.just([]) | st.just([("identifier", "v")]),
    st.just({"content-type": "application/json-patch+json"}),
    st.sampled_from(JSON_PATCHES).flatmap(mutated),
)
conditional = st.tuples(
    st.just("PUT"),
    st.just("Patient"),
    st.just([("identifier", "v")]) | queries,
    st.just({}) | headers,
    mutated(PATIENT),
)
INPUT = {"resourceType": "Parameters", "parameter": [
    {"name": "resource", "resource": PATIENT}, {"name": "mode", "valueCode": "update"},
    {"name": "meta", "valueMeta": {"tag": [{"system": "s", "code": "c"}], "profile": ["http://p"]}},
    {"name": "count", "valueInteger": 3}, {"name": "start", "valueDate": "2020-01-01"},
]}  # fmt: skip
OPERATIONS = ["Patient/a/$everything", "Patient/a/$validate", "Patient/$validate", "Patient/$match", "Patient/a/$meta",
              "Patient/a/$meta-add", "Patient/a/$meta-delete", "Composition/c/$document"]  # fmt: skip
operating = st.tuples(
    st.sampled_from(["GET", "POST", "POST"]),
    st.sampled_from(OPERATIONS),
    st.just([]) | queries,
    st.just({}) | st.just({"prefer": "handling=lenient"}) | headers,
    st.just(b"") | st.sampled_from([INPUT, PATIENT]).flatmap(mutated),
)
wild = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "get", "X"]),
    st.lists(segments, max_size=5).map("/".join),
    queries,
    headers,
    st.sampled_from(BODIES).flatmap(mutated) | st.binary(max_size=20),
)
requests = st.one_of(
    reading, reading, forms, writing, writing, deleting, wild, patching, patching, conditional, operating, operating
)


@pytest.fixture(scope="module")
def endpoint(make_endpoint: Callable[..., Client]) -> Client:
    """One endpoint for all cases, so that what earlier cases wrote is met by later ones."""
    client = make_endpoint()
    client.put("Patient/a", PATIENT)
    client.put("Composition/c", COMPOSITION)
    return client


def test_any_request_is_answered_and_never_with_5xx(endpoint: Client) -> None:
    @settings(
        max_examples=CASES, deadline=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck), database=None,
    )  # fmt: skip
    @given(requests)
    def check(request: Any) -> None:
        method, path, query, headers, body = request
        url = path + ("?" + "&".join(f"{n}={v}" for n, v in query) if query else "")
        headers = dict(headers)
        if body:
            headers.setdefault("content-type", "application/fhir+json")
        answer = endpoint.request(method, url, body, headers=headers, content_type=None)
        assert answer.status < 500, (answer.status, answer.content)
        if answer.content:
            assert "resourceType" in answer.json
        if answer.status >= 400 and method != "HEAD":
            assert answer.json["resourceType"] == "OperationOutcome"

    check()
