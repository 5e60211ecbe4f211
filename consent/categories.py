"""The sharing category of a resource: what a patient ticks on the sharing page (category_rules.csv)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from consent.contents import Contents
from consent.vocabulary import CATEGORIES, CONSENT_CATEGORY, MIXED, NO_CATEGORY, table

OPEN_TYPES = frozenset(row["type"] for row in table("open_types"))
_RECORD, _DEMOGRAPHICS = CATEGORIES["record"], CATEGORIES["demographics"]
_REFERENCE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?$")


class _Rule(NamedTuple):
    element: str
    system: str
    value: str
    category: int


_RULES: dict[str, list[_Rule]] = {}
for _row in table("category_rules"):
    _RULES.setdefault(_row["type"], []).append(
        _Rule(_row["element"], _row["system"], _row["value"], CATEGORIES[_row["category"]])
    )


_TARGETED = {MIXED, _RECORD}.union(rule.category for rules in _RULES.values() for rule in rules)


def category(resource: Mapping[str, Any], found: Contents) -> int:
    """
    The category id of the resource.

    A resource that carries other resources about a person is `mixed`, because a part may belong to any
    category; a contained Patient or RelatedPerson alone does not make it so.
    """
    if found.carried and any(_counts(each, id(each) in found.contained) for each in found.carried):
        return MIXED
    if resource["resourceType"] == "Provenance":
        return _of_targets(resource)
    return _own(resource, bool(found.patients))


@lru_cache
def possible_categories(resource_type: str) -> tuple[int, ...]:
    """
    The categories that a resource of this type can have of itself, ascending.

    `mixed` is one only for a Bundle, and a Provenance takes that of its targets.
    """
    if resource_type == "Bundle":
        return (_RECORD, MIXED)
    if resource_type == "Provenance":
        return tuple(sorted(_TARGETED - {CONSENT_CATEGORY, MIXED}))
    return tuple(sorted(_by_rules(resource_type)))


def _by_rules(resource_type: str) -> set[int]:
    rules = _RULES.get(resource_type, ())
    always = any(not rule.element for rule in rules)
    return {rule.category for rule in rules} | (set() if always else {_RECORD})


def _own(resource: Mapping[str, Any], names_patient: bool) -> int:
    resource_type = resource["resourceType"]
    if resource_type in OPEN_TYPES and not names_patient:
        return NO_CATEGORY
    for rule in _RULES.get(resource_type, ()):
        if _holds(rule, resource):
            return rule.category
    return _RECORD


def _counts(carried: Mapping[str, Any], is_contained: bool) -> bool:
    # A contained Device or Medication is an attribute of its container unless it names a patient of its own.
    own = _own(carried, "patient" in carried)
    return own != NO_CATEGORY and not (is_contained and own == _DEMOGRAPHICS)


def _of_targets(provenance: Mapping[str, Any]) -> int:
    """That of the targets, where all are of one category by their type alone; else mixed."""
    of_targets = {_by_type(target.get("reference", "")) for target in provenance.get("target", ())}
    return of_targets.pop() if len(of_targets) == 1 else MIXED


def _by_type(reference: str) -> int:
    match = _REFERENCE.search(reference)
    if match is None:
        return MIXED
    # An Observation may be an answer, a sensor value or a finding: its type alone does not tell.
    possible = _by_rules(match[1])
    return possible.pop() if len(possible) == 1 else MIXED


def _holds(rule: _Rule, resource: Mapping[str, Any]) -> bool:
    if not rule.element:
        return True
    is_tag = rule.element == "tag"
    value = resource.get("meta", {}).get("tag") if is_tag else resource.get(rule.element)
    if not value:
        return False
    if is_tag:
        return _has_coding(rule, value)
    if rule.element == "questionnaire":
        return str(value).startswith(rule.value)
    if rule.element == "derivedFrom":
        return any(rule.value in str(each.get("reference", "")) for each in value)
    for concept in value:
        for coding in concept.get("coding", ()):
            if coding.get("code") == rule.value and coding.get("system") == rule.system:
                return True
    return False


def _has_coding(rule: _Rule, codings: Iterable[Mapping[str, Any]]) -> bool:
    return any(coding.get("code") == rule.value and coding.get("system") == rule.system for coding in codings)
