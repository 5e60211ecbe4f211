"""
The answers of a QuestionnaireResponse, checked against its Questionnaire (FHIR R4, questionnaireresponse).

Checked: the canonical, the status, linkIds, answer types, options, ranges, repetition. Not checked:
enableWhen and required, because scores and screens have their own rule for a missing answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from recommender.canonical import MAX_VALUE, MIN_VALUE, ORDINAL_VALUE
from recommender.errors import (
    InvalidAnswer,
    MissingElement,
    RepeatedAnswer,
    UnfinishedResponse,
    UnknownItem,
    WrongQuestionnaire,
)

JSON = dict[str, Any]
Answer = bool | int | str
"""A boolean, an integer, a text, or the code of a chosen option."""

_VALUE_OF_TYPE: Mapping[str, tuple[str, type[bool] | type[int] | type[str]]] = {
    "boolean": ("valueBoolean", bool),
    "integer": ("valueInteger", int),
    "string": ("valueString", str),
    "text": ("valueString", str),
}


def read_answers(questionnaire: JSON, response: JSON) -> dict[str, tuple[Answer, ...]]:
    """
    Answers by linkId, in the order given; items without an answer are left out.

    raises  WrongQuestionnaire, UnfinishedResponse, UnknownItem, InvalidAnswer, RepeatedAnswer, MissingElement
    """
    _check_canonical(questionnaire, response)
    if (status := str(response.get("status"))) not in {"completed", "amended"}:
        raise UnfinishedResponse(status)
    items = items_by_link_id(questionnaire)
    found: dict[str, tuple[Answer, ...]] = {}
    for given in _response_items(response):
        link_id = given.get("linkId")
        if not isinstance(link_id, str):
            raise MissingElement("QuestionnaireResponse.item.linkId")
        if link_id not in items:
            raise UnknownItem(link_id)
        answers = tuple(_value(items[link_id], answer) for answer in given.get("answer", ()))
        if answers:
            if link_id in found or (len(answers) > 1 and not items[link_id].get("repeats")):
                raise RepeatedAnswer(link_id)
            found[link_id] = answers
    return found


def items_by_link_id(questionnaire: JSON) -> dict[str, JSON]:
    """All items of a Questionnaire at any depth, in order."""
    return {item["linkId"]: item for item in _walk(questionnaire)}


def ordinal(item: JSON, answer: Answer) -> Decimal | None:
    """The number an answer counts in a score: yes is 1, an option its ordinalValue; None for texts."""
    if item["type"] == "choice":
        return _ordinals(item).get(str(answer))
    return None if isinstance(answer, str) else Decimal(int(answer))


def _check_canonical(questionnaire: JSON, response: JSON) -> None:
    expected = f"{questionnaire['url']}|{questionnaire['version']}"
    found = str(response.get("questionnaire"))
    if found not in (questionnaire["url"], expected):
        raise WrongQuestionnaire(expected, found)


def _walk(parent: JSON) -> Iterator[JSON]:
    for item in parent.get("item", ()):
        yield item
        yield from _walk(item)


def _response_items(parent: JSON) -> Iterator[JSON]:
    for item in parent.get("item", ()):
        yield item
        yield from _response_items(item)
        for answer in item.get("answer", ()):
            yield from _response_items(answer)


def _value(item: JSON, answer: JSON) -> Answer:
    if item["type"] == "choice":
        return _option(item, answer)
    if item["type"] not in _VALUE_OF_TYPE:
        raise InvalidAnswer(item["linkId"], f"an item of type {item['type']!r} takes no answer here.")
    name, kind = _VALUE_OF_TYPE[item["type"]]
    value = answer.get(name)
    # bool is an int to Python, but true is no number to FHIR.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InvalidAnswer(item["linkId"], f"the answer must be a {name}.")
    if kind is int:
        _check_range(item, int(value))
    return value


def _option(item: JSON, answer: JSON) -> str:
    coding = answer.get("valueCoding")
    if not isinstance(coding, dict):
        raise InvalidAnswer(item["linkId"], "the answer must be a valueCoding.")
    for option in item["answerOption"]:
        offered = option["valueCoding"]
        if coding.get("code") == offered["code"] and coding.get("system") == offered["system"]:
            return str(offered["code"])
    raise InvalidAnswer(item["linkId"], "the answer is not one of the options.")


def _check_range(item: JSON, value: int) -> None:
    limits = {extension["url"]: extension.get("valueInteger") for extension in item.get("extension", ())}
    low, high = limits.get(MIN_VALUE), limits.get(MAX_VALUE)
    if (low is not None and value < low) or (high is not None and value > high):
        raise InvalidAnswer(item["linkId"], f"the answer must be from {low} to {high}.")


def _ordinals(item: JSON) -> Mapping[str, Decimal]:
    return {
        option["valueCoding"]["code"]: Decimal(str(extension["valueDecimal"]))
        for option in item["answerOption"]
        for extension in option.get("extension", ())
        if extension["url"] == ORDINAL_VALUE
    }
