"""The R4 types and their elements, loaded once from the fact tables (facts/README.md)."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gateway.r4.primitives import PRIMITIVES

FACTS = Path(__file__).parent / "facts"


def rows(name: str) -> Iterator[dict[str, str]]:
    """The rows of one fact table, by column name."""
    with (FACTS / name).open(encoding="utf-8", newline="") as table:
        yield from csv.DictReader(table)


_RESOURCE_ROWS = tuple(rows("resource-types.csv"))
TYPES: tuple[str, ...] = tuple(row["name"] for row in _RESOURCE_ROWS)
"""The concrete resource types; the order is append-only, because ids are stored."""
_IDS = {row["name"]: int(row["id"]) for row in _RESOURCE_ROWS}
_NAMES = {number: name for name, number in _IDS.items()}


def type_id(name: str) -> int:
    """The small stable number of a resource type, from 1; KeyError when it is not a resource type of R4."""
    return _IDS[name]


def type_name(number: int) -> str:
    """The resource type of a number; KeyError when there is none."""
    return _NAMES[number]


def is_resource_type(name: object) -> bool:
    """Whether the name is one of the concrete resource types of R4."""
    return isinstance(name, str) and name in _IDS


@dataclass(frozen=True, slots=True)
class TypeRef:
    """One type an element may have: Reference with its targets, Quantity with its profile, or a plain name."""

    code: str
    targets: tuple[str, ...] = ()
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Element:
    """
    One element of a structure; name is the FHIR name, value[x] for a choice.

    keys        its JSON keys without underscore: valueString, valueQuantity, ... for a choice
    value_set   of a required binding, or the maximum value set of a weaker one (is_maximum: then a concept
                may do without codes)
    """

    path: str
    name: str
    keys: frozenset[str]
    is_required: bool
    is_many: bool
    types: tuple[TypeRef, ...]
    same_as: str
    value_set: str
    is_maximum: bool
    is_modifier: bool
    is_summary: bool

    @property
    def is_choice(self) -> bool:
        return self.name.endswith("[x]")

    @property
    def label(self) -> str:
        """The name in a path: value for value[x]."""
        return self.name.removesuffix("[x]")


@dataclass(frozen=True, slots=True)
class Slot:
    """
    One JSON key of a structure.

    type       a primitive, a structure (Identifier, Patient.contact) or Resource
    is_shadow  the key starts with an underscore and carries id and extensions of a primitive
    """

    key: str
    element: Element
    type: str
    targets: tuple[str, ...]
    is_shadow: bool = False


@dataclass(frozen=True, slots=True)
class Structure:
    """A resource, a data type or a nested element, with everything it inherits."""

    name: str
    base: str
    elements: tuple[Element, ...]
    slots: dict[str, Slot]
    value_set: str = ""


# Plain strings of FHIRPath's own System.String, which carry no id and no extensions.
_BARE = frozenset({"Element.id", "Resource.id", "Extension.url", "Narrative.div"})


def _type_refs(text: str) -> tuple[TypeRef, ...]:
    return tuple(_type_ref(part) for part in text.split(",")) if text else ()


def _type_ref(text: str) -> TypeRef:
    if text.endswith(")"):
        code, _, targets = text[:-1].partition("(")
        listed = tuple(targets.split("|"))
        return TypeRef(code, () if listed == ("Resource",) else listed)
    if text.endswith(">"):
        code, _, profile = text[:-1].partition("<")
        return TypeRef(code, profile=profile)
    return TypeRef(text)


def _element(row: dict[str, str]) -> Element:
    name = row["path"].rpartition(".")[2]
    types = _type_refs(row["types"])
    stem = name.removesuffix("[x]")
    return Element(
        path=row["path"],
        name=name,
        keys=frozenset({name} if stem == name else {stem + t.code[0].upper() + t.code[1:] for t in types}),
        is_required=row["min"] != "0",
        is_many=row["max"] == "*",
        types=types,
        same_as=row["same_as"],
        value_set=row["value_set"],
        is_maximum="X" in row["flags"],
        is_modifier="M" in row["flags"],
        is_summary="S" in row["flags"],
    )


def _own_elements() -> tuple[dict[str, list[Element]], dict[str, str]]:
    """The elements by the path of their parent, and the value sets bound to a whole type."""
    children: dict[str, list[Element]] = {}
    bound: dict[str, str] = {}
    for row in rows("elements.csv"):
        parent = row["path"].rpartition(".")[0]
        if parent:
            children.setdefault(parent, []).append(_element(row))
        else:
            bound[row["path"]] = row["value_set"]
    return children, bound


def _slots(elements: tuple[Element, ...], nested: frozenset[str]) -> dict[str, Slot]:
    slots: dict[str, Slot] = {}
    for element in elements:
        for key, slot_type, targets in _keys(element, nested):
            slots[key] = Slot(key, element, slot_type, targets)
            if slot_type in PRIMITIVES and element.path not in _BARE:
                slots["_" + key] = Slot("_" + key, element, slot_type, (), is_shadow=True)
    return slots


def _keys(element: Element, nested: frozenset[str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    if element.same_as:
        yield element.name, element.same_as, ()
    elif element.path in nested:
        yield element.name, element.path, ()
    elif element.is_choice:
        for ref in element.types:
            yield element.label + ref.code[0].upper() + ref.code[1:], ref.profile or ref.code, ref.targets
    else:
        ref = element.types[0]
        yield element.name, ref.profile or ref.code, ref.targets


@cache
def structures() -> dict[str, Structure]:
    """Every structure by name: Patient, Patient.contact, Identifier, SimpleQuantity, ..."""
    children, bound = _own_elements()
    bases = {row["name"]: row["base"] for row in (*_RESOURCE_ROWS, *rows("data-types.csv"))}
    nested = frozenset(path for path in children if "." in path)
    for element in (e for group in children.values() for e in group if e.path in nested):
        bases[element.path] = element.types[0].code
    built = {name: _structure(name, bases, children, bound.get(name, ""), nested) for name in bases}
    built["SimpleQuantity"] = _without(built["Quantity"], "SimpleQuantity", "comparator")
    return built


def _structure(
    name: str, bases: dict[str, str], children: dict[str, list[Element]], value_set: str, nested: frozenset[str]
) -> Structure:
    lineage = [name]
    while bases.get(lineage[-1]):
        lineage.append(bases[lineage[-1]])
    elements = tuple(e for ancestor in reversed(lineage) for e in children.get(ancestor, ()))
    return Structure(name, bases[name], elements, _slots(elements, nested), value_set)


def _without(structure: Structure, name: str, removed: str) -> Structure:
    elements = tuple(e for e in structure.elements if e.name != removed)
    return Structure(name, structure.name, elements, _slots(elements, frozenset()))
