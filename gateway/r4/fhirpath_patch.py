"""FHIRPath Patch: operations in a Parameters resource, on a tree that keeps its number tokens (R4 fhirpatch.html)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.r4.definitions import Slot, Structure, structures
from gateway.r4.json_tree import Node, Number, copied
from gateway.r4.patch_paths import NoSuchPath, PatchPath, Step, Walk, read_path
from gateway.r4.patch_places import Object, Place, padded, slots_of, structure_of, tidy
from gateway.r4.patching import MOST_OPERATIONS, PatchFailed, PatchMalformed

_NEEDS = {
    "add": ("path", "name", "value"),
    "insert": ("path", "value", "index"),
    "delete": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}
_NUMBERS = frozenset(("index", "source", "destination"))


@dataclass(frozen=True, slots=True)
class Operation:
    """
    name     add, insert, delete, replace or move
    element  the name of the element to add
    value    the `value` part as sent: its value[x], its resource or its own parts say what is meant
    """

    name: str
    path: PatchPath
    element: str = ""
    value: Mapping[str, Node] | None = None
    index: int = 0
    source: int = 0
    destination: int = 0


def operations(parameters: Node) -> list[Operation]:
    """The operations of a Parameters resource. Raises PatchMalformed."""
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise PatchMalformed("A FHIRPath Patch is a Parameters resource.")
    listed = parameters.get("parameter", [])
    if not isinstance(listed, list):
        raise PatchMalformed("parameter is an array.")
    if len(listed) > MOST_OPERATIONS:
        raise PatchMalformed(f"A patch has at most {MOST_OPERATIONS} operations.")
    return [_operation(number, item) for number, item in enumerate(listed)]


def applied(resource: Object, patch: Sequence[Operation]) -> Object:
    """
    The resource after every operation, in order; the one given stays as it is.

    raises  PatchFailed for the first operation that cannot be done
    """
    walk = Walk(copied(resource))
    for number, operation in enumerate(patch):
        try:
            _DO[operation.name](walk, operation)
        except (_Fails, NoSuchPath) as failure:
            raise PatchFailed(str(failure), number) from None
    return walk.resource


class _Fails(Exception):
    """Why an operation cannot be done."""


# -- reading -------------------------------------------------------------------------------------------------


def _operation(number: int, item: Node) -> Operation:
    parts = _parts(number, item)
    name = _string(parts.get("type"))
    needed = _NEEDS.get(name)
    if needed is None:
        raise PatchMalformed("type must be add, insert, delete, replace or move.", number)
    if missing := [part for part in needed if part not in parts]:
        raise PatchMalformed(f"{name} needs the part {missing[0]}.", number)
    try:
        path = read_path(_string(parts["path"]))
        whole = {part: _whole(parts[part]) for part in _NUMBERS if part in parts}
    except NoSuchPath as problem:
        raise PatchMalformed(str(problem), number) from None
    except _Fails as problem:
        raise PatchMalformed(str(problem), number) from None
    return Operation(name, path, _string(parts.get("name")), parts.get("value"), **whole)


def _parts(number: int, item: Node) -> dict[str, Mapping[str, Node]]:
    if not isinstance(item, dict) or item.get("name") != "operation" or not isinstance(item.get("part"), list):
        raise PatchMalformed("Each parameter is an operation with parts.", number)
    parts: dict[str, Mapping[str, Node]] = {}
    for part in item["part"]:
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str) or name in parts:
            raise PatchMalformed("Each part of an operation has a name, and comes once.", number)
        parts[name] = part
    return parts


def _string(part: Mapping[str, Node] | None) -> str:
    """The text of a part, whichever of the types of strings it was sent as; empty where it is none."""
    found = next((part[key] for key in ("valueString", "valueCode", "valueUri") if key in part), "") if part else ""
    return found if isinstance(found, str) else ""


def _whole(part: Mapping[str, Node]) -> int:
    found = next((value for key, value in part.items() if key.startswith("value")), None)
    if not isinstance(found, Number) or not found.token.isdigit() or len(found.token) > 9:
        raise _Fails("index, source and destination are whole numbers from 0.")
    return int(found.token)


# -- doing ---------------------------------------------------------------------------------------------------


def _add(walk: Walk, operation: Operation) -> None:
    step = _only(operation.path.found(walk))
    slot, value, shadow = _content(step.structure, operation.element, operation.value)
    holder = step.object if step.place is None else step.place.opened()
    if slot.element.is_many:
        present = max(len(_array(holder, slot.key)), len(_array(holder, "_" + slot.key)))
        _insert(holder, slot, present, value, shadow)
        return
    if any(holder.get(key) is not None for each in slots_of(step.structure, operation.element) for key in _keys(each)):
        raise _Fails("The element is there already and does not repeat; replace it.")
    _place(holder, slot).replace(value, shadow)


def _insert_at(walk: Walk, operation: Operation) -> None:
    step, name = _collection(walk, operation.path)
    slot, value, shadow = _content(step.structure, name, operation.value)
    length = _length(step, slot)
    if length == 0:
        raise _Fails("There is no such list yet; add makes one.")
    if operation.index > length:
        raise _Fails("The index is beyond the end of the list.")
    _insert(step.object, slot, operation.index, value, shadow)


def _delete(walk: Walk, operation: Operation) -> None:
    found = operation.path.found(walk)
    if found:
        _element(found).remove()


def _replace(walk: Walk, operation: Operation) -> None:
    place = _element(operation.path.found(walk))
    name = place.slot.element.label
    around = structures()[walk.resource["resourceType"]] if place.above is None else place.above.structure
    slot, value, shadow = _content(around, name, operation.value)
    if slot.key != place.slot.key:
        # A choice that becomes another of its types has another key.
        place.replace(None, None)
        place = _place(place.holder, slot)
    place.replace(value, shadow)


def _move(walk: Walk, operation: Operation) -> None:
    step, name = _collection(walk, operation.path)
    (slot,) = slots_of(step.structure, name)
    length = _length(step, slot)
    if operation.source >= length or operation.destination >= length:
        raise _Fails("source and destination must be places of the list.")
    for key in _keys(slot):
        if key in step.object:
            array = padded(step.object, key, length)
            array.insert(operation.destination, array.pop(operation.source))


_DO: dict[str, Callable[[Walk, Operation], None]] = {
    "add": _add,
    "insert": _insert_at,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}


def _only(steps: Sequence[Step]) -> Step:
    if len(steps) != 1:
        raise _Fails("The path leads nowhere." if not steps else "The path leads to more than one element.")
    return steps[0]


def _element(steps: Sequence[Step]) -> Place:
    place = _only(steps).place
    if place is None:
        raise _Fails("This cannot be done to the resource itself.")
    return place


def _collection(walk: Walk, path: PatchPath) -> tuple[Step, str]:
    """The element that has the list, and the list's name."""
    steps, name = path.parents(walk)
    step = _only(steps)
    slots = slots_of(step.structure, name)
    if len(slots) != 1 or not slots[0].element.is_many:
        raise _Fails("The path does not name an element that repeats.")
    return step, name


