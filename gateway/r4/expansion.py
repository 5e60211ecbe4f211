"""The expansion of a ValueSet: filtered, paged, written as FHIR (R4 ValueSet, operation expand)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.r4.terminology_sources import Definitions
from gateway.r4.value_set_members import Member, members

MOST_AT_ONCE = 5_000
"""Codes in one answer where the client sets no count; more are told by total, and fetched by offset."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """
    What the client asks of an expansion.

    text      words that each must begin a word of a display or designation, or be part of the code
    count     at most so many codes; None leaves it to the server, 0 asks for the total alone
    language  displays in this language where there are such
    """

    text: str = ""
    offset: int = 0
    count: int | None = None
    active_only: bool = False
    for_choosing: bool = False
    with_designations: bool = False
    with_definition: bool = False
    language: str = ""
    excluded_systems: tuple[str, ...] = ()


def expand(value_set: Mapping[str, Any], wishes: Wishes, sources: Definitions) -> dict[str, Any]:
    """
    The ValueSet with its expansion; `identifier` and `timestamp` are left to the caller.

    raises  Wanted, UnknownDefinition, CannotEnumerate, Unusable
    """
    found = [each for each in members(value_set, sources, wishes.excluded_systems) if _is_wanted(each, wishes)]
    size = MOST_AT_ONCE if wishes.count is None else wishes.count
    page = found[wishes.offset : wishes.offset + size]
    kept = ("url", "version", "name", "title", *(("compose",) if wishes.with_definition else ()))
    return {
        "resourceType": "ValueSet",
        **{key: value_set[key] for key in kept if key in value_set},
        "status": value_set.get("status", "active"),
        "expansion": {
            "total": len(found),
            "offset": wishes.offset,
            **_unless_empty("parameter", [*_stated(wishes), *_used(found)]),
            **_unless_empty("contains", [_written(each, wishes) for each in page]),
        },
    }


def _unless_empty(name: str, listed: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: listed} if listed else {}


def _is_wanted(member: Member, wishes: Wishes) -> bool:
    concept = member.concept
    if wishes.active_only and concept.is_inactive:
        return False
    if wishes.for_choosing and concept.is_abstract:
        return False
    return not wishes.text or _has_words(member, wishes.text)


def _has_words(member: Member, text: str) -> bool:
    concept = member.concept
    names = [concept.display, *(str(each.get("value", "")) for each in concept.designations)]
    words = [word for name in names for word in name.casefold().split()]
    code = concept.code.casefold()
    return all(wanted in code or any(word.startswith(wanted) for word in words) for wanted in text.casefold().split())


def named(display: str, designations: Sequence[Mapping[str, Any]], language: str) -> str:
    """The display in a language (`de` also takes `de-CH`), else the display itself."""
    for each in designations:
        tag = str(each.get("language", "")).lower()
        if language and "value" in each and (tag == language.lower() or tag.startswith(language.lower() + "-")):
            return str(each["value"])
    return display


def _written(member: Member, wishes: Wishes) -> dict[str, Any]:
    concept = member.concept
    written: dict[str, Any] = {"system": member.system} if member.system else {}
    if concept.is_abstract:
        written["abstract"] = True
    if concept.is_inactive:
        written["inactive"] = True
    if member.version:
        written["version"] = member.version
    written["code"] = concept.code
    if display := named(concept.display, concept.designations, wishes.language):
        written["display"] = display
    if wishes.with_designations and concept.designations:
        written["designation"] = [dict(each) for each in concept.designations]
    return written


def _stated(wishes: Wishes) -> list[dict[str, Any]]:
    """The parameters that shaped this expansion."""
    given = (
        ("filter", "valueString", wishes.text),
        ("count", "valueInteger", wishes.count),
        ("activeOnly", "valueBoolean", wishes.active_only),
        ("excludeNotForUI", "valueBoolean", wishes.for_choosing),
        ("includeDesignations", "valueBoolean", wishes.with_designations),
        ("displayLanguage", "valueCode", wishes.language),
    )
    stated = [{"name": name, key: value} for name, key, value in given if value or (value == 0 and value is not False)]
    return stated + [{"name": "exclude-system", "valueCanonical": url} for url in wishes.excluded_systems]


def _used(found: Sequence[Member]) -> list[dict[str, Any]]:
    """Which versions of code systems the codes come from."""
    versions = dict.fromkeys(f"{each.system}|{each.version}" for each in found if each.system and each.version)
    return [{"name": "version", "valueUri": version} for version in versions]
