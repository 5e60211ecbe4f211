"""The facts of a version that a rule may test, computed once on write (docs/consent-semantics.md, Facts)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from consent.categories import OPEN_TYPES, category
from consent.contents import KeyOf, contents
from consent.rows import FAR_FUTURE, FAR_PAST
from consent.times import period, span
from consent.vocabulary import (
    ACT_CODE,
    ACT_REASON,
    CATEGORY_MINIMUM,
    CONFIDENTIALITY,
    CONFIDENTIALITY_SYSTEM,
    HIGHEST,
    LABEL_RAISES,
    LABELS,
    MIXED,
    NO_CATEGORY,
    NORMAL,
    OTHER_LABEL,
    table,
)

_DATES = {row["type"]: row["paths"].split() for row in table("dates")}
# Labels of these systems are about handling and integrity, not about sensitivity.
_NOT_SENSITIVITY = (ACT_REASON, "http://terminology.hl7.org/CodeSystem/v3-ObservationValue")
ALWAYS = (FAR_PAST, FAR_FUTURE)


class Facts(NamedTuple):
    """
    patients         keys of every patient the resource names, ascending; each of them must permit
    category         id of the sharing category (categories.csv)
    confidentiality  rank from 0 (unrestricted) to 5 (very restricted)
    labels           bit mask of sensitivity labels (labels.csv)
    effective_from, effective_to   the data's date as a half-open range of microseconds
    open             about nobody and published: readable by every authenticated actor
    """

    patients: tuple[int, ...]
    category: int
    confidentiality: int
    labels: int
    effective_from: int
    effective_to: int
    open: bool


def facts(resource: Mapping[str, Any], *, key_of: KeyOf, first_updated_us: int) -> Facts:
    """
    The facts of one version of a resource.

    resource          R4 JSON as parsed; validated already
    key_of            the key of a type and a logical id
    first_updated_us  meta.lastUpdated of version 1, the data's date where the resource states none
    """
    found = contents(resource, key_of)
    kind = category(resource, found)
    declared, labels = _declared(resource, found.carried)
    # A published questionnaire asks about sensitive things; only its answers tell them of somebody.
    is_published = kind == NO_CATEGORY and not found.patients and resource["resourceType"] in OPEN_TYPES
    labels |= 0 if is_published else found.labels
    confidentiality = max(CATEGORY_MINIMUM[kind], declared, _raised(labels))
    effective = ALWAYS if kind == MIXED else _effective(resource, first_updated_us)
    is_open = is_published and confidentiality <= NORMAL
    return Facts(found.patients, kind, confidentiality, labels, *effective, is_open)


def _declared(resource: Mapping[str, Any], carried: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """The highest confidentiality and all labels in meta.security; a resource without one is normal."""
    rank, labels = -1, 0
    for each in (resource, *carried) if carried else (resource,):
        for coding in each["meta"].get("security", ()) if "meta" in each else ():
            rank = max(rank, _rank(coding))
            labels |= _label(coding)
    return (rank if rank >= 0 else NORMAL), labels


def _rank(coding: Mapping[str, Any]) -> int:
    """The rank of a confidentiality label; a code that the table does not have is read as the strictest."""
    if coding.get("system") != CONFIDENTIALITY_SYSTEM:
        return -1
    return CONFIDENTIALITY.get(str(coding.get("code")), HIGHEST)


def _label(coding: Mapping[str, Any]) -> int:
    system = coding.get("system")
    if system == CONFIDENTIALITY_SYSTEM or system in _NOT_SENSITIVITY:
        return 0
    return LABELS.get(str(coding.get("code")), OTHER_LABEL) if system == ACT_CODE else OTHER_LABEL


def _raised(labels: int) -> int:
    if not labels:
        return 0
    return max(rank for label, rank in LABEL_RAISES.items() if labels & label)


def _effective(resource: Mapping[str, Any], first_updated_us: int) -> tuple[int, int]:
    for element in _DATES.get(resource["resourceType"], ()):
        value = resource.get(element)
        if not value:
            continue
        try:
            return period(value) if isinstance(value, dict) else span(value)
        except ValueError:
            # A date that cannot be read is outside every permit and inside every deny.
            return ALWAYS
    return first_updated_us, first_updated_us + 1


Codes = frozenset[tuple[str, str]]
# Where the R4 search parameter `code` looks besides the element of that name.
_CODED_PARTS = {
    "AllergyIntolerance": (("reaction", "substance"),),
    "FamilyMemberHistory": (("condition", "code"),),
}


def codes(resource: Mapping[str, Any]) -> tuple[Codes, Codes]:
    """
    The (system, code) pairs a rule by code looks at: a permit at the first set, a deny at the second.

    The first is the resource's own code (the R4 search parameter `code`), the second has those of components as well
    (`combo-code`). Answers of a QuestionnaireResponse are neither: they are labelled instead.
    """
    own = _pairs(resource, ("code", "codeCodeableConcept", "medicationCodeableConcept"))
    for element, inside in _CODED_PARTS.get(resource["resourceType"], ()):
        own = own.union(*(_pairs(each, (inside,)) for each in resource.get(element, ())))
    inner = own.union(*(_pairs(each, ("code",)) for each in resource.get("component", ())))
    return own, inner


def _pairs(node: Mapping[str, Any], elements: Sequence[str]) -> Codes:
    concepts = [node[element] for element in elements if isinstance(node.get(element), dict)]
    return frozenset(
        (str(coding["system"]), str(coding["code"]))
        for concept in concepts
        for coding in concept.get("coding", ())
        if "system" in coding and "code" in coding
    )
