"""Patient/$match: candidates, scores and grades, and what the table of weights promises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir_client import Client, Resource
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.matching import compared, explained

KARI: Resource = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:example:clinic", "value": "p-1"}],
    "name": [{"family": "Ødegård", "given": ["Kari", "Anne"]}],
    "gender": "female",
    "birthDate": "1980-02-29",
    "telecom": [{"system": "phone", "value": "+44 20 7946 0123"}],
    "address": [{"postalCode": "LS1 4AP"}],
}


def asking(resource: Resource, **more: Any) -> Resource:
    named = [{"name": name, ("valueBoolean" if isinstance(value, bool) else "valueInteger"): value}
             for name, value in more.items()]  # fmt: skip
    return {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource}, *named]}


def part(*elements: str) -> Resource:
    return {"resourceType": "Patient", **{name: KARI[name] for name in elements}}


def graded(bundle: Any) -> list[tuple[str, str]]:
    """Id and grade of each match, in order."""
    matches = [entry for entry in bundle.get("entry", ()) if entry["search"]["mode"] == "match"]
    return [(entry["resource"]["id"], entry["search"]["extension"][0]["valueCode"]) for entry in matches]


def test_an_identifier_and_a_birth_date_are_certain(client: Client) -> None:
    stored = client.created(KARI)
    answer = client.post("Patient/$match", asking(part("identifier", "birthDate")))
    assert (answer.status, answer.json["type"], answer.json["total"]) == (200, "searchset", 1)
    assert graded(answer.json) == [(stored["id"], "certain")]
    assert 0.99 <= answer.json["entry"][0]["search"]["score"] <= 1


def test_demographics_alone_are_at_most_probable(client: Client) -> None:
    stored = client.created(KARI)
    answer = client.post("Patient/$match", asking(part("name", "birthDate", "gender", "address", "telecom")))
    assert graded(answer.json) == [(stored["id"], "probable")]
    assert graded(client.post("Patient/$match", part("name", "birthDate", "gender")).json) == [
        (stored["id"], "probable")
    ]


def test_the_likelier_comes_first_and_the_unlikely_is_left_out(client: Client) -> None:
    kari = client.created(KARI)
    twin = client.created({**part("name", "birthDate", "gender"), "name": [{"family": "Ødegård", "given": ["Siri"]}]})
    client.created({**part("name"), "birthDate": "1931-07-11", "gender": "male"})
    answer = client.post("Patient/$match", part("name", "birthDate", "gender", "identifier"))
    assert [found for found, _ in graded(answer.json)] == [kari["id"], twin["id"]]
    scores = [entry["search"]["score"] for entry in answer.json["entry"][:2]]
    assert scores == sorted(scores, reverse=True)
    assert answer.json["entry"][1]["search"]["extension"][0]["valueCode"] == "possible"


def test_count_limits_and_only_certain_means_exactly_one(client: Client) -> None:
    client.created(KARI)
    one = client.post("Patient/$match", asking(KARI, onlyCertainMatches=True))
    assert [grade for _, grade in graded(one.json)] == ["certain"]
    client.created(KARI)
    assert graded(client.post("Patient/$match", asking(KARI, onlyCertainMatches=True)).json) == []
    several = client.post("Patient/$match", asking(KARI, count=1)).json
    assert (len(graded(several)), several["total"]) == (1, 2)


def test_how_it_was_weighed_is_told_without_values(client: Client) -> None:
    client.created(KARI)
    answer = client.post("Patient/$match", part("name", "birthDate", "identifier"))
    outcome = answer.json["entry"][-1]
    assert outcome["search"]["mode"] == "outcome"
    told = outcome["resource"]["issue"][0]["diagnostics"]
    assert "identifier same +20" in told
    assert not any(value in told for value in ("Kari", "1980", "p-1"))


@pytest.mark.parametrize(
    "body",
    [
        None, {"resourceType": "Patient"}, part("gender"), {"resourceType": "Observation"},
        asking({"resourceType": "Basic"}),
        {"resourceType": "Parameters", "parameter": [{"name": "resource", "valueString": "x"}]},
        {"resourceType": "Patient", "identifier": "x", "name": [1, {"given": [7], "family": None}], "telecom": [None]},
        asking(KARI, count=True),
    ],
)  # fmt: skip
def test_too_little_to_go_by_is_400(client: Client, body: Any) -> None:
    assert client.post("Patient/$match", body).status == 400


def test_values_with_the_syntax_of_searches_are_only_values(client: Client) -> None:
    odd = {"resourceType": "Patient", "identifier": [{"system": "urn:a|b", "value": "x,y$z\\"}]}
    stored = client.created(odd)
    assert graded(client.post("Patient/$match", odd).json) == [(stored["id"], "certain")]


def test_a_wrong_identifier_of_the_same_system_speaks_against_it() -> None:
    other = {**KARI, "identifier": [{"system": "urn:example:clinic", "value": "p-2"}]}
    without = {name: value for name, value in KARI.items() if name != "identifier"}
    assert compared(KARI, other).bits < compared(without, other).bits
    assert compared(KARI, other).grade != "certain"


def test_spelling_and_order_do_not_matter() -> None:
    phone = {"system": "phone", "value": "02079460123"}
    spelt = {**KARI, "name": [{"family": "ODEGARD", "given": ["kari"]}], "telecom": [phone]}
    assert compared(KARI, spelt).bits == compared(KARI, KARI).bits
    swapped = {"resourceType": "Patient", "birthDate": "1980-03-02"}
    (finding,) = compared({**swapped, "birthDate": "1980-02-03"}, swapped).findings
    assert (finding.element, finding.agreement) == ("birthDate", "similar")


ELEMENTS = st.sets(st.sampled_from(["identifier", "name", "gender", "birthDate", "telecom", "address"]))


@given(ELEMENTS, ELEMENTS)
def test_more_that_agrees_is_never_less_likely(some: set[str], more: set[str]) -> None:
    few, many = compared(part(*some), KARI), compared(part(*some, *more), KARI)
    assert few.bits <= many.bits
    assert 0 < few.score <= many.score < 1.0000001
    assert explained(few).endswith(few.grade)


JUNK = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["system", "value", "given"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*KARI]), JUNK))
def test_whatever_is_compared_has_a_score(patient: Resource) -> None:
    assert 0 <= compared(json.loads(json.dumps(patient)), KARI).score <= 1
