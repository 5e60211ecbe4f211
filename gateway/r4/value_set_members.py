"""The members of a ValueSet: all of them, or whether a code is one (FHIR R4 ValueSet, sections 4.9.5 and 4.9.8)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.r4.code_systems import CodeSystem, Concept
from gateway.r4.terminology_errors import CannotEnumerate, NotHeld, UnknownDefinition, Unusable
from gateway.r4.terminology_sources import Definitions
from gateway.r4.value_set_filters import filter_test

MOST_MEMBERS = 20_000
"""A value set with more is not enumerated: the answer would be of no use to a person, and would hold others up."""
_TOO_MANY = f"The value set has more than {MOST_MEMBERS} codes; narrow it."
_MOST_NESTED = 16

Key = tuple[str, str]
Stated = Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Member:
    """One code of a value set; version is that of its system where it is known."""

    system: str
    version: str
    concept: Concept

    @property
    def key(self) -> Key:
        return self.system, self.concept.code


def members(value_set: Stated, sources: Definitions, excluded_systems: Sequence[str] = ()) -> list[Member]:
    """
    Every member, in the order of the definition.

    raises  Wanted, UnknownDefinition, CannotEnumerate, Unusable
    """
    found = _Enumeration(sources, frozenset(excluded_systems)).of(value_set)
    return list(found.values())


def _refuse_circle(canonical: str, open: set[str]) -> None:
    """Raises Unusable where an import leads back, or too deep."""
    if canonical in open or len(open) == _MOST_NESTED:
        raise Unusable("The value set imports itself, or imports too deep.")


class _Enumeration:
    """One walk over a value set and those that it imports."""

    def __init__(self, sources: Definitions, excluded_systems: frozenset[str]) -> None:
        self._sources = sources
        self._excluded_systems = excluded_systems
        self._known: dict[str, dict[Key, Member]] = {}
        self._open: set[str] = set()

    def of(self, value_set: Stated) -> dict[Key, Member]:
        compose = value_set.get("compose")
        if compose is None:
            return {member.key: member for member in _listed(value_set)}
        found: dict[Key, Member] = {}
        for part in compose.get("include", ()):
            for key, member in self._of_part(part).items():
                found.setdefault(key, member)
            if len(found) > MOST_MEMBERS:
                raise CannotEnumerate(_TOO_MANY)
        for part in compose.get("exclude", ()):
            for key in self._of_part(part):
                found.pop(key, None)
        if compose.get("inactive") is False:
            return {key: member for key, member in found.items() if not member.concept.is_inactive}
        return found

    def _of_part(self, part: Stated) -> dict[Key, Member]:
        """The codes of an include or exclude: those in its system and in every value set that it names."""
        sets = [self._imported(canonical) for canonical in part.get("valueSet", ())]
        own = self._of_system(part) if "system" in part else sets[0] if sets else {}
        return {key: member for key, member in own.items() if all(key in other for other in sets)}

    def _imported(self, canonical: str) -> dict[Key, Member]:
        if canonical not in self._known:
            _refuse_circle(canonical, self._open)
            self._open.add(canonical)
            self._known[canonical] = self.of(self._sources.value_set(canonical))
            self._open.remove(canonical)
        return self._known[canonical]

    def _of_system(self, part: Stated) -> dict[Key, Member]:
        url = part["system"]
        if url in self._excluded_systems:
            return {}
        if "concept" in part:
            if len(part["concept"]) > MOST_MEMBERS:
                raise CannotEnumerate(_TOO_MANY)
            return {(url, each["code"]): self._chosen(part, each) for each in part["concept"] if "code" in each}
        system = self._enumerable(url, part.get("version", ""))
        tests = [filter_test(system, each) for each in part.get("filter", ())]
        return {
            (url, concept.code): Member(url, system.version, concept)
            for concept in system.concepts.values()
            if all(test(concept) for test in tests)
        }

    def _chosen(self, part: Stated, chosen: Stated) -> Member:
        """A code that the value set lists, with what its system adds, where that is here."""
        url, code = part["system"], chosen["code"]
        try:
            system = self._sources.code_system(url, part.get("version", ""))
        except (UnknownDefinition, NotHeld):
            return Member(url, part.get("version", ""), _as_listed(chosen, None))
        return Member(url, system.version, _as_listed(chosen, system.find(code)))

    def _enumerable(self, url: str, version: str) -> CodeSystem:
        if self._sources.judges(url, "") is not None:
            raise CannotEnumerate("The value set has all codes of a system whose codes are made by a grammar.")
        try:
            system = self._sources.code_system(url, version)
        except (UnknownDefinition, NotHeld):
            raise CannotEnumerate("The value set uses a code system whose content is not on this server.") from None
        if not system.is_complete:
            raise CannotEnumerate("The value set uses a code system of which this server holds a part only.")
        return system


def _as_listed(chosen: Stated, known: Concept | None) -> Concept:
    code = chosen["code"]
    own = known or Concept(code, "")
    return Concept(
        code,
        chosen.get("display", own.display),
        own.parents,
        [*chosen.get("designation", ()), *own.designations],
        own.properties,
        own.definition,
    )


def _listed(value_set: Stated) -> Iterator[Member]:
    """The codes of a value set that came with its expansion alone."""
    if "expansion" not in value_set:
        raise CannotEnumerate("The value set has neither a definition of its content nor an expansion.")
    yield from _contained(value_set["expansion"].get("contains", ()))


def _contained(listed: Sequence[Stated]) -> Iterator[Member]:
    for each in listed:
        if "code" in each:
            flags = [
                {"code": code, "valueBoolean": True}
                for flag, code in (("abstract", "notSelectable"), ("inactive", "inactive"))
                if each.get(flag)
            ]
            concept = Concept(
                each["code"],
                each.get("display", ""),
                designations=each.get("designation", ()),
                properties=flags,
            )
            yield Member(each.get("system", ""), each.get("version", ""), concept)
        yield from _contained(each.get("contains", ()))


def is_member(value_set: Stated, system: str, code: str, sources: Definitions) -> bool:
    """
    Whether a code is in a value set, also in one that cannot be enumerated.

    system  empty: any system of the value set
    raises  Wanted, UnknownDefinition, NotHeld, CannotEnumerate, Unusable
    """
    return _Membership(sources).of(value_set, system, code)


class _Membership:
    def __init__(self, sources: Definitions) -> None:
        self._sources = sources
        self._known: dict[tuple[str, str], bool] = {}
        self._open: set[str] = set()

    def of(self, value_set: Stated, system: str, code: str) -> bool:
        compose = value_set.get("compose")
        if compose is None:
            return any(m.concept.code == code and system in ("", m.system) for m in _listed(value_set))
        if not any(self._has_part(part, system, code) for part in compose.get("include", ())):
            return False
        return not any(self._has_part(part, system, code) for part in compose.get("exclude", ()))

    def _has_part(self, part: Stated, system: str, code: str) -> bool:
        own = part.get("system", "")
        if own and system not in ("", own):
            return False
        if own and not self._has_own(part, own, code):
            return False
        return all(self._has_imported(canonical, system or own, code) for canonical in part.get("valueSet", ()))

    def _has_imported(self, canonical: str, system: str, code: str) -> bool:
        if (canonical, system) not in self._known:
            _refuse_circle(canonical, self._open)
            self._open.add(canonical)
            self._known[canonical, system] = self.of(self._sources.value_set(canonical), system, code)
            self._open.remove(canonical)
        return self._known[canonical, system]

    def _has_own(self, part: Stated, url: str, code: str) -> bool:
        if "concept" in part:
            return any(each.get("code") == code for each in part["concept"])
        judged = self._sources.judges(url, code)
        if judged is not None and "filter" not in part:
            return judged
        try:
            system = self._sources.code_system(url, part.get("version", ""))
        except UnknownDefinition:
            raise NotHeld("The value set uses a code system whose content is not on this server.") from None
        concept = system.find(code)
        if concept is None and not system.is_complete:
            raise NotHeld("This server holds a part of the code system only, and the code is not in it.")
        if concept is None:
            return False
        return all(filter_test(system, each)(concept) for each in part.get("filter", ()))
