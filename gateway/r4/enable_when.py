"""Which items of a Questionnaire are enabled by the answers so far (FHIR R4 Questionnaire.item.enableWhen)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Node = Mapping[str, Any]


class Scope:
    """The items at one place of a response with everything below; gathered by question when first asked."""

    def __init__(self, items: Sequence[Node]) -> None:
        self._items = items
        self._by_question: dict[str, list[Any]] | None = None

    def answers(self, question: str) -> list[Any] | None:
        """The values given to a question here; None where it does not occur."""
        if self._by_question is None:
            self._by_question = {}
            for item in _descendants(self._items):
                values = (value_of(each) for each in item.get("answer", ()))
                known = self._by_question.setdefault(item.get("linkId", ""), [])
                known += [value for value in values if value is not None]
        return self._by_question.get(question)


def is_enabled(item: Node, scopes: Sequence[Scope]) -> bool:
    """
    Whether an item is enabled, its parents being so.

    item    of the Questionnaire
    scopes  the places of the response around it, the nearest first, the whole response last: a condition looks at
            the nearest that has its question, so that each repetition of a group has conditions of its own
    """
    conditions = item.get("enableWhen", ())
    if not conditions:
        return True
    answers = (_is_met(each, scopes) for each in conditions)
    return any(answers) if item.get("enableBehavior") == "any" else all(answers)


def _is_met(condition: Node, scopes: Sequence[Scope]) -> bool:
    question = condition.get("question", "")
    found = (scope.answers(question) for scope in scopes)
    values = next((answers for answers in found if answers is not None), [])
    expected = value_of(condition, "answer")
    operator = condition.get("operator")
    if operator == "exists":
        return bool(values) is (expected is True)
    if operator == "!=":
        return not any(same_value(value, expected) for value in values)
    if operator == "=":
        return any(same_value(value, expected) for value in values)
    test = _ORDER.get(operator or "")
    orders = (compared(value, expected) for value in values)
    return test is not None and any(test(order) for order in orders if order is not None)


_ORDER: dict[str, Callable[[int], bool]] = {
    ">": lambda order: order > 0,
    "<": lambda order: order < 0,
    ">=": lambda order: order >= 0,
    "<=": lambda order: order <= 0,
}


def _descendants(items: Sequence[Node]) -> Iterator[Node]:
    for item in items:
        yield item
        yield from _descendants(item.get("item", ()))
        for answer in item.get("answer", ()):
            yield from _descendants(answer.get("item", ()))


def value_of(node: Node, name: str = "value") -> Any:
    """The value of `value[x]`, whatever its type; None where there is none."""
    size = len(name)
    named = (key for key in node if key.startswith(name) and key[size : size + 1].isupper())
    return next((node[key] for key in named), None)


def same_value(one: Any, other: Any) -> bool:
    """Equal as answers: codings by system and code, where both name a system; quantities by value and unit."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if "value" in one or "value" in other:
            return compared(one, other) == 0
        if "code" in one and "code" in other:
            return one["code"] == other["code"] and _agree(one, other, "system")
        if "reference" in one or "reference" in other:
            return bool(one.get("reference") == other.get("reference"))
    return type(one) is type(other) and bool(one == other)


def _agree(one: Node, other: Node, key: str) -> bool:
    return key not in one or key not in other or bool(one[key] == other[key])


def compared(one: Any, other: Any) -> int | None:
    """-1, 0 or 1 as the first is less, equal or more; None where they cannot be compared."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.get("code", one.get("unit")) != other.get("code", other.get("unit")):
            return None
        return compared(one.get("value"), other.get("value"))
    if _is_number(one) and _is_number(other):
        return int(one > other) - int(one < other)
    if isinstance(one, str) and isinstance(other, str):
        # Dates and times in the precision that both have; their text sorts as they do.
        size = min(len(one), len(other))
        return int(one[:size] > other[:size]) - int(one[:size] < other[:size])
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
