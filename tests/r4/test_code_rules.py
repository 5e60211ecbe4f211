"""Codes, ids, urls and texts: what is refused, and what is only remarked on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.r4.code_remarks import has_verhoeff_digit, is_loinc_code, is_snomed_code
from gateway.r4.fhirpath_grammar import is_expression, variables_of
from gateway.r4.validate import validator

X = "http://example.org/x"
GENDER = "http://hl7.org/fhir/administrative-gender"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


def patient(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **members}


def tagged(*codings: dict[str, str]) -> dict[str, Any]:
    return patient(meta={"tag": list(codings)})


def places(resource: dict[str, Any]) -> list[str]:
    return [issue.expression for issue in validator().validate(resource)]


def remarks(resource: dict[str, Any]) -> list[tuple[str, str]]:
    """Without those of best practice: a narrative is missing everywhere here."""
    assert places(resource) == []
    found = [issue for issue in validator().remarks(resource) if not issue.diagnostics.startswith("dom-6")]
    assert {issue.severity for issue in found} <= {"warning"}
    return [(issue.expression, issue.diagnostics.partition(":")[0]) for issue in found]


@pytest.mark.parametrize("order", [("system", "code"), ("code", "system"), ("system", "version", "code")])
def test_a_code_that_a_system_of_r4_does_not_have_is_refused(order: tuple[str, ...]) -> None:
    wrong = {"system": GENDER, "code": "man", "version": "4.0.1"}
    assert places(tagged({key: wrong[key] for key in order})) == ["Patient.meta.tag[0]"]
    right = wrong | {"code": "male"}
    assert places(tagged({key: right[key] for key in order})) == []


def test_the_code_is_judged_in_extensions_and_contained_resources_too() -> None:
    wrong = {"system": GENDER, "code": "man"}
    assert places(patient(extension=[{"url": X, "valueCoding": wrong}])) == ["Patient.extension[0].value"]
    inner = {"resourceType": "Organization", "id": "o", "name": "x", "type": [{"coding": [wrong]}]}
    outer = patient(contained=[inner], managingOrganization={"reference": "#o"})
    assert places(outer) == ["Patient.contained[0].type[0].coding[0]"]


def test_a_code_of_a_terminology_that_lives_on_is_only_remarked_on() -> None:
    assert remarks(tagged({"system": ROLE, "code": "NEWER-THAN-R4"})) == [("Patient.meta.tag[0]", "bb-known")]


def test_a_display_of_another_code_is_remarked_on_and_case_is_not() -> None:
    assert remarks(tagged({"system": GENDER, "code": "male", "display": "MALE"})) == []
    assert remarks(tagged({"system": GENDER, "code": "male", "display": "Female"})) == [
        ("Patient.meta.tag[0]", "bb-display")
    ]


def test_forms_that_a_system_does_not_have_are_remarked_on() -> None:
    wrong = [
        {"system": "http://snomed.info/sct", "code": "276885007x"},
        {"system": "http://loinc.org", "code": "8480-7"},
        {"system": "urn:ietf:bcp:47", "code": "en-UK"},
    ]
    assert remarks(tagged(*wrong)) == [(f"Patient.meta.tag[{i}]", "bb-form") for i in range(3)]


def test_a_unit_that_is_not_ucum_is_remarked_on() -> None:
    quantity = {"value": 1, "system": "http://unitsofmeasure.org", "code": "steps"}
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueQuantity": quantity}
    assert ("Observation.value", "bb-unit") in remarks(observation)


def test_a_code_outside_an_extensible_binding_is_remarked_on() -> None:
    relation = {"coding": [{"system": X, "code": "it is complicated"}]}
    contact = patient(contact=[{"name": {"text": "x"}, "relationship": [relation]}])
    assert remarks(contact) == [("Patient.contact[0].relationship[0]", "bb-binding")]
    assert remarks(patient(maritalStatus={"text": "it's complicated"})) == []


def test_a_resource_in_a_bundle_is_remarked_on_with_its_path() -> None:
    entry = {"resource": tagged({"system": ROLE, "code": "NEWER-THAN-R4"})}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "urn:oid:1.2.3", **entry}]}
    assert remarks(bundle) == [("Bundle.entry[0].resource.meta.tag[0]", "bb-known")]


@pytest.mark.parametrize("code", ["73211009", "279039007", "276885007", "=== 46866001 |fracture| : 363698007=71341001",
                                  "249943000:363698007=72098002,260868000=6934004"])  # fmt: skip
def test_snomed_ct_identifiers_and_expressions(code: str) -> None:
    assert is_snomed_code(code)


@given(st.integers(10_000, 10**16), st.integers(1, 9))
def test_the_check_digit_of_verhoeff_is_one_of_ten_and_notices_each_wrong_digit(number: int, change: int) -> None:
    [check] = [digit for digit in "0123456789" if has_verhoeff_digit(f"{number}{digit}")]
    good = f"{number}{check}"
    for place, digit in enumerate(good):
        wrong = good[:place] + str((int(digit) + change) % 10) + good[place + 1 :]
        assert not has_verhoeff_digit(wrong)


@pytest.mark.parametrize("code", ["8480-6", "55423-8", "34552-0", "LA32-8", "LP173421-1"])
def test_loinc_codes(code: str) -> None:
    assert is_loinc_code(code)


@given(st.integers(1, 99_999))
def test_a_loinc_code_has_one_check_digit(number: int) -> None:
    assert sum(is_loinc_code(f"{number}-{digit}") for digit in range(10)) == 1


def test_an_element_id_occurs_once() -> None:
    names = [{"id": "n", "text": "a"}, {"id": "n", "text": "b"}]
    assert places(patient(name=names)) == ["Patient"]
    assert places(patient(id="n", name=names[:1])) == []


def test_a_contained_resource_has_elements_of_its_own() -> None:
    inner = {"resourceType": "Organization", "id": "o", "name": "x", "alias": ["y"], "_alias": [{"id": "n"}]}
    outer = patient(name=[{"id": "n", "text": "a"}], contained=[inner], managingOrganization={"reference": "#o"})
    assert places(outer) == []
    twice = outer | {"contained": [inner, inner]}
    assert places(twice) == ["Patient"]


def test_only_the_url_of_an_inner_extension_is_relative() -> None:
    inner = [{"url": "part", "valueString": "a"}]
    assert places(patient(extension=[{"url": X, "extension": inner}])) == []
    assert places(patient(extension=inner)) == ["Patient.extension[0].url"]
    assert places(patient(modifierExtension=inner)) == ["Patient.modifierExtension[0].url"]
    assert places(patient(name=[{"text": "x", "extension": inner}])) == ["Patient.name[0].extension[0].url"]
    assert places(patient(birthDate="1970", _birthDate={"extension": inner})) == ["Patient.birthDate.extension[0].url"]


def test_a_canonical_of_hl7_shows_the_type_that_is_allowed() -> None:
    response = {"resourceType": "QuestionnaireResponse", "status": "completed"}
    assert places(response | {"questionnaire": "http://hl7.org/fhir/Questionnaire/x|1"}) == []
    assert places(response | {"questionnaire": "http://example.org/ValueSet/x"}) == []
    wrong = response | {"questionnaire": "http://hl7.org/fhir/ValueSet/x"}
    assert places(wrong) == ["QuestionnaireResponse.questionnaire"]


@pytest.mark.parametrize("text", ["a <script>b</script>", "<SCRIPT src=x>", "<iframe/>", "x<object data='y'>"])
def test_markup_that_runs_is_refused_in_a_name_and_kept_in_what_people_say(text: str) -> None:
    assert places(patient(name=[{"text": text}])) == ["Patient.name[0].text"]
    assert places(patient(address=[{"city": text}])) == ["Patient.address[0].city"]
    answers = [{"linkId": "a", "answer": [{"valueString": text}]}]
    assert places({"resourceType": "QuestionnaireResponse", "status": "completed", "item": answers}) == []


@pytest.mark.parametrize("text", ["3 < 4", "<PQ>", "a <b> c", "<scripture>", "I <3 walking", "<p>pain</p>"])
def test_other_angle_brackets_are_just_text(text: str) -> None:
    assert places(patient(name=[{"text": text}])) == []


@pytest.mark.parametrize("tag", ["en", "en-GB", "zh-Hant", "cmn-Hans-CN", "nl-BE", "sl-rozaj-biske"])
def test_a_registered_language_is_accepted(tag: str) -> None:
    assert places(patient(language=tag, communication=[{"language": {"coding": [
        {"system": "urn:ietf:bcp:47", "code": tag}]}}])) == []  # fmt: skip


@pytest.mark.parametrize("tag", ["en-UK", "english", "xx", "de-1901-1901"])
def test_an_unregistered_language_is_refused(tag: str) -> None:
    assert places(patient(language=tag)) == ["Patient.language"]


@pytest.mark.parametrize(
    "text",
    ["Patient.name.given", "a and (b or not(c))", "item.where(linkId='x').answer.value as Coding", "$this.exists()",
     "@2020-01-01T10:00:00.0+01:00 > today()", "4 days + 3 'mg'", "{}", "a[0].b", "-1 ~ %`ext-x`", "%'us-zip'",
     "a.`div`.b // why", "iif(a, b, {})", "x is System.String", "/* */ 1", "%p-inactive", "'it\\'s'", "@T14:30"],
)  # fmt: skip
def test_fhirpath(text: str) -> None:
    assert is_expression(text)


@pytest.mark.parametrize(
    "text", ["", "$ and a", "a.", "a..b", "(a", "a)", "a b", "and", "a[0", "'x", "a =", "f(,)", "#"]
)
def test_not_fhirpath(text: str) -> None:
    assert not is_expression(text)


@given(st.text(alphabet="ab.()[]'%$ +=|,{}@0", max_size=30))
def test_any_text_is_fhirpath_or_not(text: str) -> None:
    assert is_expression(text) in (True, False)


def test_expressions_nested_without_end_are_none() -> None:
    assert not is_expression("(" * 5000 + "1" + ")" * 5000)


def test_the_variables_of_an_expression() -> None:
    assert variables_of("%resource.a = %`ext-x` and '%no'") == {"resource", "ext-x"}
