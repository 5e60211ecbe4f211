"""What the validator says about small resources written by hand."""

from typing import Any

import pytest

from gateway.r4.validate import Validator

VALIDATOR = Validator()
X = "http://example.org/x"
UUID = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"
MASKED = {"extension": [{"url": X, "valueCode": "masked"}]}


def places(resource: Any, type: str | None = None) -> list[str]:
    return [issue.expression for issue in VALIDATOR.validate(resource, type)]


def observation(**changes: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "steps"}} | changes


def extension(**value: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "extension": [{"url": X, **value}]}


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Patient", "birthDate": "2024-02-29"},
        {"resourceType": "Patient", "birthDate": "1958"},
        {"resourceType": "Patient", "_birthDate": {"extension": [{"url": X, "valueString": "unknown"}]}},
        {"resourceType": "Patient", "birthDate": "1958", "_birthDate": {"id": "b"}},
        {"resourceType": "Patient", "name": [{"given": ["A", None], "_given": [{"id": "a"}, MASKED]}]},
        {"resourceType": "Patient", "name": [{"_given": [MASKED]}]},
        {"resourceType": "Patient", "communication": [{"language": {"text": "nb"}}], "language": "en-GB"},
        {"resourceType": "Patient", "modifierExtension": [{"url": X, "valueBoolean": True}]},
        extension(valueString="a", id="b"),
        extension(_valueString={"extension": [{"url": X, "valueCode": "masked"}]}),
        extension(extension=[{"url": "lang", "valueCode": "nl"}, {"url": "content", "valueString": "stappen"}]),
        extension(valueBase64Binary="AA\n== "),
        observation(valueQuantity={"value": 4200, "unit": "steps"}),
        observation(valueDateTime="2016-12-31T23:59:60.123456789Z"),
        observation(subject={"reference": "Patient/a-1.B/_history/2"}),
        observation(subject={"reference": "https://ehr.example/fhir/Patient/1"}),
        observation(subject={"reference": UUID}),
        observation(subject={"reference": "Patient?identifier=https://fhir.nhs.uk/Id/nhs-number|9000000009"}),
        observation(subject={"reference": "http://example.org/people/jane"}),
        observation(subject={"type": "Patient", "identifier": {"value": "1"}}),
        observation(subject={"type": "Patient", "reference": "Patient/1"}),
        observation(contained=[{"resourceType": "Patient", "id": "p"}], subject={"reference": "#p"}),
        observation(
            contained=[
                {"resourceType": "Provenance", "id": "p", "target": [{"reference": "#"}],
                 "recorded": "2024-01-01T00:00:00Z", "agent": [{"who": {"display": "x"}}]}
            ]
        ),
        observation(effectivePeriod={"start": "2024-01-01T23:30:00-02:00", "end": "2024-01-02T01:30:00Z"}),
        {"resourceType": "Bundle", "type": "collection"},
        {"resourceType": "Parameters", "parameter": [{"name": "a", "valueInteger": 1}]},
        {"resourceType": "Binary", "contentType": "application/pdf", "data": "AAAA"},
    ],
)  # fmt: skip
def test_valid(resource: dict[str, Any]) -> None:
    assert VALIDATOR.validate(resource) == []


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        (extension(valueString="a", valueCode="b"), "Patient.extension[0].value"),
        (extension(), "Patient.extension[0]"),
        (extension(valueUuid="urn:uuid:C757873D-EC9A-4326-A141-556F43239520"), "Patient.extension[0].value"),
        (extension(valuePeriod={"start": "2024", "end": "2023"}), "Patient.extension[0].value"),
        ({"resourceType": "Patient", "extension": [{"_url": {"id": "a"}, "valueCode": "b"}]},
         "Patient.extension[0]._url"),
        ({"resourceType": "Patient", "_birthDate": {"id": "a"}}, "Patient.birthDate"),
        ({"resourceType": "Patient", "name": [{"_given": [None, MASKED]}]}, "Patient.name[0].given[0]"),
        ({"resourceType": "Patient", "_birthDate": {}}, "Patient.birthDate"),
        ({"resourceType": "Patient", "_birthDate": None}, "Patient.birthDate"),
        ({"resourceType": "Patient", "_name": {"id": "a"}}, "Patient._name"),
        ({"resourceType": "Patient", "_id": {"id": "a"}}, "Patient._id"),
        ({"resourceType": "Patient", "name": [{"resourceType": "Patient", "text": "x"}]},
         "Patient.name[0].resourceType"),
        ({"resourceType": "Patient", "fhir_comments": ["x"]}, "Patient"),
        ({"resourceType": "Patient", "contact": [{}]}, "Patient.contact[0]"),
        ({"resourceType": "Patient", "deceasedBoolean": False, "deceasedDateTime": "2020"}, "Patient.deceased"),
        (observation(subject={"reference": "#p"}), "Observation.subject"),
        (observation(subject={"reference": "#"}), "Observation.subject"),
        (observation(subject={"reference": "Patient"}), "Observation.subject.reference"),
        (observation(subject={"reference": "Patient/a_b"}), "Observation.subject.reference"),
        (observation(subject={"reference": "patient/1"}), "Observation.subject.reference"),
        (observation(effectivePeriod={"start": "2024-01-02", "end": "2024-01-01"}),
         "Observation.effective"),
        (observation(effectiveTiming={"repeat": {"period": -1, "periodUnit": "d"}}),
         "Observation.effective.repeat"),
        (observation(contained=[{"resourceType": "Patient", "id": "p"}]), "Observation.contained[0]"),
        (observation(contained=[{"resourceType": "Observation", "id": "p"}], hasMember=[{"reference": "#p"}]),
         "Observation.contained[0].status"),
        ({"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": UUID}]},
         "Bundle.entry[0]"),
        ({"resourceType": "Parameters", "parameter": [
            {"name": "a", "resource": {"resourceType": "Device", "x": 1}}]},
         "Parameters.parameter[0].resource.x"),
        ({"resourceType": "Parameters", "parameter": [
            {"name": "a", "valueInteger": 1, "resource": {"resourceType": "Device"}}]}, "Parameters.parameter[0]"),
        ([], ""),
        ("text", ""),
        (None, ""),
        ({"resourceType": "DomainResource"}, "resourceType"),
        ({"resourceType": ["Patient"]}, "resourceType"),
        ({}, "resourceType"),
    ],
)  # fmt: skip
def test_invalid_at(resource: Any, place: str) -> None:
    assert place in places(resource)


