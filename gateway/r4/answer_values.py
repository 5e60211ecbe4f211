"""Is one answer of the kind that its question takes (FHIR R4 Questionnaire.item, and the basic SDC extensions)?"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.r4.enable_when import compared, same_value, value_of
from gateway.r4.references import read_reference
from gateway.r4.terminology_errors import TerminologyError, Unusable
from gateway.r4.terminology_sources import Definitions
from gateway.r4.value_set_filters import pattern_test
from gateway.r4.value_set_members import is_member

Node = Mapping[str, Any]
Finding = tuple[str, str]
"""(IssueType code, sentence)"""

_SD = "http://hl7.org/fhir/StructureDefinition/"
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
_LEAST = (_SD + "minValue", _SDC + "minQuantity")
_MOST = (_SD + "maxValue", _SDC + "maxQuantity")
_MIN_LENGTH = _SD + "minLength"
_REGEX, _DECIMALS, _MIME, _SIZE = _SD + "regex", _SD + "maxDecimalPlaces", _SD + "mimeType", _SD + "maxSize"
_REFERENCE = _SD + "questionnaire-referenceResource"
_UNIT, _UNITS = _SD + "questionnaire-unitOption", _SD + "questionnaire-unitValueSet"

# http://hl7.org/fhir/item-type to the JSON key of its answers.
_KEYS = {
    "boolean": ("valueBoolean",),
    "decimal": ("valueDecimal", "valueInteger"),
    "integer": ("valueInteger",),
    "date": ("valueDate",),
    "dateTime": ("valueDateTime",),
    "time": ("valueTime",),
    "string": ("valueString",),
    "text": ("valueString",),
    "url": ("valueUri",),
    "choice": ("valueCoding",),
    "open-choice": ("valueCoding", "valueString"),
    "attachment": ("valueAttachment",),
    "reference": ("valueReference",),
    "quantity": ("valueQuantity",),
}
CHOICES = frozenset({"choice", "open-choice"})


def answer_findings(answer: Node, question: Node, questionnaire: Node, sources: Definitions) -> Iterator[Finding]:
    """
    What is wrong with one answer, by the item of the Questionnaire that asks it.

    raises  Wanted: a value set or code system that the caller may have
    """
    key = next((key for key in answer if key.startswith("value")), None)
    if key is None:
        return
    kind = question.get("type", "")
    if key not in _keys(kind, question):
        yield "structure", f"The answer must be of the type of the question ({kind})."
        return
    value = answer[key]
    if not (kind == "open-choice" and key == "valueString"):
        yield from _choice_findings(value, question, questionnaire, sources)
    yield from _limit_findings(value, question)
    if kind == "quantity":
        yield from _unit_findings(value, question, questionnaire, sources)


def _keys(kind: str, question: Node) -> tuple[str, ...]:
    """The JSON keys that an answer may have; a choice takes the types of its options, too."""
    keys = _KEYS.get(kind, ())
    if kind not in CHOICES:
        return keys
    options = question.get("answerOption", ())
    if not options and "answerValueSet" not in question:
        # Nothing says what there is to choose from.
        return _KEYS["open-choice"]
    return keys + tuple(key for option in options for key in option if key.startswith("value"))


def extensions(node: Node, url: str) -> list[Any]:
    """The values of the extensions of an element that have this url."""
    return [value_of(each) for each in node.get("extension", ()) if each.get("url") == url]


def _choice_findings(value: Any, question: Node, questionnaire: Node, sources: Definitions) -> Iterator[Finding]:
    options = [value_of(option) for option in question.get("answerOption", ())]
    if options and not any(same_value(value, option) for option in options):
        yield "code-invalid", "The answer is not one of the options of the question."
    canonical = question.get("answerValueSet")
    if canonical and isinstance(value, Mapping) and not _may_be_chosen(value, canonical, questionnaire, sources):
        yield "code-invalid", "The answer is not in the value set of the question."


def _may_be_chosen(coding: Node, canonical: str, questionnaire: Node, sources: Definitions) -> bool:
    """Yes also where the value set, or what it is made of, is not known here."""
    try:
        if canonical.startswith("#"):
            inside = (each for each in questionnaire.get("contained", ()) if each.get("id") == canonical[1:])
            value_set = next(inside, None)
        else:
            value_set = sources.value_set(canonical)
        if value_set is None:
            return True
        return is_member(value_set, coding.get("system", ""), coding.get("code", ""), sources)
    except TerminologyError:
        return True


def _limit_findings(value: Any, question: Node) -> Iterator[Finding]:
    if "extension" not in question and "maxLength" not in question:
        return
    if isinstance(value, str):
        yield from _text_findings(value, question)
    for limit in (each for url in _LEAST for each in extensions(question, url)):
        if (order := compared(value, limit)) is not None and order < 0:
            yield "value", "The answer is less than the question allows."
    for limit in (each for url in _MOST for each in extensions(question, url)):
        if (order := compared(value, limit)) is not None and order > 0:
            yield "value", "The answer is more than the question allows."
    for places in extensions(question, _DECIMALS):
        if isinstance(value, float) and isinstance(places, int) and round(value, places) != value:
            yield "value", "The answer has more decimal places than the question allows."
    if isinstance(value, Mapping):
        yield from _object_findings(value, question)


def _text_findings(value: str, question: Node) -> Iterator[Finding]:
    longest = question.get("maxLength")
    if isinstance(longest, int) and len(value) > longest:
        yield "too-long", "The answer is longer than the question allows."
    for shortest in extensions(question, _MIN_LENGTH):
        if isinstance(shortest, int) and len(value) < shortest:
            yield "value", "The answer is shorter than the question allows."
    for pattern in extensions(question, _REGEX):
        if isinstance(pattern, str) and not _matches(pattern, value):
            yield "value", "The answer does not have the form that the question asks for."


def _matches(pattern: str, value: str) -> bool:
    """Yes also where the questionnaire has a pattern that cannot be used here."""
    try:
        return pattern_test(pattern)(value)
    except Unusable:
        return True


def _object_findings(value: Node, question: Node) -> Iterator[Finding]:
    kinds = extensions(question, _MIME)
    if kinds and "contentType" in value and value["contentType"] not in kinds:
        yield "value", "The attachment is not of a type that the question takes."
    for largest in extensions(question, _SIZE):
        if isinstance(value.get("size"), int) and isinstance(largest, int | float) and value["size"] > largest:
            yield "too-long", "The attachment is larger than the question takes."
    types = extensions(question, _REFERENCE)
    target = read_reference(value["reference"]) if isinstance(value.get("reference"), str) else None
    if types and target and target.type and target.type not in types:
        yield "structure", "The reference is not to a type that the question takes."


def _unit_findings(quantity: Node, question: Node, questionnaire: Node, sources: Definitions) -> Iterator[Finding]:
    if "value" not in quantity:
        return
    units = extensions(question, _UNIT)
    sets = extensions(question, _UNITS)
    is_offered = any(_has_unit(quantity, unit) for unit in units) if units else True
    if not is_offered or not all(_may_be_chosen(quantity, each, questionnaire, sources) for each in sets):
        yield "code-invalid", "The unit is not one that the question offers."


def _has_unit(quantity: Node, unit: Any) -> bool:
    if not isinstance(unit, Mapping):
        return False
    return quantity.get("code", quantity.get("unit")) in (unit.get("code"), unit.get("display"))