def _length(step: Step, slot: Slot) -> int:
    return max(len(_array(step.object, key)) for key in _keys(slot))


def _array(holder: Object, key: str) -> list[Any]:
    found = holder.get(key)
    return found if isinstance(found, list) else []


def _keys(slot: Slot) -> tuple[str, str]:
    return slot.key, "_" + slot.key


def _place(holder: Object, slot: Slot) -> Place:
    return Place(holder, slot)


def _insert(holder: Object, slot: Slot, index: int, value: Node, shadow: Node) -> None:
    for key, item in zip(_keys(slot), (value, shadow), strict=True):
        if item is not None or key in holder:
            padded(holder, key, index).insert(index, item)
    tidy(holder, slot.key)


# -- values --------------------------------------------------------------------------------------------------


def _content(structure: Structure | None, name: str, part: Mapping[str, Node] | None) -> tuple[Slot, Node, Node]:
    """The JSON key that a value goes under, the value and its shadow."""
    slots = slots_of(structure, name)
    if not slots:
        raise _Fails("There is no element of that name here.")
    part = part or {}
    key = next((key for key in part if key.startswith("value")), "")
    typed = key.removeprefix("value")
    slot = next((slot for slot in slots if slot.key == slot.element.label + typed), slots[0])
    if slot.element.is_choice and len(slots) > 1 and slot.key != slot.element.label + typed:
        raise _Fails("The value is of a type that this element does not have.")
    if "resource" in part:
        return slot, part["resource"], None
    if key:
        return slot, part[key], part.get("_" + key)
    return slot, _anonymous(slot, part), None


def _anonymous(slot: Slot, part: Mapping[str, Node]) -> Object:
    """The value of a nested element, which has no value[x]: its children come as parts."""
    parts = part.get("part")
    if not isinstance(parts, list):
        raise _Fails("The operation has no value.")
    built: Object = {}
    for inner in parts:
        name = inner.get("name") if isinstance(inner, dict) else None
        if not isinstance(name, str):
            raise _Fails("Each part of a value has a name.")
        child, value, shadow = _content(structure_of(slot, built), name, inner)
        index = len(_array(built, child.key)) if child.element.is_many else None
        if index is None and child.key in built:
            raise _Fails("A part of the value comes twice and does not repeat.")
        Place(built, child, index).replace(value, shadow)
    return built
