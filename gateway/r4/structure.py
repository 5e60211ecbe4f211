"""Element by element, is the shape right (FHIR R4 datatypes, JSON representation)?

This walk is the authority on structure and writes the findings; the JSON schema of schema.py only answers
the common case sooner.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gateway.r4.definitions import TYPES, Element, Slot, Structure, structures
from gateway.r4.issues import Issue
from gateway.r4.primitives import PRIMITIVES, RUNS, has_format, has_json_type, is_too_long
from gateway.r4.references import ABSOLUTE, read_reference, type_of_canonical
from gateway.r4.value_sets import ValueSet, value_sets

Node = dict[str, object]
_RESOURCES = frozenset(TYPES)
_LINKS = frozenset({"canonical", "uri", "url"})
_CODINGS = frozenset({"CodeableConcept", "Coding"})
# Short texts that many programs print as they are. What people say in their own words is kept, whatever it holds.
_LABELS = frozenset({"HumanName", "Address", "ContactPoint", "Identifier", "Coding"})
_SD = "http://hl7.org/fhir/StructureDefinition/"
_ABSOLUTE = re.compile(ABSOLUTE)
_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")
MOST_ISSUES = 100
"""More would not help anybody, and a hostile body could ask for millions."""
# A longer list would hide the point of the sentence.
_LISTED_CODES = 24


@dataclass(slots=True)
class Walk:
    """
    What one walk over a resource has found.

    nested      (path, resource) of every Resource inside: contained, Bundle entries, Parameters
    local       (path, text) of every reference, canonical or uri that starts with '#'
    """

    issues: list[Issue] = field(default_factory=list)
    nested: list[tuple[str, Node]] = field(default_factory=list)
    local: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.issues) >= MOST_ISSUES

    def refuse(self, code: str, path: str, text: str) -> None:
        if not self.is_full:
            self.issues.append(Issue("error", code, path, text))


def check_structure(node: Node, type_name: str, path: str, walk: Walk) -> None:
    """Walk one resource, data type or nested element and put what is wrong into the walk."""
    structure = structures()[type_name]
    if not node:
        walk.refuse("structure", path, "An object must not be empty.")
        return
    for key, value in node.items():
        slot = structure.slots.get(key)
        if slot is not None:
            _check_slot(value, node, slot, f"{path}.{slot.element.label}", walk)
            if slot.type == "Extension" and type_name != "Extension":
                _check_extension_urls(value, f"{path}.{slot.element.label}", walk)
        elif key != "resourceType" or type_name not in _RESOURCES:
            _refuse_unknown(key, structure, path, walk)
    for element in structure.elements:
        _check_cardinality(node, element, path, walk)
    _check_type_rules(node, structure, path, walk)


def _check_slot(value: object, node: Node, slot: Slot, path: str, walk: Walk) -> None:
    if value is None:
        walk.refuse("structure", path, "null is not allowed here; leave the element out.")
    elif slot.element.is_many:
        _check_array(value, node, slot, path, walk)
    elif isinstance(value, list):
        walk.refuse("structure", path, "This element occurs at most once; it must not be an array.")
    else:
        _check_value(value, slot, path, slot.is_shadow and slot.key[1:] not in node, walk)


def _check_array(value: object, node: Node, slot: Slot, path: str, walk: Walk) -> None:
    if not isinstance(value, list):
        walk.refuse("structure", path, "This element repeats; it must be an array.")
        return
    if not value:
        walk.refuse("structure", path, "An array must not be empty.")
    partner = _partner(node, slot)
    if partner is not None and len(partner) != len(value):
        walk.refuse("structure", path, "The values and their extensions must be arrays of the same length.")
        return
    for index, item in enumerate(value):
        if item is not None:
            is_alone = partner is None or partner[index] is None
            _check_value(item, slot, f"{path}[{index}]", slot.is_shadow and is_alone, walk)
        elif partner is None or partner[index] is None:
            walk.refuse("structure", f"{path}[{index}]", "null is allowed only beside an extension.")


def _check_extension_urls(value: object, path: str, walk: Walk) -> None:
    """Only extensions of extensions have urls that are relative, to the one around them."""
    for index, extension in enumerate(value if isinstance(value, list) else ()):
        url = extension.get("url") if isinstance(extension, dict) else None
        if isinstance(url, str) and not _ABSOLUTE.match(url):
            walk.refuse("value", f"{path}[{index}].url", "The url of an extension must be absolute.")


def _partner(node: Node, slot: Slot) -> list[object] | None:
    """The array beside this one: the extensions of these values, or the values of these extensions."""
    if slot.type not in PRIMITIVES:
        return None
    other = node.get(slot.key[1:] if slot.is_shadow else "_" + slot.key)
    return other if isinstance(other, list) else None


def _check_value(value: object, slot: Slot, path: str, is_alone: bool, walk: Walk) -> None:
    """is_alone: these are the extensions of a value that is absent."""
    if slot.is_shadow:
        _check_object(value, "Element", path, walk)
        if is_alone and isinstance(value, dict) and value.keys() == {"id"}:
            _refuse_only_id(path, walk)
    elif slot.type in PRIMITIVES:
        _check_primitive(value, slot, path, walk)
    elif slot.type == "Resource":
        _note_resource(value, path, walk)
    elif _check_object(value, slot.type, path, walk):
        _check_bound_concept(value, slot, path, walk)
        if slot.type == "Reference":
            _check_reference(value, slot.targets, path, walk)


def _check_object(value: object, type_name: str, path: str, walk: Walk) -> bool:
    if not isinstance(value, dict):
        walk.refuse("structure", path, f"This must be an object ({type_name}).")
        return False
    check_structure(value, type_name, path, walk)
    return True


def _note_resource(value: object, path: str, walk: Walk) -> None:
    if isinstance(value, dict):
        walk.nested.append((path, value))
    else:
        walk.refuse("structure", path, "This must be a resource (an object with resourceType).")


def _check_primitive(value: object, slot: Slot, path: str, walk: Walk) -> None:
    primitive = PRIMITIVES[slot.type]
    if not has_json_type(primitive, value):
        walk.refuse("structure", path, f"This must be a JSON {primitive.json}: {primitive.says} ({slot.type}).")
    elif is_too_long(primitive, value):
        walk.refuse("too-long", path, "A string must not be longer than 1048576 characters.")
    elif isinstance(value, str | int | float) and not has_format(primitive, value):
        walk.refuse("value", path, f"This is not {primitive.says} ({slot.type}).")
    elif isinstance(value, str):
        _check_bound_code(value, slot, path, walk)
        _check_text(value, slot, path, walk)
        if value.startswith("#") and (slot.type in _LINKS or slot.element.path == "Reference.reference"):
            walk.local.append((path, value))


def _check_text(value: str, slot: Slot, path: str, walk: Walk) -> None:
    if slot.type == "string" and slot.element.path.partition(".")[0] in _LABELS and RUNS.search(value):
        walk.refuse("value", path, "A name or label must not hold markup that runs or loads something.")
    if slot.type == "canonical" and slot.targets and (found := type_of_canonical(value)) not in ("", *slot.targets):
        walk.refuse("structure", path, f"{found} is not allowed here; allowed: {', '.join(slot.targets)}.")


def _check_bound_code(value: str, slot: Slot, path: str, walk: Walk) -> None:
    if not slot.element.value_set:
        return
    value_set = value_sets()[slot.element.value_set]
    if not value_set.has_code(value):
        walk.refuse("code-invalid", path, f"The code is not in the required value set {_describe(value_set)}.")


def _check_bound_concept(value: object, slot: Slot, path: str, walk: Walk) -> None:
    if not slot.element.value_set or not isinstance(value, dict) or slot.type not in _CODINGS:
        return
    value_set = value_sets()[slot.element.value_set]
    codings = value.get("coding", []) if slot.type == "CodeableConcept" else [value]
    if slot.element.is_maximum and not codings:
        return
    if not any(value_set.has_coding(c.get("system"), c.get("code")) for c in _objects(codings)):
        walk.refuse("code-invalid", path, f"No coding is in the required value set {_describe(value_set)}.")


def _describe(value_set: ValueSet) -> str:
    codes = sorted(value_set.codes)
    if not codes or len(codes) > _LISTED_CODES:
        return value_set.url
    return f"{value_set.url} ({', '.join(codes)})"


def _check_reference(value: object, targets: tuple[str, ...], path: str, walk: Walk) -> None:
    if not isinstance(value, dict):
        return
    claimed, text = value.get("type"), value.get("reference")
    target = read_reference(text) if isinstance(text, str) else None
    if isinstance(text, str) and target is None:
        walk.refuse("value", f"{path}.reference", "This is not Type/id, an absolute URL, a urn or #id.")
    for place, found in ((f"{path}.reference", target.type if target else ""), (f"{path}.type", claimed)):
        if targets and isinstance(found, str) and found in _RESOURCES and found not in targets:
            walk.refuse("structure", place, f"{found} is not allowed here; allowed: {', '.join(targets)}.")
    if target and target.type and isinstance(claimed, str) and claimed not in (target.type, _SD + target.type):
        walk.refuse("structure", f"{path}.type", "The type differs from the type in the reference.")


def _refuse_unknown(key: str, structure: Structure, path: str, walk: Walk) -> None:
    if _NAME.fullmatch(key):
        walk.refuse("structure", f"{path}.{key}", f"{structure.name} has no element of this name in FHIR R4.")
    else:
        walk.refuse("structure", path, f"{structure.name} holds a key that is not the name of an element.")


def _check_cardinality(node: Node, element: Element, path: str, walk: Walk) -> None:
    if not element.is_choice:
        if element.is_required and element.name not in node and "_" + element.name not in node:
            walk.refuse("required", f"{path}.{element.name}", "This element is required.")
        return
    present = _choices(node, element)
    if len(present) > 1:
        walk.refuse("structure", f"{path}.{element.label}", f"Only one {element.name} is allowed.")
    elif element.is_required and not present:
        kinds = ", ".join(ref.code for ref in element.types)
        walk.refuse("required", f"{path}.{element.label}", f"{element.name} is required; types: {kinds}.")


def _choices(node: Node, element: Element) -> set[str]:
    return {name for key in node if (name := key.removeprefix("_")) in element.keys}


def _check_type_rules(node: Node, structure: Structure, path: str, walk: Walk) -> None:
    if node.keys() == {"id"} and structure.name not in _RESOURCES and structure.name != "Element":
        _refuse_only_id(path, walk)
    if structure.value_set and "code" in node:
        value_set = value_sets()[structure.value_set]
        if not value_set.has_code(node["code"]):
            walk.refuse("code-invalid", f"{path}.code", f"The unit is not in the value set {value_set.url}.")


def _refuse_only_id(path: str, walk: Walk) -> None:
    walk.refuse("invariant", path, "ele-1: an element must have a value or children besides its id.")


def _objects(values: object) -> Iterator[Node]:
    if isinstance(values, Iterable):
        yield from (value for value in values if isinstance(value, dict))
