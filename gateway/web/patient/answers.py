"""A Questionnaire as pages ask it, one question a page, and the answers as a QuestionnaireResponse (FHIR R4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.web.forms import Form

JSON = dict[str, Any]
Answers = Mapping[str, Sequence[JSON]]
"""Answers by linkId, in order; a question that was passed over has an empty list."""

_MIN = "http://hl7.org/fhir/StructureDefinition/minValue"
_MAX = "http://hl7.org/fhir/StructureDefinition/maxValue"
_LONGEST_SCALE = 10
_ONE_LINE = 100
_LONGEST_TEXT = 2_000


class NotAnswered(Exception):
    """The form holds no answer that this question can take; `key` is the message."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True, slots=True)
class Question:
    """
    One item that asks something.

    kind     scale (a few numbers side by side), number, choice, choices, yes-no, text, long-text
    options  value of the form field and words; yes and no are words of the page
    """

    item: JSON
    kind: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def link_id(self) -> str:
        return str(self.item["linkId"])

    @property
    def text(self) -> str:
        return str(self.item["text"])

    @property
    def is_required(self) -> bool:
        return bool(self.item.get("required"))

    @property
    def low(self) -> int | None:
        return _limit(self.item, _MIN)

    @property
    def high(self) -> int | None:
        return _limit(self.item, _MAX)

    @property
    def max_length(self) -> int:
        return int(self.item.get("maxLength", _LONGEST_TEXT))


def questions(questionnaire: JSON) -> list[Question]:
    """Every item that asks something, in order. Our instruments are flat lists."""
    return [_question(item) for item in questionnaire["item"] if item["type"] != "display"]


def introduction(questionnaire: JSON) -> str:
    """What is to be known for every question; may be empty."""
    return " ".join(item["text"] for item in questionnaire["item"] if item["type"] == "display")


def asked(questionnaire: JSON, answers: Answers) -> list[Question]:
    """The questions that apply, given the answers so far (enableWhen)."""
    return [question for question in questions(questionnaire) if _is_enabled(question.item, answers)]


def read_answer(question: Question, form: Form) -> list[JSON]:
    """
    The answers in a form; empty where a question that may be passed over was passed over.

    raises  NotAnswered
    """
    values = [value.strip() for value in form.all("answer") if value.strip()]
    if not values:
        if question.is_required:
            raise NotAnswered(f"question.missing.{question.kind}")
        return []
    if len(values) > 1 and question.kind != "choices":
        raise NotAnswered("question.invalid")
    return [_READERS[question.kind](question, value) for value in values]


def chosen(question: Question, answers: Answers) -> list[str]:
    """The values of the form fields that stand for the answers given so far."""
    return [_field(answer) for answer in answers.get(question.link_id, ())]


def answers_of(response: JSON | None) -> dict[str, list[JSON]]:
    """The answers of a response, with an empty list for questions that were passed over."""
    return {item["linkId"]: item.get("answer", []) for item in (response or {}).get("item", ())}


def response(
    questionnaire: JSON, patient: str, answers: Answers, *, status: str, authored: str, previous: JSON | None = None
) -> JSON:
    """The QuestionnaireResponse; answers to questions that no longer apply are left out."""
    items = [
        {
            "linkId": question.link_id,
            "text": question.text,
            **({"answer": list(answers[question.link_id])} if answers[question.link_id] else {}),
        }
        for question in asked(questionnaire, answers)
        if question.link_id in answers
    ]
    return {
        "resourceType": "QuestionnaireResponse",
        **({"id": previous["id"]} if previous else {}),
        "questionnaire": f"{questionnaire['url']}|{questionnaire['version']}",
        "status": status,
        "subject": {"reference": patient},
        "authored": authored,
        "author": {"reference": patient},
        "source": {"reference": patient},
        **({"item": items} if items else {}),
    }


def _question(item: JSON) -> Question:
    kind = item["type"]
    if kind == "boolean":
        return Question(item, "yes-no", (("yes", ""), ("no", "")))
    if kind == "choice":
        codings = [option["valueCoding"] for option in item["answerOption"]]
        options = tuple((coding["code"], coding["display"]) for coding in codings)
        return Question(item, "choices" if item.get("repeats") else "choice", options)
    if kind == "integer":
        low, high = _limit(item, _MIN), _limit(item, _MAX)
        if low is not None and high is not None and high - low <= _LONGEST_SCALE:
            return Question(item, "scale", tuple((str(n), str(n)) for n in range(low, high + 1)))
        return Question(item, "number")
    return Question(item, "text" if item.get("maxLength", _LONGEST_TEXT) <= _ONE_LINE else "long-text")


def _limit(item: JSON, url: str) -> int | None:
    return next((int(e["valueInteger"]) for e in item.get("extension", ()) if e["url"] == url), None)


def _integer(question: Question, value: str) -> JSON:
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise NotAnswered("question.missing.number")
    number = int(value)
    low, high = question.low, question.high
    if (low is not None and number < low) or (high is not None and number > high):
        raise NotAnswered("question.out-of-range")
    return {"valueInteger": number}


def _boolean(question: Question, value: str) -> JSON:
    if value not in ("yes", "no"):
        raise NotAnswered("question.invalid")
    return {"valueBoolean": value == "yes"}


def _option(question: Question, value: str) -> JSON:
    for option in question.item["answerOption"]:
        coding = option["valueCoding"]
        if coding["code"] == value:
            return {"valueCoding": {name: coding[name] for name in ("system", "code", "display")}}
    raise NotAnswered("question.invalid")


def _text(question: Question, value: str) -> JSON:
    if len(value) > question.max_length:
        raise NotAnswered("question.too-long")
    return {"valueString": value}


_READERS: Mapping[str, Callable[[Question, str], JSON]] = {
    "scale": _integer,
    "number": _integer,
    "yes-no": _boolean,
    "choice": _option,
    "choices": _option,
    "text": _text,
    "long-text": _text,
}


def _field(answer: JSON) -> str:
    if "valueBoolean" in answer:
        return "yes" if answer["valueBoolean"] else "no"
    if "valueCoding" in answer:
        return str(answer["valueCoding"]["code"])
    return str(answer.get("valueInteger", answer.get("valueString", "")))


def _is_enabled(item: JSON, answers: Answers) -> bool:
    conditions = item.get("enableWhen", [])
    results = [_holds(condition, answers.get(condition["question"], ())) for condition in conditions]
    if not results:
        return True
    return all(results) if item.get("enableBehavior") == "all" else any(results)


def _holds(condition: JSON, given: Sequence[JSON]) -> bool:
    operator = condition["operator"]
    if operator == "exists":
        return bool(bool(given) == condition["answerBoolean"])
    kind, wanted = next((name[len("answer") :], value) for name, value in condition.items() if name[:6] == "answer")
    values = [_comparable(answer.get(f"value{kind}")) for answer in given if f"value{kind}" in answer]
    compare = _COMPARISONS[operator]
    return any(compare(value, _comparable(wanted)) for value in values)


def _comparable(value: Any) -> Any:
    return (value.get("system"), value.get("code")) if isinstance(value, dict) else value


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    ">": lambda a, b: bool(a > b),
    "<": lambda a, b: bool(a < b),
    ">=": lambda a, b: bool(a >= b),
    "<=": lambda a, b: bool(a <= b),
}
