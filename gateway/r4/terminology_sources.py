"""Where the terminology engine finds definitions: the specification first, then what the caller has brought."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.r4.code_systems import CodeSystem, read_code_system
from gateway.r4.languages import is_language_tag
from gateway.r4.terminology import Resource, specification
from gateway.r4.terminology_errors import NotHeld, UnknownDefinition, Unusable, Wanted
from gateway.r4.ucum import SYSTEM as UCUM
from gateway.r4.ucum import is_unit
from gateway.r4.value_sets import value_sets

# Code systems without a list, whose codes a grammar or a registry decides.
_GRAMMARS: dict[str, Callable[[str], bool]] = {
    UCUM: is_unit,
    "urn:ietf:bcp:47": is_language_tag,
    "urn:ietf:bcp:13": value_sets()["mimetypes"].has_code,
}

T = TypeVar("T")
Key = tuple[str, str, str]
Find = Callable[[str, str, str], Awaitable[Resource | None]]
"""(type, url, version or empty) to the definition that whoever asks may see, the latest; None where there is none."""
_MOST_FOUND = 100
"""Definitions that one question may look for."""


def split_canonical(canonical: str) -> tuple[str, str]:
    """url and version of `url|version`."""
    url, _, version = canonical.partition("|")
    return url, version


@dataclass(slots=True)
class Definitions:
    """
    What one question may use.

    brought  by (type, url, version asked for): a resource that the caller found, or None where there is none
    """

    brought: dict[Key, Mapping[str, Any] | None] = field(default_factory=dict)
    _systems: dict[tuple[str, str], CodeSystem] = field(default_factory=dict)

    def code_system(self, url: str, version: str = "") -> CodeSystem:
        """
        The code system of a URL.

        raises  Wanted, UnknownDefinition where there is none, NotHeld where its codes are not on this server
        """
        found = self._code_system(url, version)
        if not found.holds_codes:
            raise NotHeld("The codes of this code system are not on this server.")
        return found

    def value_set(self, canonical: str) -> Resource:
        """The ValueSet of a URL or url|version; also the implicit one of all codes of a system."""
        url, version = split_canonical(canonical)
        known = specification().value_sets.get(url)
        if known is not None and version in ("", known.get("version")):
            return known
        return self._brought("ValueSet", url, version)

    def concept_map(self, canonical: str) -> Resource:
        """The ConceptMap of a URL or url|version."""
        url, version = split_canonical(canonical)
        known = specification().concept_maps.get(url)
        if known is not None and version in ("", known.get("version", "")):
            return known
        return self._brought("ConceptMap", url, version)

    def judges(self, system: str, code: str) -> bool | None:
        """Whether a system that has a grammar instead of a list has the code; None for every other system."""
        judge = _GRAMMARS.get(system)
        return None if judge is None else judge(code)

    def _code_system(self, url: str, version: str) -> CodeSystem:
        known = specification().code_systems.get(url)
        if known is not None and known.holds_codes and version in ("", known.version):
            return known
        if known is not None and not known.holds_codes and self._is_absent(("CodeSystem", url, version)):
            # The specification names the system without its codes, and nobody has brought them.
            return known
        if (url, version) not in self._systems:
            self._systems[url, version] = read_code_system(self._brought("CodeSystem", url, version))
        return self._systems[url, version]

    def _is_absent(self, key: Key) -> bool:
        return key in self.brought and self.brought[key] is None

    def _brought(self, type: str, url: str, version: str) -> Mapping[str, Any]:
        key = (type, url, version)
        if key not in self.brought:
            raise Wanted(*key)
        found = self.brought[key]
        if found is None:
            raise UnknownDefinition(f"This server has no {type} with this URL and version.")
        return found


async def answered(question: Callable[[], T], sources: Definitions, find: Find) -> T:
    """
    The answer to a question of the engine; each definition that it wants is found first.

    question  uses sources and nothing else that can change
    raises    what the question raises but Wanted; Unusable where it wants too many
    """
    for _ in range(_MOST_FOUND):
        try:
            # The specification's own definitions are small; what was brought may be of any size.
            return await asyncio.to_thread(question) if sources.brought else question()
        except Wanted as wanted:
            key = (wanted.type, wanted.url, wanted.version)
            sources.brought[key] = await find(*key)
    raise Unusable("The definition uses too many others.")
