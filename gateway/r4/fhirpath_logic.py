"""Three-valued logic over compiled FHIRPath: True, False, or None where there is no answer (FHIRPath section 6)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gateway.r4 import fhirpath_values as values
from gateway.r4.fhirpath_values import Items

LOGIC = frozenset({"and", "or", "xor", "implies"})
TESTS = LOGIC | {"=", "!=", "<", "<=", ">", ">=", "in", "contains"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    %resource, %rootResource (the container of a contained resource) and %context of an evaluation.

    contained_ids  the ids in root.contained, gathered once
    """

    resource: Any
    root: Any
    context: Any = None
    contained_ids: frozenset[Any] = frozenset()

    @classmethod
    def of(cls, resource: dict[str, Any]) -> "Surroundings":
        """Those of a resource that is not contained in another."""
        contained = resource.get("contained")
        inside = contained if isinstance(contained, list) else ()
        ids = frozenset(name for each in inside if isinstance(each, dict) and isinstance(name := each.get("id"), str))
        return cls(resource, resource, contained_ids=ids)

    def inside(self, contained: dict[str, Any]) -> "Surroundings":
        """Those of a contained resource."""
        return replace(self, resource=contained)


Collection = Callable[[Items, Surroundings], Items]
Truth = Callable[[Items, Surroundings], bool | None]


def singleton(items: Collection) -> Truth:
    def truth(focus: Items, around: Surroundings) -> bool | None:
        found = items(focus, around)
        if len(found) != 1:
            return None
        return found[0] if isinstance(found[0], bool) else True

    return truth


def boxed(truth: Truth) -> Collection:
    def items(focus: Items, around: Surroundings) -> Items:
        answer = truth(focus, around)
        return [] if answer is None else [answer]

    return items


def quantifier(items: Collection, criterion: Truth, is_all: bool) -> Truth:
    def truth(focus: Items, around: Surroundings) -> bool:
        answers = (criterion([item], around) is True for item in items(focus, around))
        return all(answers) if is_all else any(answers)

    return truth


def negation(inner: Truth) -> Truth:
    def truth(focus: Items, around: Surroundings) -> bool | None:
        answer = inner(focus, around)
        return None if answer is None else not answer

    return truth


def logic(operator: str, left: Truth, right: Truth) -> Truth:
    if operator == "and":
        return _conjunction(left, right)
    if operator == "or":
        return _disjunction(left, right)
    if operator == "implies":
        return _disjunction(negation(left), right)

    def exclusive(focus: Items, around: Surroundings) -> bool | None:
        first, second = left(focus, around), right(focus, around)
        return None if first is None or second is None else first != second

    return exclusive


def _conjunction(left: Truth, right: Truth) -> Truth:
    def truth(focus: Items, around: Surroundings) -> bool | None:
        first = left(focus, around)
        if first is False:
            return False
        second = right(focus, around)
        return False if second is False else (None if first is None else second)

    return truth


def _disjunction(left: Truth, right: Truth) -> Truth:
    def truth(focus: Items, around: Surroundings) -> bool | None:
        first = left(focus, around)
        if first is True:
            return True
        second = right(focus, around)
        return True if second is True else (None if first is None else second)

    return truth


_ORDER: dict[str, Callable[[int], bool]] = {
    "<": lambda sign: sign < 0,
    "<=": lambda sign: sign <= 0,
    ">": lambda sign: sign > 0,
    ">=": lambda sign: sign >= 0,
}


def comparison(operator: str, left: Collection, right: Collection) -> Truth:
    if operator in _ORDER:
        return _order(_ORDER[operator], left, right)
    if operator == "in":
        return _membership(left, right)
    if operator == "contains":
        return _membership(right, left)
    wanted = operator == "="

    def truth(focus: Items, around: Surroundings) -> bool | None:
        answer = values.equal(left(focus, around), right(focus, around))
        return None if answer is None else answer == wanted

    return truth


def _order(decide: Callable[[int], bool], left: Collection, right: Collection) -> Truth:
    def truth(focus: Items, around: Surroundings) -> bool | None:
        first, second = left(focus, around), right(focus, around)
        if len(first) != 1 or len(second) != 1:
            return None
        sign = values.compare(first[0], second[0])
        return None if sign is None else decide(sign)

    return truth


def _membership(item: Collection, among: Collection) -> Truth:
    def truth(focus: Items, around: Surroundings) -> bool | None:
        found = item(focus, around)
        if len(found) != 1:
            return None
        return any(values.same(found[0], other) for other in among(focus, around))

    return truth