def test_the_type_that_was_asked_for_is_required() -> None:
    assert places({"resourceType": "Patient"}, "Patient") == []
    assert places({"resourceType": "Patient"}, "Observation") == ["resourceType"]


def test_every_mistake_is_reported_at_once() -> None:
    resource = {"resourceType": "Patient", "gender": "x", "birthDate": "1970-13-01", "name": [{"shoe": 1}]}
    assert places(resource) == ["Patient.gender", "Patient.birthDate", "Patient.name[0].shoe"]


def test_contained_and_entry_resources_are_reported_with_their_own_path() -> None:
    bad = {"resourceType": "Patient", "id": "p", "gender": "x"}
    entry = {"resource": observation(contained=[bad], subject={"reference": "#p"})}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
    assert places(bundle) == ["Bundle.entry[0].resource.contained[0].gender"]


def test_a_closed_value_set_is_spelt_out_and_the_value_is_not() -> None:
    [issue] = VALIDATOR.validate({"resourceType": "Patient", "gender": "Jane Doe"})
    assert issue.code == "code-invalid"
    assert "female, male, other, unknown" in issue.diagnostics
    assert "Jane" not in issue.diagnostics


def test_no_finding_repeats_what_the_resource_says() -> None:
    secret = "Zachariah"
    resource = {
        "resourceType": "Patient",
        "id": f"{secret}_",
        "name": [{"text": f"{secret}\u0001", secret + " key": 1}],
        "birthDate": secret,
        "active": secret,
        "managingOrganization": {"reference": f"Patient/{secret}"},
        "text": {"status": secret, "div": f"<div>{secret}</div>"},
    }
    issues = VALIDATOR.validate(resource)
    assert len(issues) >= 6
    assert not [issue for issue in issues if secret in issue.diagnostics + issue.expression]


def test_text_with_half_a_character_is_refused() -> None:
    assert places({"resourceType": "Patient", "name": [{"text": "a\ud800"}]}) == ["Patient.name[0].text"]


def test_warnings_and_best_practice_do_not_refuse() -> None:
    questionnaire = {"resourceType": "Questionnaire", "status": "draft", "name": "not a computer name"}
    assert VALIDATOR.validate(questionnaire) == []
