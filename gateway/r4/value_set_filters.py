"""Filters of a ValueSet: the concepts that a property chooses (FHIR R4 ValueSet.compose.include.filter)."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs

from gateway.r4.code_systems import CodeSystem, Concept
from gateway.r4.terminology_errors import Unusable

Test = Callable[[Concept], bool]
_CODE = frozenset({"code", "concept"})


def filter_test(system: CodeSystem, filter: Mapping[str, Any]) -> Test:
    """Whether a concept passes one filter, as a function. Raises Unusable for what is not understood."""
    property, op, value = filter.get("property", ""), filter.get("op", ""), filter.get("value")
    if not isinstance(value, str):
        raise Unusable("A filter of the value set has no value.")
    if op in _BY_HIERARCHY:
        return _BY_HIERARCHY[op](system, value)
    if op == "regex":
        matches = pattern_test(value)
        return lambda concept: any(map(matches, _values(concept, property)))
    if op == "exists":
        return lambda concept: bool(_values(concept, property)) == (value == "true")
    if op in ("=", "in", "not-in"):
        return _equality(
            property, frozenset([value] if op == "=" else map(str.strip, value.split(","))), op == "not-in"
        )
    raise Unusable("A filter of the value set has an operator that is not known here.")


def _equality(property: str, wanted: frozenset[str], is_negated: bool) -> Test:
    if property == "parent":
        return lambda concept: wanted.isdisjoint(concept.parents) == is_negated
    # What says nothing of a boolean property says false (CodeSystem section 4.8.11).
    default = ["false"] if property in ("notSelectable", "abstract", "inactive") else []
    return lambda concept: wanted.isdisjoint(_values(concept, property) or default) == is_negated


def _values(concept: Concept, property: str) -> list[str]:
    """The values of a property of a concept, as text."""
    if property in _CODE:
        return [concept.code]
    if property == "display":
        return [concept.display]
    if property == "parent":
        return concept.parents
    stated = (each for each in concept.properties if each.get("code") == property)
    return [_text(value) for each in stated for key, value in each.items() if key.startswith("value")]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value.get("code", "")) if isinstance(value, Mapping) else str(value)


@lru_cache(maxsize=128)
def pattern_test(text: str) -> Callable[[str], bool]:
    """
    Whether the whole of a text matches a regular expression, as a function; Unusable where it is none.

    Run by an engine that takes linear time, since anybody may send a pattern.
    """
    try:
        compiled = jsonschema_rs.Draft4Validator(
            {"pattern": f"^(?:{text})$"}, pattern_options=jsonschema_rs.RegexOptions()
        )
    except jsonschema_rs.ValidationError:
        raise Unusable("The regular expression of a filter cannot be used here.") from None
    return compiled.is_valid


def _is_a(system: CodeSystem, code: str) -> Test:
    wanted = system.descendants(code) | {code}
    return lambda concept: concept.code in wanted


def _descendent_of(system: CodeSystem, code: str) -> Test:
    wanted = system.descendants(code)
    return lambda concept: concept.code in wanted


def _is_not_a(system: CodeSystem, code: str) -> Test:
    unwanted = system.descendants(code) | {code}
    return lambda concept: concept.code not in unwanted


def _generalizes(system: CodeSystem, code: str) -> Test:
    wanted = system.ancestors(code) | {code}
    return lambda concept: concept.code in wanted


_BY_HIERARCHY: dict[str, Callable[[CodeSystem, str], Test]] = {
    "is-a": _is_a,
    "descendent-of": _descendent_of,
    "is-not-a": _is_not_a,
    "generalizes": _generalizes,
}
