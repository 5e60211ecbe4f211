"""A JSON schema that holds only for valid resources: the quick answer of the validator.

It is generated from the fact tables and is stricter than FHIR where strictness is cheap and rare: extensions with
an id, null in arrays, unusual URLs and the like. What it refuses goes to structure.py, which decides. What it
accepts needs no further look at structure, except in the resources inside; a test holds it to that.
"""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from gateway.r4.definitions import TYPES, Element, Slot, Structure, structures
from gateway.r4.primitives import MAX_STRING_LENGTH, PRIMITIVES, Primitive
from gateway.r4.references import ABSOLUTE, ID
from gateway.r4.value_sets import ValueSet, value_sets

Schema = dict[str, Any]

# An extension of anything but an extension: its url stands alone.
_OUTER = "Extension:outer"
# A choice of more types is exclusive by the number of properties, or left to the walk.
_WIDE_CHOICE = 20
# These structures hold one wide choice (and a given number of other elements) and nothing else.
_EXACT_SIZE = {"Extension": 2, "Parameters.parameter": 2, "Task.input": 2, "Task.output": 2}
_WIDE = frozenset(f"{name}.value[x]" for name in _EXACT_SIZE)


def compile_schema() -> jsonschema_rs.Draft4Validator:
    """
    One validator for all types; its instances are {type name: resource}.

    Draft 4, because there 1.0 is not an integer.
    """
    return jsonschema_rs.Draft4Validator(
        {
            "properties": {name: _ref(name) for name in TYPES},
            "additionalProperties": False,
            "definitions": _definitions(),
        },
        pattern_options=jsonschema_rs.RegexOptions(),
    )


def _definitions() -> Schema:
    definitions: Schema = {f"primitive:{p.name}": _primitive(p) for p in PRIMITIVES.values()}
    definitions[_OUTER] = {"allOf": [_ref("Extension"), {"properties": {"url": {"pattern": f"^{ABSOLUTE}"}}}]}
    definitions |= {f"codes:{vs.name}": _code(vs) for vs in value_sets().values()}
    definitions |= {f"concept:{vs.name}": _concept(vs) for vs in value_sets().values()}
    for structure in structures().values():
        definitions[structure.name] = _structure(structure)
        for slot in structure.slots.values():
            if slot.type == "Reference":
                definitions.setdefault(_reference_name(slot.targets), _reference(slot.targets))
            if slot.type == "canonical" and slot.targets:
                definitions.setdefault(_canonical_name(slot.targets), _canonical(slot.targets))
    return definitions


def _ref(name: str) -> Schema:
    return {"$ref": "#/definitions/" + name.replace("~", "~0").replace("/", "~1").replace("|", "%7C")}


def _primitive(primitive: Primitive) -> Schema:
    schema: Schema = {"type": primitive.json}
    if primitive.pattern:
        schema["pattern"] = f"^(?:{primitive.pattern})$"
    if primitive.minimum is not None:
        schema |= {"minimum": primitive.minimum, "maximum": primitive.maximum}
    if primitive.name in ("string", "markdown"):
        schema["maxLength"] = MAX_STRING_LENGTH
    return schema


def _code(value_set: ValueSet) -> Schema:
    if value_set.usual:
        return {"type": "string", "pattern": f"^(?:{value_set.usual})$"}
    if value_set.pattern:
        return {"not": {}}
    return {"enum": sorted(value_set.codes)}


def _concept(value_set: ValueSet) -> Schema:
    """A CodeableConcept with at least one coding of the value set."""
    if value_set.pattern:
        codings = [_coding(value_set.system, _code(value_set))]
    else:
        codings = [_coding(system, {"enum": sorted(codes)}) for system, codes in value_set.by_system.items()]
    members = {"not": {"items": {"not": {"anyOf": codings}}}}
    return {"allOf": [_ref("CodeableConcept"), {"required": ["coding"], "properties": {"coding": members}}]}


def _coding(system: str, code: Schema) -> Schema:
    return {"required": ["system", "code"], "properties": {"system": {"enum": [system]}, "code": code}}


def _reference_name(targets: tuple[str, ...]) -> str:
    return "Reference:" + ",".join(targets)


