"""The terminology that the FHIR specification itself defines, read once from the fact tables (facts/README.md).

Part of it only: the tables hold the definitions that were at hand, and the codes of every required binding.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from gateway.r4.code_systems import CodeSystem, read_code_system
from gateway.r4.definitions import FACTS
from gateway.r4.value_sets import ValueSet, value_sets

Resource = Mapping[str, Any]
_VERSION = "4.0.1"


@dataclass(frozen=True, slots=True)
class Terminology:
    """
    Definitions by canonical URL without version.

    code_systems   read for look-up
    value_sets     ValueSet resources: facts only, no prose
    concept_maps   ConceptMap resources, likewise
    """

    code_systems: Mapping[str, CodeSystem]
    value_sets: Mapping[str, Resource]
    concept_maps: Mapping[str, Resource]


@cache
def specification() -> Terminology:
    """What the tables hold; read when first asked for."""
    systems = {system.url: system for system in map(read_code_system, _resources("code-systems.json"))}
    sets: dict[str, Resource] = {each["url"]: each for each in _resources("value-set-definitions.json")}
    for url, listed in _required_value_sets(systems).items():
        if url not in sets or not _is_held(sets[url], systems):
            sets[url] = listed
    for url, partly in _partly_known(systems).items():
        systems[url] = partly
    maps = {each["url"]: each for each in _resources("concept-maps.json")}
    return Terminology(systems, sets, maps)


def _resources(name: str) -> list[dict[str, Any]]:
    resources: list[dict[str, Any]] = orjson.loads((FACTS / name).read_bytes())
    return resources


def _required_value_sets(systems: Mapping[str, CodeSystem]) -> dict[str, Resource]:
    """The value sets of required bindings, as lists of their codes, or as all codes of an open system."""
    return {
        each.url: {
            "resourceType": "ValueSet",
            "url": each.url,
            "version": _VERSION,
            "name": each.name.rpartition("/")[2],
            "status": "active",
            "compose": {"include": list(_includes(each, systems))},
        }
        for each in value_sets().values()
        if each.by_system or each.system
    }


def _includes(value_set: ValueSet, systems: Mapping[str, CodeSystem]) -> Iterator[dict[str, Any]]:
    if value_set.system:
        yield {"system": value_set.system}
    for system, codes in value_set.by_system.items():
        known = systems[system].concepts if system in systems else {}
        in_order = [code for code in known if code in codes] + sorted(codes - known.keys())
        yield {"system": system, "concept": [{"code": code} for code in in_order]}


def _is_held(value_set: Resource, systems: Mapping[str, CodeSystem]) -> bool:
    """Whether all that a definition takes its codes from is in the tables."""
    return all(
        "concept" in part or (part.get("system") in systems and systems[part["system"]].is_complete)
        for part in value_set.get("compose", {}).get("include", ())
    )


def _partly_known(known: Mapping[str, CodeSystem]) -> dict[str, CodeSystem]:
    """The systems of which only the codes in required bindings are at hand: fragments, without displays."""
    codes: dict[str, set[str]] = {}
    for each in value_sets().values():
        for system, members in each.by_system.items():
            if system not in known:
                codes.setdefault(system, set()).update(members)
    return {url: _fragment(url, members) for url, members in codes.items()}


def _fragment(url: str, codes: set[str]) -> CodeSystem:
    concepts = [{"code": code} for code in sorted(codes)]
    return read_code_system({"url": url, "content": "fragment", "concept": concepts})
