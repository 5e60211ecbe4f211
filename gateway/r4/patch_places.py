"""Where the path of a patch leads in a JSON tree: places to be read, replaced and taken away (R4 fhirpatch.html).

A place stands for one element. A primitive has two keys in JSON, its value and its shadow (`_birthDate`, with id and
extensions), and a list of primitives two arrays; a place keeps them together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.r4.definitions import Slot, Structure, structures
from gateway.r4.json_tree import Node

Object = dict[str, Node]


@dataclass(frozen=True, slots=True)
class Place:
    """
    One element.

    holder  the JSON object that has it, under the key of `slot`
    index   its index where the element repeats, else None
    above   the element that the holder belongs to; None for children of the root
    """

    holder: Object
    slot: Slot
    index: int | None = None
    above: Place | None = None

    @property
    def value(self) -> Node:
        """The element's value, None for a primitive that has only a shadow."""
        return self._part(self.slot.key)

    @property
    def shadow(self) -> Node:
        return self._part("_" + self.slot.key)

    @property
    def structure(self) -> Structure | None:
        """What its children are described by; None for a primitive, whose children are those of its shadow."""
        return structure_of(self.slot, self.value)

    @property
    def inner(self) -> Object:
        """The JSON object that its children are in; an empty one of no consequence where it has none."""
        found = self.value if isinstance(self.value, dict) else self.shadow
        return found if isinstance(found, dict) else {}

    def opened(self) -> Object:
        """The same, to put children in: a primitive gets a shadow where it had none."""
        if not self.inner:
            padded_to = self.slot.key if self.structure is not None else "_" + self.slot.key
            self._set(padded_to, {})
        return self.inner

    def replace(self, value: Node, shadow: Node) -> None:
        """Put another value in its place; the old shadow goes with the old value."""
        self._set(self.slot.key, value)
        self._set("_" + self.slot.key, shadow)
        tidy(self.holder, self.slot.key)

    def remove(self) -> None:
        """Take the element away, and what is left empty by that: FHIR knows no empty objects or arrays."""
        keys = (self.slot.key, "_" + self.slot.key)
        for key in keys:
            kept = self.holder.get(key)
            if self.index is None:
                self.holder.pop(key, None)
            elif isinstance(kept, list) and self.index < len(kept):
                del kept[self.index]
        tidy(self.holder, self.slot.key)
        if not self.holder and self.above is not None:
            self.above._has_lost(self.holder)

    def _part(self, key: str) -> Node:
        found = self.holder.get(key)
        if self.index is None:
            return found
        return found[self.index] if isinstance(found, list) and self.index < len(found) else None

    def _set(self, key: str, value: Node) -> None:
        if self.index is None:
            self.holder[key] = value
        else:
            padded(self.holder, key, self.index + 1)[self.index] = value

    def _has_lost(self, inner: Object) -> None:
        """The object with its children is empty now: a primitive that still has a value stays."""
        if inner is self.value or self.value is None:
            self.remove()
        else:
            self.replace(self.value, None)


def children(holder: Object, structure: Structure | None, name: str, above: Place | None) -> Iterator[Place]:
    """The places of a child element, by its name in FHIRPath (`value`, not `valueQuantity`) or in JSON."""
    for slot in slots_of(structure, name):
        value, shadow = holder.get(slot.key), holder.get("_" + slot.key)
        if not slot.element.is_many:
            if value is not None or shadow is not None:
                yield Place(holder, slot, None, above)
            continue
        lengths = [len(part) for part in (value, shadow) if isinstance(part, list)]
        for index in range(max(lengths, default=0)):
            yield Place(holder, slot, index, above)


def slots_of(structure: Structure | None, name: str) -> tuple[Slot, ...]:
    """The JSON keys that a name can mean; several for a choice, none for a name that the structure does not have."""
    return _slots("Element" if structure is None else structure.name, name)


@lru_cache(maxsize=4096)
def _slots(structure: str, name: str) -> tuple[Slot, ...]:
    return tuple(
        slot
        for key, slot in structures()[structure].slots.items()
        if not slot.is_shadow and (key == name or slot.element.label == name)
    )


def structure_of(slot: Slot, value: Node) -> Structure | None:
    """The structure of an element's value; of a resource inside another, the one that it names."""
    if slot.type == "Resource":
        name = value.get("resourceType") if isinstance(value, dict) else None
        return structures().get(name) if isinstance(name, str) else None
    return structures().get(slot.type)


def padded(holder: Object, key: str, length: int) -> list[Any]:
    """The array under a key, made at least so long with nulls."""
    found = holder.setdefault(key, [])
    array: list[Any] = found if isinstance(found, list) else []
    array += [None] * (length - len(array))
    return array


def tidy(holder: Object, name: str) -> None:
    """Drop a key and its shadow where nothing is left under them."""
    for key in (name, "_" + name):
        if _is_hollow(holder.get(key)):
            holder.pop(key, None)


def _is_hollow(value: Node) -> bool:
    """Nothing, an empty object, or an array of nothing."""
    return value is None or value == {} or (isinstance(value, list) and all(item is None for item in value))
