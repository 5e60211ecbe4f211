"""Code systems as the terminology service reads them (FHIR R4 CodeSystem, section 4.8)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Values of the property `status` with which a code is kept for old data only (R4 section 4.8.11, V3 and V2 tables).
_RETIRED = frozenset({"retired", "deprecated", "inactive"})
_ABSTRACT = frozenset({"notSelectable", "abstract"})


@dataclass(slots=True, eq=False)
class Concept:
    """
    One code with what the system says of it.

    display      empty where the system gives it none, or it is not at hand
    parents      codes directly above it, by nesting or by the properties parent and child
    properties   as in CodeSystem.concept.property
    """

    code: str
    display: str
    parents: list[str] = field(default_factory=list)
    designations: Sequence[Mapping[str, Any]] = ()
    properties: Sequence[Mapping[str, Any]] = ()
    definition: str = ""

    @property
    def is_abstract(self) -> bool:
        return any(p["code"] in _ABSTRACT and p.get("valueBoolean") is True for p in self.properties)

    @property
    def is_inactive(self) -> bool:
        return any(
            (p["code"] == "inactive" and p.get("valueBoolean") is True)
            or (p["code"] == "status" and (p.get("valueCode") or p.get("valueString")) in _RETIRED)
            for p in self.properties
        )


@dataclass(slots=True, eq=False)
class CodeSystem:
    """
    A code system with its concepts in the order of the definition.

    content  as in CodeSystem.content; only of a `complete` one is it known which codes there are
    """

    url: str
    version: str
    name: str
    content: str
    is_case_sensitive: bool
    concepts: dict[str, Concept]
    children: dict[str, list[str]] = field(default_factory=dict)
    folded: dict[str, str] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return self.content == "complete"

    @property
    def holds_codes(self) -> bool:
        return self.content in ("complete", "fragment", "example")

    def find(self, code: str) -> Concept | None:
        """The concept of a code; in any case of letters where the system does not tell them apart."""
        found = self.concepts.get(code)
        if found is None and not self.is_case_sensitive:
            found = self.concepts.get(self.folded.get(code.lower(), ""))
        return found

    def ancestors(self, code: str) -> set[str]:
        """Every code above this one; itself only where the definition has a circle."""
        return _reached(code, lambda name: self.concepts[name].parents if name in self.concepts else ())

    def descendants(self, code: str) -> set[str]:
        """Every code below this one."""
        return _reached(code, lambda name: self.children.get(name, ()))


def _reached(start: str, steps: Callable[[str], Sequence[str]]) -> set[str]:
    reached: set[str] = set()
    ahead = list(steps(start))
    while ahead:
        here = ahead.pop()
        if here not in reached:
            reached.add(here)
            ahead += steps(here)
    return reached


def read_code_system(resource: Mapping[str, Any]) -> CodeSystem:
    """A valid CodeSystem resource as a CodeSystem."""
    concepts: dict[str, Concept] = {}
    for parent, concept in _nested(resource.get("concept", ()), None):
        _add(concepts, concept, parent)
    _link_by_property(concepts)
    system = CodeSystem(
        url=resource.get("url", ""),
        version=resource.get("version", ""),
        name=resource.get("title") or resource.get("name", ""),
        content=resource.get("content", ""),
        is_case_sensitive=resource.get("caseSensitive") is not False,
        concepts=concepts,
    )
    for code, known in concepts.items():
        for above in known.parents:
            system.children.setdefault(above, []).append(code)
    if not system.is_case_sensitive:
        system.folded = {code.lower(): code for code in concepts}
    return system


_Stated = Mapping[str, Any]


def _nested(concepts: Sequence[_Stated], parent: str | None) -> Iterator[tuple[str | None, _Stated]]:
    for concept in concepts:
        yield parent, concept
        yield from _nested(concept.get("concept", ()), concept.get("code"))


def _add(concepts: dict[str, Concept], concept: Mapping[str, Any], parent: str | None) -> None:
    code = concept.get("code")
    if code is None:
        return
    known = concepts.get(code)
    if known is None:
        known = concepts[code] = Concept(
            code,
            concept.get("display", ""),
            designations=concept.get("designation", ()),
            properties=concept.get("property", ()),
            definition=concept.get("definition", ""),
        )
    if parent is not None and parent not in known.parents:
        known.parents.append(parent)


def _link_by_property(concepts: Mapping[str, Concept]) -> None:
    """Several parents are told by the properties parent, subsumedBy and child."""
    for code, concept in concepts.items():
        for stated in concept.properties:
            other = str(stated.get("valueCode"))
            if other not in concepts:
                continue
            if stated["code"] in ("parent", "subsumedBy") and other not in concept.parents:
                concept.parents.append(other)
            if stated["code"] == "child" and code not in concepts[other].parents:
                concepts[other].parents.append(code)
