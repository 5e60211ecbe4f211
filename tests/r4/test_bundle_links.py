"""Bundles: full URLs, searches, documents and messages."""

from typing import Any

import pytest

from gateway.r4.validate import validator

BASE = "http://example.org/fhir/"
COMPOSITION = {
    "resourceType": "Composition",
    "id": "c",
    "status": "final",
    "type": {"text": "letter"},
    "date": "2024-01-01",
    "title": "Letter",
    "subject": {"reference": "Patient/p"},
    "author": [{"reference": "Practitioner/d"}],
}
HEADER = {
    "resourceType": "MessageHeader",
    "id": "m",
    "eventUri": "http://example.org/event",
    "source": {"endpoint": "http://example.org/here"},
    "focus": [{"reference": "Patient/p"}],
}


def entry(resource: dict[str, Any], full_url: str = "", **members: Any) -> dict[str, Any]:
    named = full_url or f"{BASE}{resource['resourceType']}/{resource.get('id')}"
    return {"fullUrl": named, "resource": resource, **members}


def bundle(type: str, *entries: dict[str, Any], **members: Any) -> dict[str, Any]:
    extra = {"identifier": {"system": "urn:x:y", "value": "1"}, "timestamp": "2024-01-01T00:00:00Z"}
    own = extra if type == "document" else {}
    return {"resourceType": "Bundle", "type": type, "entry": list(entries), **own, **members}


def places(resource: dict[str, Any]) -> list[str]:
    return [issue.expression for issue in validator().validate(resource)]


def person(type: str, id: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": type, "id": id, **members}


def document(*others: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return bundle("document", entry(COMPOSITION | changes), *others)


PATIENT, DOCTOR = entry(person("Patient", "p")), entry(person("Practitioner", "d"))


def test_a_full_url_agrees_with_the_id() -> None:
    assert places(bundle("collection", PATIENT)) == []
    wrong = entry(person("Patient", "p"), f"{BASE}Patient/q")
    assert places(bundle("collection", wrong)) == ["Bundle.entry[0].fullUrl"]
    assert (
        places(
            bundle("collection", entry(person("Patient", "p"), "urn:uuid:" + "0" * 8 + "-0000" * 3 + "-" + "0" * 12))
        )
        == []
    )


def test_a_document_holds_what_its_composition_names() -> None:
    assert places(document(PATIENT, DOCTOR)) == []
    assert places(document(PATIENT)) == ["Bundle.entry[0].resource.author[0]"]
    section = [{"title": "s", "section": [{"title": "t", "entry": [{"reference": "Observation/o"}]}]}]
    assert places(document(PATIENT, DOCTOR, section=section)) == [
        "Bundle.entry[0].resource.section[0].section[0].entry[0]"
    ]


def test_a_reference_to_another_server_may_lead_out_of_a_document() -> None:
    assert places(document(PATIENT, author=[{"reference": "https://elsewhere.example/fhir/Practitioner/9"}])) == []


def test_a_versioned_reference_finds_that_version_only() -> None:
    versioned = entry(person("Patient", "p", meta={"versionId": "2"}))
    assert places(document(versioned, DOCTOR, subject={"reference": "Patient/p/_history/2"})) == []
    assert places(document(versioned, DOCTOR, subject={"reference": "Patient/p/_history/3"})) == [
        "Bundle.entry[0].resource.subject"
    ]


def test_a_relative_reference_is_read_beside_the_full_url_of_its_source() -> None:
    elsewhere = entry(person("Patient", "p"), "http://other.example/fhir/Patient/p")
    assert places(document(elsewhere, DOCTOR)) == ["Bundle.entry[0].resource.subject"]


def test_a_message_holds_its_focus() -> None:
    assert places(bundle("message", entry(HEADER), PATIENT)) == []
    assert places(bundle("message", entry(HEADER))) == ["Bundle.entry[0].resource.focus[0]"]


SELF = [{"relation": "self", "url": f"{BASE}Patient?name=a"}]


@pytest.mark.parametrize(
    ("found", "place"),
    [
        (entry(person("Patient", "p"), search={"mode": "match"}), None),
        (entry(person("Organization", "o", name="x"), search={"mode": "include"}), None),
        (entry(person("Organization", "o", name="x"), search={"mode": "match"}), "Bundle.entry[0].resource"),
        (entry({"resourceType": "Patient"}, "http://example.org/x", search={"mode": "match"}),
         "Bundle.entry[0].resource.id"),
        (entry(person("Patient", "p"), search={"mode": "outcome"}), "Bundle.entry[0].resource"),
    ],
)  # fmt: skip
def test_a_search_finds_what_was_searched(found: dict[str, Any], place: str | None) -> None:
    assert places(bundle("searchset", found, link=SELF)) == ([place] if place else [])


@pytest.mark.parametrize(
    "url",
    [f"{BASE}Patient/p/Observation?code=x", f"{BASE}?_type=Observation,Patient", f"{BASE}Patient/p/$everything",
     f"{BASE}?_id=1", "Observation?code=x"],
)  # fmt: skip
def test_the_self_link_shows_the_types_that_were_searched(url: str) -> None:
    observation = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}}
    link = [{"relation": "self", "url": url}]
    assert places(bundle("searchset", entry(observation, search={"mode": "match"}), link=link)) == []


def test_a_large_document_finds_all_that_it_refers_to() -> None:
    """Nine thousand references to three thousand entries: comparing each with each would take long."""
    names = [f"o{i}" for i in range(3_000)]
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    entries = [entry(observation | {"id": name}) for name in names]
    section = [{"title": "s", "entry": [{"reference": f"Observation/{name}"} for name in names[:-1] * 3]}]
    assert places(document(PATIENT, DOCTOR, *entries, section=section)) == []