def _reference(targets: tuple[str, ...]) -> Schema:
    """Type/id, an http URL of the same shape, urn:uuid or #id; a type beside it only where one is allowed."""
    types = "|".join(targets or TYPES)
    local = rf"(?:https?://[^\s?#]+/)?(?:{types})/{ID}(?:/_history/{ID})?"
    literal = {"type": "string", "pattern": rf"^(?:{local}|urn:uuid:[0-9a-f-]{{36}}|#{ID})$"}
    narrowed: Schema = {"properties": {"reference": literal, "type": {"enum": list(targets or TYPES)}}}
    if len(targets) != 1:
        narrowed["not"] = {"required": ["reference", "type"]}
    return {"allOf": [_ref("Reference"), narrowed]}


def _canonical_name(targets: tuple[str, ...]) -> str:
    return "canonical:" + ",".join(targets)


def _canonical(targets: tuple[str, ...]) -> Schema:
    """A canonical that names no type below the address of HL7, or one of those allowed."""
    named = {"pattern": f"^http://hl7\\.org/fhir/(?:{'|'.join(targets)})/"}
    return {
        "allOf": [_ref("primitive:canonical"), {"anyOf": [{"not": {"pattern": "^http://hl7\\.org/fhir/[A-Z]"}}, named]}]
    }


def _structure(structure: Structure) -> Schema:
    properties: Schema = {}
    for slot in structure.slots.values():
        if (schema := _slot(slot, structure.name)) is not None:
            properties[slot.key] = schema
    if structure.name in TYPES:
        properties["resourceType"] = {"enum": [structure.name]}
    if structure.value_set:
        properties["code"] = _ref("codes:" + structure.value_set)
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **_size(structure),
        **_required(structure),
        **_dependencies(structure),
    }


def _slot(slot: Slot, owner: str) -> Schema | None:
    """The schema of one JSON key of a structure; None for what only the walk decides."""
    if slot.is_shadow and slot.element.is_many:
        return None
    if len(slot.element.types) > _WIDE_CHOICE and (slot.is_shadow or slot.element.path not in _WIDE):
        return None
    single = _ref(_OUTER) if slot.type == "Extension" and owner != "Extension" else _single(slot)
    return {"type": "array", "items": single, "minItems": 1} if slot.element.is_many else single


def _single(slot: Slot) -> Schema:
    value_set = slot.element.value_set
    if slot.is_shadow:
        return _ref("Element")
    if slot.type in PRIMITIVES:
        form = _ref(
            _canonical_name(slot.targets) if slot.type == "canonical" and slot.targets else "primitive:" + slot.type
        )
        if not value_set:
            return form
        codes = _ref("codes:" + value_set)
        return {"allOf": [form, codes]} if value_sets()[value_set].pattern else codes
    if slot.type == "Resource":
        return {"type": "object"}
    if slot.type == "Reference":
        return _ref(_reference_name(slot.targets))
    return _ref("concept:" + value_set if value_set and slot.type == "CodeableConcept" else slot.type)


def _size(structure: Structure) -> Schema:
    if size := _EXACT_SIZE.get(structure.name):
        return {"minProperties": size, "maxProperties": size}
    return {"minProperties": 1}


def _required(structure: Structure) -> Schema:
    names = ["resourceType"] if structure.name in TYPES else []
    names += [e.name for e in structure.elements if e.is_required and not e.is_choice]
    choices = [
        {"anyOf": [{"required": [key]} for key in sorted(e.keys)]}
        for e in structure.elements
        if e.is_required and e.is_choice and len(e.keys) <= _WIDE_CHOICE
    ]
    return ({"required": names} if names else {}) | ({"allOf": choices} if choices else {})


def _dependencies(structure: Structure) -> Schema:
    """At most one type of a choice, no extension on a choice without its value, more than an id (ele-1)."""
    dependencies: Schema = dict(pair for e in structure.elements if e.is_choice for pair in _exclusive(e))
    if structure.name not in TYPES:
        dependencies["id"] = {"minProperties": 2}
    for slot in structure.slots.values():
        if slot.is_shadow and slot.element.is_choice:
            dependencies[slot.key] = [slot.key[1:]]
    return {"dependencies": dependencies} if dependencies else {}


def _exclusive(element: Element) -> Iterator[tuple[str, Schema]]:
    keys = sorted(element.keys)
    if len(keys) > _WIDE_CHOICE:
        return
    for index, key in enumerate(keys[:-1]):
        yield key, {"not": {"anyOf": [{"required": [other]} for other in keys[index + 1 :]]}}
