"""The facts of a version: whom it names, what kind it is, how sensitive, of when."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from consent.labels import ALWAYS, Facts, codes, facts
from consent.times import span
from consent.vocabulary import ACT_CODE, CATEGORIES, CONFIDENTIALITY, CONFIDENTIALITY_SYSTEM, HOME, LABELS
from gateway.r4.identity import key_of

JSON = dict[str, Any]
NOW = 1_000


def of(resource: JSON) -> Facts:
    return facts(resource, key_of=key_of, first_updated_us=NOW)


def patients(*ids: str) -> tuple[int, ...]:
    return tuple(sorted(key_of("Patient", each) for each in ids))


def observation(**elements: Any) -> JSON:
    return {"resourceType": "Observation", "subject": {"reference": "Patient/a"}, **elements}


def labelled(resource: JSON, *codings: tuple[str, str]) -> JSON:
    return resource | {"meta": {"security": [{"system": system, "code": code} for system, code in codings]}}


def concept(system: str, code: str) -> JSON:
    return {"coding": [{"system": system, "code": code}]}


# Patients


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/a",
        "Patient/a/_history/2",
        "https://ehr.example/fhir/Patient/a",
        "https://ehr.example/fhir/Patient/a/_history/7",
    ],
)
def test_a_reference_to_a_patient_names_them_however_it_is_written(reference: str) -> None:
    assert of({"resourceType": "Task", "for": {"reference": reference}}).patients == patients("a")


@pytest.mark.parametrize("reference", ["#a", "Group/a", "urn:uuid:a", "Patient", "MyPatient/a", "Patient/a b"])
def test_other_references_name_no_patient(reference: str) -> None:
    assert of({"resourceType": "Task", "for": {"reference": reference}}).patients == ()


def test_every_patient_anywhere_in_the_resource_is_named() -> None:
    resource = observation(
        extension=[{"url": "x", "valueReference": {"reference": "Patient/b"}}],
        contained=[{"resourceType": "Group", "member": [{"entity": {"reference": "Patient/c"}}]}],
        focus=[{"reference": "Patient/d"}],
    )
    assert of(resource).patients == patients("a", "b", "c", "d")


def test_a_patient_names_itself_and_a_contained_patient_does_not() -> None:
    assert of({"resourceType": "Patient", "id": "a"}).patients == patients("a")
    contained = [{"resourceType": "Patient", "id": "p"}]
    assert of(observation(contained=contained)).patients == patients("a")


def test_patients_inside_bundles_are_named_by_resource_reference_and_address() -> None:
    inner = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "b"}}]}
    bundle = {
        "resourceType": "Bundle",
        "entry": [
            {"resource": observation()},
            {"resource": inner},
            {"fullUrl": "https://ehr.example/Patient/c"},
            {"request": {"method": "DELETE", "url": "Patient/d"}},
        ],
    }
    assert of(bundle).patients == patients("a", "b", "c", "d")


def test_ten_thousand_levels_of_nesting_are_walked() -> None:
    node: JSON = {"reference": "Patient/deep"}
    for _ in range(10_000):
        node = {"item": [node]}
    assert of({"resourceType": "QuestionnaireResponse", **node}).patients == patients("deep")


def test_every_patient_reference_of_the_official_examples_is_found(shared_data: Path) -> None:
    """Against an independent reading of the text: any quoted reference to a Patient."""
    archive = shared_data / "fhir-r4/examples-shared.tar.xz"
    pattern = re.compile(r'"reference"\s*:\s*"(?:[^"]*/)?Patient/([A-Za-z0-9\-.]{1,64})(?:/_history/[^"]+)?"')
    seen = 0
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is None or member.size > 60_000:
                continue
            text = file.read().decode()
            expected = {key_of("Patient", each) for each in pattern.findall(text)}
            assert expected <= set(of(json.loads(text)).patients), member.name
            seen += len(expected)
    assert seen > 300


# Categories


def category(resource: JSON) -> str:
    return next(code for code, number in CATEGORIES.items() if number == of(resource).category)


SUBJECT = {"subject": {"reference": "Patient/a"}}
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"resourceType": "Patient", "id": "a"}, "demographics"),
        ({"resourceType": "RelatedPerson", "patient": {"reference": "Patient/a"}}, "demographics"),
        ({"resourceType": "QuestionnaireResponse", **SUBJECT}, "prom"),
        (observation(category=[concept(OBSERVATION_CATEGORY, "survey")]), "prom"),
        (observation(derivedFrom=[{"reference": "QuestionnaireResponse/1"}]), "prom"),
        (observation(category=[concept(OBSERVATION_CATEGORY, "activity")]), "sensor"),
        (
            observation(meta={"tag": [{"system": f"{HOME}/fhir/CodeSystem/origin", "code": "wearable"}]}),
            "sensor",
        ),
        ({"resourceType": "Device", "patient": {"reference": "Patient/a"}}, "sensor"),
        (observation(category=[concept(OBSERVATION_CATEGORY, "exam")]), "record"),
        ({"resourceType": "Condition", **SUBJECT}, "record"),
        ({"resourceType": "CarePlan", **SUBJECT}, "plan"),
        ({"resourceType": "Goal", **SUBJECT}, "plan"),
        ({"resourceType": "Consent", "patient": {"reference": "Patient/a"}}, "consent"),
        ({"resourceType": "Provenance", "target": [{"reference": "CarePlan/1"}]}, "plan"),
        ({"resourceType": "Provenance", "target": [{"reference": "Consent/1/_history/2"}]}, "consent"),
        ({"resourceType": "Provenance", "target": [{"reference": "Observation/1"}]}, "mixed"),
        (
            {"resourceType": "Provenance", "target": [{"reference": "CarePlan/1"}, {"reference": "Task/2"}]},
            "mixed",
        ),
        ({"resourceType": "Bundle", "entry": [{"resource": observation()}]}, "mixed"),
        ({"resourceType": "DiagnosticReport", **SUBJECT, "contained": [observation()]}, "mixed"),
        (observation(contained=[{"resourceType": "Patient", "id": "p"}]), "record"),
        (observation(contained=[{"resourceType": "Device", "id": "d"}]), "record"),
        ({"resourceType": "Questionnaire"}, "none"),
        ({"resourceType": "Device"}, "none"),
        ({"resourceType": "Task"}, "record"),
    ],
)
def test_category(resource: JSON, expected: str) -> None:
    assert category(resource) == expected


@pytest.mark.parametrize(
    "mark",
    [
        {"questionnaire": f"{HOME}/fhir/Questionnaire/prem-friends-and-family|1.0.0"},
        {"meta": {"tag": [{"system": f"{HOME}/fhir/CodeSystem/questionnaire-kind", "code": "prem"}]}},
    ],
)
def test_an_answer_about_care_is_a_prem(mark: JSON) -> None:
    assert category({"resourceType": "QuestionnaireResponse", **SUBJECT, **mark}) == "prem"


# Confidentiality and sensitivity labels


@pytest.mark.parametrize(("code", "rank"), [("U", "N"), ("L", "N"), ("N", "N"), ("R", "R"), ("V", "V"), ("X", "V")])
def test_a_client_label_raises_but_never_lowers_clinical_data(code: str, rank: str) -> None:
    resource = labelled(observation(), (CONFIDENTIALITY_SYSTEM, code))
    assert of(resource).confidentiality == CONFIDENTIALITY[rank]


def test_an_unlabelled_resource_is_normal() -> None:
    assert of(observation()).confidentiality == CONFIDENTIALITY["N"]
    assert of({"resourceType": "Questionnaire"}).confidentiality == CONFIDENTIALITY["N"]


def test_confidentiality_is_the_highest_of_everything_inside() -> None:
    inner = labelled(observation(), (CONFIDENTIALITY_SYSTEM, "V"))
    bundle = {"resourceType": "Bundle", "entry": [{"resource": observation()}, {"resource": inner}]}
    assert of(bundle).confidentiality == CONFIDENTIALITY["V"]


def test_a_label_that_nobody_knows_counts_as_sensitive() -> None:
    for coding in ((ACT_CODE, "UNHEARD"), ("https://elsewhere.example/labels", "secret")):
        found = of(labelled(observation(), coding))
        assert found.labels == LABELS["OTHER"]
        assert found.confidentiality == CONFIDENTIALITY["R"]


def test_test_data_and_integrity_marks_are_not_sensitivity() -> None:
    marks = [
        ("http://terminology.hl7.org/CodeSystem/v3-ActReason", "HTEST"),
        ("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "SUBSETTED"),
    ]
    assert of(labelled(observation(), *marks)).labels == 0


@pytest.mark.parametrize(
    ("resource", "label"),
    [
        (observation(code=concept("http://loinc.org", "44261-6")), "PSY"),
        (observation(component=[{"code": concept("http://loinc.org", "70274-6")}]), "PSY"),
        (observation(code=concept(f"{HOME}/fhir/CodeSystem/score", "phq-8")), "PSY"),
        (
            {"resourceType": "QuestionnaireResponse", "questionnaire": f"{HOME}/fhir/Questionnaire/phq-8|1"},
            "PSY",
        ),
        ({"resourceType": "QuestionnaireResponse", "item": [{"linkId": "x", "item": [{"linkId": "phq-3"}]}]}, "PSY"),
        ({"resourceType": "QuestionnaireResponse", "item": [{"linkId": "/44255-8"}]}, "PSY"),
        ({"resourceType": "QuestionnaireResponse", "questionnaire": "https://x.example/odi"}, "SEX"),
        ({"resourceType": "Condition", "code": concept("http://hl7.org/fhir/sid/icd-10", "F32.1")}, "PSY"),
        ({"resourceType": "Condition", "code": concept("http://hl7.org/fhir/sid/icd-10-cm", "B20")}, "HIV"),
        (
            {
                "resourceType": "Bundle",
                "entry": [{"resource": observation(code=concept("http://loinc.org", "44249-1"))}],
            },
            "PSY",
        ),
        (labelled(observation(), (ACT_CODE, "SDV")), "SDV"),
    ],
)
def test_sensitive_content_is_labelled_wherever_it_is(resource: JSON, label: str) -> None:
    assert of(resource).labels & LABELS[label]
    assert of(resource).confidentiality >= CONFIDENTIALITY["R"]


@pytest.mark.parametrize(
    "resource",
    [
        observation(code=concept("http://loinc.org", "41950-7")),
        observation(code=concept(f"{HOME}/fhir/CodeSystem/score", "rmdq-24")),
        observation(code=concept(f"{HOME}/fhir/CodeSystem/score", "odi")),
        observation(code=concept("https://elsewhere.example", "phq-8")),
        {"resourceType": "QuestionnaireResponse", "item": [{"linkId": "phqx"}]},
        {"resourceType": "Condition", "code": concept("http://hl7.org/fhir/sid/icd-10", "M54.5")},
    ],
)
def test_ordinary_content_carries_no_label(resource: JSON) -> None:
    assert of(resource).labels == 0


# Dates


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (observation(effectiveDateTime="2026-03-01"), span("2026-03-01")),
        (
            observation(effectivePeriod={"start": "2026-03-01", "end": "2026-03-02"}),
            (span("2026-03-01")[0], span("2026-03-02")[1]),
        ),
        ({"resourceType": "QuestionnaireResponse", "authored": "2026-03"}, span("2026-03")),
        ({"resourceType": "CarePlan", "period": {"start": "2026-03-01"}}, (span("2026-03-01")[0], ALWAYS[1])),
        ({"resourceType": "CarePlan", "created": "2026-03-01"}, span("2026-03-01")),
        ({"resourceType": "Condition", "onsetAge": {"value": 3}, "recordedDate": "2020"}, span("2020")),
        ({"resourceType": "Encounter"}, (NOW, NOW + 1)),
        (observation(), (NOW, NOW + 1)),
        (observation(effectiveDateTime="soon"), ALWAYS),
        ({"resourceType": "Bundle", "entry": [{"resource": observation()}]}, ALWAYS),
    ],
)
def test_the_date_of_the_data(resource: JSON, expected: tuple[int, int]) -> None:
    found = of(resource)
    assert (found.effective_from, found.effective_to) == expected


# Open resources


@pytest.mark.parametrize(
    ("resource", "is_open"),
    [
        ({"resourceType": "Questionnaire"}, True),
        ({"resourceType": "Organization"}, True),
        ({"resourceType": "Device"}, True),
        ({"resourceType": "Device", "patient": {"reference": "Patient/a"}}, False),
        ({"resourceType": "Observation"}, False),
        ({"resourceType": "Binary"}, False),
        ({"resourceType": "Library", "contained": [{"resourceType": "Observation"}]}, False),
        (labelled({"resourceType": "Organization"}, (CONFIDENTIALITY_SYSTEM, "R")), False),
        (labelled({"resourceType": "Organization"}, (ACT_CODE, "PSY")), False),
    ],
)
def test_only_published_things_about_nobody_are_open(resource: JSON, is_open: bool) -> None:
    assert of(resource).open is is_open


# Codes that rules look at


def test_a_permit_looks_at_the_resources_own_code_and_a_deny_at_components_too() -> None:
    own, inner = codes(observation(code=concept("s", "panel"), component=[{"code": concept("s", "part")}]))
    assert own == {("s", "panel")}
    assert inner == {("s", "panel"), ("s", "part")}


def test_codes_are_those_of_the_r4_search_parameter() -> None:
    allergy = {"resourceType": "AllergyIntolerance", "reaction": [{"substance": concept("s", "nut")}]}
    medication = {"resourceType": "MedicationRequest", "medicationCodeableConcept": concept("s", "pill")}
    assert codes(allergy)[0] == {("s", "nut")}
    assert codes(medication)[0] == {("s", "pill")}
