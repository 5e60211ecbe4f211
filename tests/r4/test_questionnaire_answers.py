"""QuestionnaireResponses beside their Questionnaires, in our words and by the public validator cases."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from official import VALIDATOR_CASES, fixture_rows, members_of, needs_r4

from gateway.r4.questionnaire_answers import answer_issues
from gateway.r4.questionnaire_lookup import unfit_answers
from gateway.r4.terminology_errors import Wanted
from gateway.r4.terminology_sources import Definitions
from gateway.r4.validate import validator

SD = "http://hl7.org/fhir/StructureDefinition/"
KNOWLEDGE = Path(__file__).parents[2] / "recommender" / "knowledge" / "instruments"
# Where we differ from the reference validator, and why.
DIFFERS = {row["name"] for row in fixture_rows("questionnaire_differences.csv")}


def questionnaire(*items: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"resourceType": "Questionnaire", "status": "active", "item": list(items), **members}


def question(link_id: str, type: str = "integer", **members: Any) -> dict[str, Any]:
    return {"linkId": link_id, "type": type, **members}


def group(link_id: str, *items: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"linkId": link_id, "type": "group", "item": list(items), **members}


def extension(name: str, **value: Any) -> dict[str, Any]:
    return {"extension": [{"url": SD + name, **value}]}


def response(*items: dict[str, Any], status: str = "completed", **members: Any) -> dict[str, Any]:
    return {"resourceType": "QuestionnaireResponse", "status": status, "item": list(items), **members}


def answered(link_id: str, *values: Any, key: str = "valueInteger") -> dict[str, Any]:
    return {"linkId": link_id, "answer": [{key: value} for value in values]}


def inside(link_id: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"linkId": link_id, "item": list(items)}


def findings(given: dict[str, Any], asked: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each.code, each.expression.removeprefix("QuestionnaireResponse.")) for each in answer_issues(given, asked)]


PAIN = questionnaire(
    group("g", question("pain", required=True), question("place", "choice", answerOption=[
        {"valueCoding": {"system": "urn:x:place", "code": code}} for code in ("back", "neck")])),
    question("note", "text", maxLength=5),
)  # fmt: skip


def test_a_whole_answer_sheet_is_right() -> None:
    place = answered("place", {"code": "back"}, key="valueCoding")
    given = response(inside("g", answered("pain", 3), place), answered("note", "ouch", key="valueString"))
    assert findings(given, PAIN) == []


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (response(answered("pain", 3)), [("not-found", "item[0].linkId")]),
        (response(inside("g", answered("knee", 3), answered("pain", 1))), [("not-found", "item[0].item[0].linkId")]),
        (response(inside("g", answered("place", {"code": "back"}, key="valueCoding"))), [("required", "item[0].item")]),
        (response(inside("g", answered("pain", "3", key="valueString"))),
         [("structure", "item[0].item[0].answer[0].value")]),
        (response(inside("g", answered("pain", 3, 4))), [("structure", "item[0].item[0]")]),
        (response(inside("g", answered("pain", 3), answered("pain", 4))),
         [("structure", "item[0].item[1]"), ("structure", "item[0].item[1]")]),
        (response(inside("g", answered("pain", 3)), inside("g", answered("pain", 3))), [("structure", "item[1]")]),
        (response(inside("g", answered("pain", 3), answered("place", {"code": "knee"}, key="valueCoding"))),
         [("code-invalid", "item[0].item[1].answer[0].value")]),
        (response(answered("note", "too long", key="valueString")), [("too-long", "item[0].answer[0].value")]),
        (response(answered("note", "ok", key="valueString"), inside("g", answered("pain", 3))),
         [("structure", "item[1]")]),
        (response(answered("g", 3)), [("structure", "item[0]")]),
    ],
)  # fmt: skip
def test_an_answer_sheet_is_wrong(given: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert findings(given, PAIN) == found


def test_an_unfinished_sheet_may_lack_what_is_required() -> None:
    assert findings(response(inside("g"), status="in-progress"), PAIN) == []
    assert findings(response(inside("g")), PAIN) == [("required", "item[0].item")]


def enabled_by(operator: str, **answer: Any) -> dict[str, Any]:
    condition = {"question": "a", "operator": operator, **answer}
    return questionnaire(question("a", repeats=True), question("b", required=True, enableWhen=[condition]))


@pytest.mark.parametrize(
    ("operator", "answer", "given", "is_on"),
    [
        ("=", {"answerInteger": 3}, [3], True),
        ("=", {"answerInteger": 3}, [4, 3], True),
        ("=", {"answerInteger": 3}, [], False),
        ("!=", {"answerInteger": 3}, [3], False),
        ("!=", {"answerInteger": 3}, [4], True),
        ("!=", {"answerInteger": 3}, [], True),
        (">", {"answerInteger": 3}, [3], False),
        (">", {"answerInteger": 3}, [4], True),
        (">=", {"answerInteger": 3}, [3], True),
        ("<", {"answerInteger": 3}, [2], True),
        ("<=", {"answerInteger": 3}, [4], False),
        ("exists", {"answerBoolean": True}, [1], True),
        ("exists", {"answerBoolean": True}, [], False),
        ("exists", {"answerBoolean": False}, [], True),
    ],
)
def test_a_condition_enables_an_item(operator: str, answer: dict[str, Any], given: list[int], is_on: bool) -> None:
    asked = enabled_by(operator, **answer)
    first = [answered("a", *given)] if given else []
    assert findings(response(*first), asked) == ([("required", "item")] if is_on else [])
    both = response(*first, answered("b", 1))
    assert findings(both, asked) == ([] if is_on else [("business-rule", f"item[{len(first)}]")])


def test_any_or_all_conditions_are_asked_for() -> None:
    conditions = [{"question": "a", "operator": "=", "answerInteger": n} for n in (1, 2)]
    for behaviour, expected in (("any", [("required", "item")]), ("all", [])):
        item = question("b", required=True, enableWhen=conditions, enableBehavior=behaviour)
        assert findings(response(answered("a", 1)), questionnaire(question("a"), item)) == expected


def test_each_repetition_of_a_group_has_conditions_of_its_own() -> None:
    condition = [{"question": "a", "operator": "=", "answerInteger": 1}]
    asked = questionnaire(group("g", question("a"), question("b", required=True, enableWhen=condition), repeats=True))
    off, on = inside("g", answered("a", 2)), inside("g", answered("a", 1))
    assert findings(response(off, on), asked) == [("required", "item[1].item")]


def test_what_is_below_a_disabled_group_is_not_asked() -> None:
    condition = [{"question": "a", "operator": "=", "answerInteger": 1}]
    asked = questionnaire(question("a"), group("g", question("b", required=True), required=True, enableWhen=condition))
    assert findings(response(answered("a", 2)), asked) == []
    assert findings(response(answered("a", 1)), asked) == [("required", "item")]


def test_items_below_a_question_stand_in_its_answer() -> None:
    asked = questionnaire(question("a", item=[question("b", required=True)]))
    nested = answered("a", 1)
    nested["answer"][0]["item"] = [answered("b", 2)]
    assert findings(response(nested), asked) == []
    assert findings(response(answered("a", 1)), asked) == [("required", "item[0].answer[0].item")]
    assert ("structure", "item[0]") in findings(response(answered("a", 1) | {"item": [answered("b", 2)]}), asked)


@pytest.mark.parametrize(
    ("item", "key", "good", "bad"),
    [
        (question("a", **extension("minValue", valueInteger=2)), "valueInteger", 2, 1),
        (question("a", **extension("maxValue", valueInteger=2)), "valueInteger", 2, 3),
        (question("a", "date", **extension("maxValue", valueDate="2024-01-31")),
         "valueDate", "2024-01-31", "2024-02-01"),
        (question("a", "string", **extension("minLength", valueInteger=2)), "valueString", "ab", "a"),
        (question("a", "string", **extension("regex", valueString="[0-9]{3}")), "valueString", "123", "1234"),
        (question("a", "decimal", **extension("maxDecimalPlaces", valueInteger=1)), "valueDecimal", 1.5, 1.55),
        (question("a", "reference", **extension("questionnaire-referenceResource", valueCode="Patient")),
         "valueReference", {"reference": "Patient/1"}, {"reference": "Device/1"}),
        (question("a", "attachment", **extension("maxSize", valueDecimal=10)),
         "valueAttachment", {"size": 10}, {"size": 11}),
        (question("a", "attachment", **extension("mimeType", valueCode="text/plain")),
         "valueAttachment", {"contentType": "text/plain"}, {"contentType": "image/png"}),
        (question("a", "quantity", **extension("questionnaire-unitOption", valueCoding={"code": "kg"})),
         "valueQuantity", {"value": 1, "code": "kg"}, {"value": 1, "code": "g"}),
        (question("a", "choice", answerValueSet="http://hl7.org/fhir/ValueSet/administrative-gender"),
         "valueCoding", {"system": "http://hl7.org/fhir/administrative-gender", "code": "male"},
         {"system": "http://hl7.org/fhir/administrative-gender", "code": "man"}),
        (question("a", "integer", answerOption=[{"valueInteger": 1}]), "valueInteger", 1, 2),
        (question("a", "open-choice", answerOption=[{"valueCoding": {"code": "x"}}]), "valueCoding", {"code": "x"},
         {"code": "y"}),
        (question("a", "boolean"), "valueBoolean", True, None),
    ],
)  # fmt: skip
def test_the_limits_of_a_question(item: dict[str, Any], key: str, good: Any, bad: Any) -> None:
    asked = questionnaire(item)
    assert findings(response(answered("a", good, key=key)), asked) == []
    wrong = answered("a", bad, key=key) if bad is not None else answered("a", 1)
    assert [place for _, place in findings(response(wrong), asked)] == ["item[0].answer[0].value"]


def test_open_choice_takes_words_of_ones_own() -> None:
    asked = questionnaire(question("a", "open-choice", answerOption=[{"valueCoding": {"code": "x"}}]))
    assert findings(response(answered("a", "something else", key="valueString")), asked) == []


def test_a_contained_value_set_is_used() -> None:
    inner = {"resourceType": "ValueSet", "id": "v", "status": "active", "compose": {"include": [
        {"system": "urn:x:place", "concept": [{"code": "back"}]}]}}  # fmt: skip
    asked = questionnaire(question("a", "choice", answerValueSet="#v"), contained=[inner])
    good, bad = ({"system": "urn:x:place", "code": code} for code in ("back", "neck"))
    assert findings(response(answered("a", good, key="valueCoding")), asked) == []
    assert findings(response(answered("a", bad, key="valueCoding")), asked) != []


def test_a_value_set_of_this_server_is_asked_for() -> None:
    url = "http://example.org/vs"
    asked = questionnaire(question("a", "choice", answerValueSet=url))
    given = response(answered("a", {"system": "urn:x:y", "code": "b"}, key="valueCoding"))
    with pytest.raises(Wanted):
        answer_issues(given, asked)
    assert answer_issues(given, asked, Definitions({("ValueSet", url, ""): None})) == []
    stored = {"resourceType": "ValueSet", "url": url, "compose": {"include": [
        {"system": "urn:x:y", "concept": [{"code": "a"}]}]}}  # fmt: skip
    assert len(answer_issues(given, asked, Definitions({("ValueSet", url, ""): stored}))) == 1


def test_the_subject_is_of_a_type_that_the_questionnaire_is_about() -> None:
    asked = questionnaire(question("a"), subjectType=["Patient"])
    assert findings(response(subject={"reference": "Patient/1"}), asked) == []
    assert findings(response(subject={"reference": "Device/1"}), asked) == [("structure", "subject")]


def test_no_finding_repeats_an_answer() -> None:
    secret = "Zachariah"
    given = response(answered("note", secret, key="valueString"), answered(secret, secret, key="valueString"))
    assert not [each for each in answer_issues(given, PAIN) if secret in each.diagnostics + each.expression]


@pytest.mark.parametrize("path", sorted(KNOWLEDGE.glob("*.json")), ids=lambda path: path.stem)
def test_our_own_instruments_ask_for_what_is_required(path: Path) -> None:
    instrument = json.loads(path.read_text("utf-8"))
    assert validator().validate(instrument) == []
    empty = answer_issues(response(), instrument)
    assert bool(empty) == any(item.get("required") for item in instrument["item"])


@needs_r4
def test_public_cases_with_their_questionnaires() -> None:
    """Prints the figures: pytest -s."""
    members = members_of(VALIDATOR_CASES)
    agreed, differing = 0, set()
    for case in json.loads(members["manifest.json"]):
        supporting = [name for name in (case["options"] or {}).get("supporting", ()) if f"cases/{name}" in members]
        if case["module"] != "questionnaire" or not supporting:
            continue
        given, asked = json.loads(members[case["file"]]), json.loads(members[f"cases/{supporting[0]}"])
        if bool(validator().validate(given) + _issues(given, asked)) == case["invalid"]:
            agreed += 1
        else:
            differing.add(case["name"])
    print(f"{agreed} as the reference validator, {len(differing)} not")
    assert differing == DIFFERS
    assert agreed >= 37


def _issues(given: dict[str, Any], asked: dict[str, Any]) -> list[Any]:
    sources = Definitions()
    while True:
        try:
            return answer_issues(given, asked, sources)
        except Wanted as wanted:
            sources.brought[wanted.type, wanted.url, wanted.version] = None


@pytest.mark.parametrize(
    ("canonical", "wanted"),
    [
        ("http://example.org/q", ("Questionnaire", "http://example.org/q", "")),
        ("http://example.org/q|2", ("Questionnaire", "http://example.org/q", "2")),
    ],
)
def test_the_questionnaire_is_found_by_its_canonical(canonical: str, wanted: tuple[str, str, str]) -> None:
    shelf = {wanted: questionnaire(question("a", required=True))}

    async def find(resource_type: str, url: str, version: str) -> dict[str, Any] | None:
        return shelf.get((resource_type, url, version))

    [issue] = asyncio.run(unfit_answers(response(questionnaire=canonical), find))
    assert issue.code == "required"
    assert asyncio.run(unfit_answers(response(questionnaire=canonical + "x"), find)) == []
    assert asyncio.run(unfit_answers(response(), find)) == []


def test_a_contained_questionnaire_is_used() -> None:
    inner = questionnaire(question("a", required=True)) | {"id": "q"}

    async def find(resource_type: str, url: str, version: str) -> None:
        raise AssertionError("nothing to look for")

    [issue] = asyncio.run(unfit_answers(response(questionnaire="#q", contained=[inner]), find))
    assert issue.code == "required"
