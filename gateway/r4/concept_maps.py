"""Translation by a ConceptMap (FHIR R4 ConceptMap, section 4.10, operation translate)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.r4.terminology_sources import Definitions

Stated = Mapping[str, Any]
# Read from the target to the source, these turn round; the others say the same both ways.
_TURNED = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}
_NO_MATCH = frozenset({"unmatched", "disjoint"})


@dataclass(frozen=True, slots=True)
class Match:
    """One translation; source is the canonical URL of the map that has it."""

    equivalence: str
    system: str
    code: str
    display: str
    source: str

    @property
    def is_match(self) -> bool:
        return self.equivalence not in _NO_MATCH


def translate(
    concept_map: Stated,
    system: str,
    code: str,
    sources: Definitions,
    *,
    target_system: str = "",
    is_reverse: bool = False,
) -> list[Match]:
    """
    What a code is translated to; empty where the map says nothing of it.

    system         of the code; empty: any source of the map
    target_system  only translations into this one; empty: into any
    is_reverse     from target to source
    raises         Wanted, UnknownDefinition
    """
    asked = _Translation(sources, target_system, is_reverse)
    return list(asked.by(concept_map, system, code))


@dataclass(slots=True)
class _Translation:
    sources: Definitions
    target_system: str
    is_reverse: bool
    visited: set[str] = field(default_factory=set)

    def by(self, concept_map: Stated, system: str, code: str) -> Iterator[Match]:
        for group in concept_map.get("group", ()):
            came_from, leads_to = group.get("source", ""), group.get("target", "")
            if self.is_reverse:
                came_from, leads_to = leads_to, came_from
            if system and came_from and system != came_from:
                continue
            if self.target_system and leads_to and leads_to != self.target_system:
                continue
            found = list(self._mapped(group, code, leads_to, concept_map.get("url", "")))
            yield from found
            if not found and not self.is_reverse and not _is_listed(group, code):
                yield from self._unmapped(group, system, code, concept_map)

    def _mapped(self, group: Stated, code: str, leads_to: str, url: str) -> Iterator[Match]:
        for element in group.get("element", ()):
            for target in element.get("target", ()):
                equivalence = target.get("equivalence", "")
                if not self.is_reverse and element.get("code") == code:
                    yield Match(equivalence, leads_to, target.get("code", ""), target.get("display", ""), url)
                if self.is_reverse and target.get("code") == code:
                    turned = _TURNED.get(equivalence, equivalence)
                    yield Match(turned, leads_to, element.get("code", ""), element.get("display", ""), url)

    def _unmapped(self, group: Stated, system: str, code: str, concept_map: Stated) -> Iterator[Match]:
        """What the group says of codes that it does not list (ConceptMap.group.unmapped)."""
        unmapped = group.get("unmapped", {})
        url = concept_map.get("url", "")
        if unmapped.get("mode") == "provided":
            yield Match("equal", group.get("target", ""), code, "", url)
        if unmapped.get("mode") == "fixed" and "code" in unmapped:
            yield Match("inexact", group.get("target", ""), unmapped["code"], unmapped.get("display", ""), url)
        if unmapped.get("mode") == "other-map" and "url" in unmapped:
            yield from self._by_other(unmapped["url"], system, code)

    def _by_other(self, url: str, system: str, code: str) -> Iterator[Match]:
        """Each map is read once: maps may refer to each other in a circle."""
        if url not in self.visited:
            self.visited.add(url)
            yield from self.by(self.sources.concept_map(url), system, code)


def _is_listed(group: Stated, code: str) -> bool:
    return any(element.get("code") == code for element in group.get("element", ()))


def is_between(concept_map: Stated, source: str, target: str) -> bool:
    """Whether a map is from one value set to another, by its canonicals; an empty side takes any."""
    return all(
        not wanted or wanted in (concept_map.get(f"{side}Canonical"), concept_map.get(f"{side}Uri"))
        for side, wanted in (("source", source), ("target", target))
    )
