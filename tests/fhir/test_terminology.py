"""The terminology operations, asked as a client asks."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from fhir_client import Client, Response

from gateway.access import Scope, ScopeSet
from gateway.fhir.terminology_capabilities import terminology_capabilities
from gateway.r4.validate import validator

GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
STATUSES = "http://hl7.org/fhir/ValueSet/observation-status"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
X = "http://example.org"
BODY = {
    "resourceType": "CodeSystem",
    "url": f"{X}/CodeSystem/body",
    "version": "1",
    "name": "Body",
    "status": "active",
    "content": "complete",
    "concept": [
        {
            "code": "back",
            "display": "Back",
            "definition": "From the neck to the tail bone",
            "designation": [{"language": "nl-BE", "value": "Rug"}],
            "concept": [{"code": "lumbar", "display": "Lower back"}],
        },
        {"code": "neck", "display": "Neck"},
    ],
}
PARTS = {
    "resourceType": "ValueSet",
    "url": f"{X}/ValueSet/parts",
    "version": "1",
    "status": "active",
    "compose": {"include": [{"system": BODY["url"]}]},
}
MAP = {
    "resourceType": "ConceptMap",
    "url": f"{X}/ConceptMap/parts",
    "status": "active",
    "sourceUri": PARTS["url"],
    "targetUri": f"{X}/ValueSet/other",
    "group": [
        {
            "source": BODY["url"],
            "target": f"{X}/other",
            "element": [
                {"code": "back", "target": [{"code": "B", "display": "B", "equivalence": "wider"}]},
                {"code": "neck", "target": [{"equivalence": "unmatched"}]},
            ],
            "unmapped": {"mode": "fixed", "code": "?"},
        }
    ],
}


def asked(client: Client, operation: str, **parameters: str) -> Response:
    query = "&".join(f"{name.replace('_', '-')}={quote(value, safe='')}" for name, value in parameters.items())
    return client.get(f"{operation}?{query}")


def sent(client: Client, operation: str, *parameters: dict[str, Any]) -> Response:
    return client.post(operation, {"resourceType": "Parameters", "parameter": list(parameters)})


def outputs(response: Response) -> dict[str, Any]:
    """The first value of each output, by name."""
    assert response.status == 200, response.content
    assert response.json["resourceType"] == "Parameters"
    found: dict[str, Any] = {}
    for parameter in response.json["parameter"]:
        value = next((v for key, v in parameter.items() if key.startswith("value")), parameter.get("part"))
        found.setdefault(parameter["name"], value)
    return found


def codes(response: Response) -> list[str]:
    assert response.status == 200, response.content
    return [each["code"] for each in response.json["expansion"].get("contains", ())]


def test_a_value_set_of_the_specification_is_expanded(client: Client) -> None:
    response = asked(client, "ValueSet/$expand", url=GENDERS)
    assert codes(response) == ["male", "female", "other", "unknown"]
    expansion = response.json["expansion"]
    assert expansion["total"] == 4
    assert expansion["identifier"].startswith("urn:uuid:")
    assert expansion["contains"][0] == {"system": GENDER, "version": "4.0.1", "code": "male", "display": "Male"}
    assert {"name": "version", "valueUri": f"{GENDER}|4.0.1"} in expansion["parameter"]


def test_the_answer_is_a_valid_value_set(client: Client) -> None:
    expanded = asked(client, "ValueSet/$expand", url=STATUSES).json
    verdict = client.post("ValueSet/$validate", expanded)
    assert [issue["severity"] for issue in verdict.json["issue"] if issue["severity"] == "error"] == []


def test_an_expansion_is_filtered_and_paged(client: Client) -> None:
    assert codes(asked(client, "ValueSet/$expand", url=GENDERS, filter="fe")) == ["female"]
    assert codes(asked(client, "ValueSet/$expand", url=GENDERS, count="2", offset="1")) == ["female", "other"]


def test_a_value_set_is_expanded_as_it_was_sent(client: Client) -> None:
    inline = {
        "resourceType": "ValueSet",
        "status": "draft",
        "compose": {"include": [{"system": GENDER}], "exclude": [{"system": GENDER, "concept": [{"code": "other"}]}]},
    }
    response = sent(client, "ValueSet/$expand", {"name": "valueSet", "resource": inline})
    assert codes(response) == ["male", "female", "unknown"]
    wrong = inline | {"status": "wrong"}
    assert sent(client, "ValueSet/$expand", {"name": "valueSet", "resource": wrong}).status == 422


def test_stored_definitions_are_used_by_url_and_by_instance(client: Client) -> None:
    assert asked(client, "ValueSet/$expand", url=PARTS["url"]).status == 404
    client.created(BODY)
    stored = client.created(PARTS)
    assert codes(asked(client, "ValueSet/$expand", url=PARTS["url"])) == ["back", "lumbar", "neck"]
    assert codes(asked(client, f"ValueSet/{stored['id']}/$expand", displayLanguage="nl")) == ["back", "lumbar", "neck"]
    assert asked(client, "ValueSet/$expand", url=PARTS["url"], valueSetVersion="2").status == 404


def test_a_url_with_signs_that_searches_use_is_found(client: Client) -> None:
    url = "http://example.org/a,b$c"
    client.created(BODY)
    client.created(PARTS | {"url": url})
    assert codes(asked(client, "ValueSet/$expand", url=url)) == ["back", "lumbar", "neck"]
    assert asked(client, "ValueSet/$expand", url="http://example.org/a").status == 404


def test_a_code_system_that_changed_is_read_anew(client: Client) -> None:
    stored = client.created(BODY)
    client.created(PARTS)
    client.put(f"CodeSystem/{stored['id']}", stored | {"concept": [{"code": "knee"}]})
    assert codes(asked(client, "ValueSet/$expand", url=PARTS["url"])) == ["knee"]


def test_what_the_asker_may_not_search_does_not_exist(client: Client) -> None:
    client.created(BODY)
    client.created(PARTS)
    client.acting_with(ScopeSet((Scope("system", "ValueSet", frozenset("rs")),)))
    response = asked(client, "ValueSet/$expand", url=PARTS["url"])
    assert (response.status, response.issue["code"]) == (422, "too-costly")
    client.acting_with(ScopeSet((Scope("system", "CodeSystem", frozenset("rs")),)))
    assert asked(client, "ValueSet/$expand", url=PARTS["url"]).status == 403


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        ("http://example.org/none", 404, "not-found"),
        ("http://hl7.org/fhir/ValueSet/all-languages", 422, "too-costly"),
        ("http://hl7.org/fhir/ValueSet/ucum-units", 422, "too-costly"),
        ("http://hl7.org/fhir/ValueSet/clinical-findings", 422, "too-costly"),
    ],
)
def test_what_cannot_be_enumerated_says_why(client: Client, url: str, status: int, code: str) -> None:
    response = asked(client, "ValueSet/$expand", url=url)
    assert (response.status, response.issue["code"]) == (status, code)


def test_a_value_set_must_be_named(client: Client) -> None:
    response = client.get("ValueSet/$expand")
    assert (response.status, response.issue["expression"]) == (400, ["url"])


@pytest.mark.parametrize(
    ("parameters", "result"),
    [
        ({"code": "male", "system": GENDER}, True),
        ({"code": "male"}, True),
        ({"code": "male", "system": GENDER, "display": "male"}, True),
        ({"code": "male", "system": GENDER, "display": "Female"}, False),
        ({"code": "Male", "system": GENDER}, False),
        ({"code": "male", "system": "http://example.org/other"}, False),
        ({"code": "man", "system": GENDER}, False),
    ],
)
def test_a_code_is_in_a_value_set_or_not(client: Client, parameters: dict[str, str], result: bool) -> None:
    found = outputs(asked(client, "ValueSet/$validate-code", url=GENDERS, **parameters))
    assert found["result"] is result
    assert result or found["message"]


def test_a_coding_and_a_concept_are_judged(client: Client) -> None:
    url = {"name": "url", "valueUri": GENDERS}
    coding = {"system": GENDER, "code": "female"}
    wrong = {"system": GENDER, "code": "x"}
    one = sent(client, "ValueSet/$validate-code", url, {"name": "coding", "valueCoding": coding})
    assert outputs(one) == {"result": True, "display": "Female"}
    concept = {"name": "codeableConcept", "valueCodeableConcept": {"coding": [wrong, coding]}}
    assert outputs(sent(client, "ValueSet/$validate-code", url, concept))["result"] is True
    empty = {"name": "codeableConcept", "valueCodeableConcept": {"text": "x"}}
    assert outputs(sent(client, "ValueSet/$validate-code", url, empty))["result"] is False


def test_an_open_value_set_is_asked_though_it_cannot_be_listed(client: Client) -> None:
    url = "http://hl7.org/fhir/ValueSet/ucum-units"
    for code, result in (("mm[Hg]", True), ("steps", False)):
        found = outputs(
            asked(client, "ValueSet/$validate-code", url=url, code=code, system="http://unitsofmeasure.org")
        )
        assert found["result"] is result


def test_of_snomed_ct_the_server_says_that_it_is_not_here(client: Client) -> None:
    response = asked(client, "CodeSystem/$lookup", system="http://snomed.info/sct", code="279039007")
    assert (response.status, response.issue["code"]) == (422, "not-supported")
    assert "not on this server" in response.issue["diagnostics"]


def test_a_code_is_one_of_a_code_system_or_not(client: Client) -> None:
    assert outputs(asked(client, "CodeSystem/$validate-code", url=GENDER, code="male"))["result"] is True
    assert outputs(asked(client, "CodeSystem/$validate-code", url=GENDER, code="x"))["result"] is False
    coding = {"name": "coding", "valueCoding": {"system": GENDER, "code": "other"}}
    assert outputs(sent(client, "CodeSystem/$validate-code", coding))["display"] == "Other"
    carried = {"name": "codeSystem", "resource": BODY}
    code = {"name": "code", "valueCode": "neck"}
    assert outputs(sent(client, "CodeSystem/$validate-code", carried, code)) == {"result": True, "display": "Neck"}
    stored = client.created(BODY)
    assert outputs(asked(client, f"CodeSystem/{stored['id']}/$validate-code", code="knee"))["result"] is False


def test_a_code_is_looked_up(client: Client) -> None:
    client.created(BODY)
    response = asked(client, "CodeSystem/$lookup", system=BODY["url"], code="back")
    found = outputs(response)
    assert (found["name"], found["version"], found["display"]) == ("Body", "1", "Back")
    properties = {
        part["part"][0]["valueCode"]: next(v for k, v in part["part"][1].items() if k.startswith("value"))
        for part in response.json["parameter"]
        if part["name"] == "property"
    }
    assert properties == {"inactive": False, "definition": "From the neck to the tail bone", "child": "lumbar"}
    dutch = outputs(asked(client, "CodeSystem/$lookup", system=BODY["url"], code="back", displayLanguage="nl"))
    assert dutch["display"] == "Rug"
    assert "designation" not in outputs(
        asked(client, "CodeSystem/$lookup", system=BODY["url"], code="back", property="child")
    )


@pytest.mark.parametrize(
    ("parameters", "status"),
    [({"system": GENDER, "code": "x"}, 404), ({"system": "http://example.org/none", "code": "x"}, 404),
     ({"code": "x"}, 400), ({"system": GENDER}, 400), ({"system": "http://unitsofmeasure.org", "code": "kg"}, 422)],
)  # fmt: skip
def test_what_cannot_be_looked_up(client: Client, parameters: dict[str, str], status: int) -> None:
    response = asked(client, "CodeSystem/$lookup", **parameters)
    assert response.status == status
    assert response.issue["severity"] == "error"


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [("back", "lumbar", "subsumes"), ("lumbar", "back", "subsumed-by"), ("neck", "neck", "equivalent"),
     ("neck", "lumbar", "not-subsumed")],
)  # fmt: skip
def test_one_code_is_above_another(client: Client, one: str, other: str, outcome: str) -> None:
    client.created(BODY)
    response = asked(client, "CodeSystem/$subsumes", system=BODY["url"], codeA=one, codeB=other)
    assert outputs(response) == {"outcome": outcome}


def test_codes_of_two_systems_are_not_compared(client: Client) -> None:
    codings = [
        {"name": "codingA", "valueCoding": {"system": GENDER, "code": "male"}},
        {"name": "codingB", "valueCoding": {"system": ROLE, "code": "x"}},
    ]
    assert sent(client, "CodeSystem/$subsumes", *codings).status == 422


def test_a_code_is_translated(client: Client) -> None:
    client.created(MAP)
    found = outputs(asked(client, "ConceptMap/$translate", url=MAP["url"], system=BODY["url"], code="back"))
    assert found["result"] is True
    match = {part["name"]: next(v for k, v in part.items() if k.startswith("value")) for part in found["match"]}
    assert match["equivalence"] == "wider"
    assert match["concept"] == {"system": f"{X}/other", "code": "B", "display": "B"}
    assert match["source"] == MAP["url"]


def test_a_translation_is_read_backwards(client: Client) -> None:
    client.created(MAP)
    back = asked(client, "ConceptMap/$translate", url=MAP["url"], system=f"{X}/other", code="B", reverse="true")
    match = {part["name"]: next(v for k, v in part.items() if k.startswith("value")) for part in outputs(back)["match"]}
    assert (match["equivalence"], match["concept"]["code"]) == ("narrower", "back")


def test_what_has_no_translation_says_so(client: Client) -> None:
    stored = client.created(MAP)
    unmatched = outputs(asked(client, f"ConceptMap/{stored['id']}/$translate", system=BODY["url"], code="neck"))
    assert unmatched["result"] is False
    fixed = outputs(asked(client, f"ConceptMap/{stored['id']}/$translate", system=BODY["url"], code="lumbar"))
    assert fixed["match"][0] == {"name": "equivalence", "valueCode": "inexact"}
    elsewhere = asked(client, "ConceptMap/$translate", url=MAP["url"], system=f"{X}/none", code="back")
    assert outputs(elsewhere)["result"] is False
    assert "message" in outputs(elsewhere)


def test_maps_of_the_specification_are_found_by_their_value_sets(client: Client) -> None:
    response = asked(
        client,
        "ConceptMap/$translate",
        source="http://hl7.org/fhir/ValueSet/document-reference-status",
        target="http://hl7.org/fhir/ValueSet/resource-status",
        system="http://hl7.org/fhir/document-reference-status",
        code="superseded",
    )
    match = {p["name"]: next(v for k, v in p.items() if k.startswith("value")) for p in outputs(response)["match"]}
    assert match["concept"] == {"system": "http://hl7.org/fhir/resource-status", "code": "inactive"}


def test_scopes_are_asked_of_terminology_too(client: Client) -> None:
    client.acting_with(ScopeSet(()))
    assert asked(client, "ValueSet/$expand", url=GENDERS).status == 403


def test_what_the_terminology_service_knows_is_told_as_a_valid_resource() -> None:
    told = json.loads(terminology_capabilities("http://testserver/fhir", "2026-11-21"))
    assert validator().validate(told, "TerminologyCapabilities") == []
    assert GENDER in [system["uri"] for system in told["codeSystem"]]


def test_maps_that_refer_to_each_other_in_a_circle_are_answered(client: Client) -> None:
    group = {"source": BODY["url"], "unmapped": {"mode": "other-map", "url": MAP["url"]}, "element": [{"code": "neck"}]}
    client.created(MAP | {"group": [group, group]})
    found = outputs(asked(client, "ConceptMap/$translate", url=MAP["url"], system=BODY["url"], code="back"))
    assert found["result"] is False
