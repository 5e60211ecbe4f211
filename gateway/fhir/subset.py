"""`_summary` and `_elements`: the only answers for which stored JSON is parsed (R4 sections 3.1.1.5.8 and 3.1.1.5.9).

Number tokens go through unread, so 105.00 stays 105.00. What is cut is tagged SUBSETTED.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from gateway.fhir.errors import BadRequest
from gateway.fhir.parameters import value_of
from gateway.r4.definitions import Element, Slot, structures

View = Callable[[str, bytes], bytes]
"""(type, stored JSON) to the part that is shown."""

SUMMARIES = ("true", "text", "data", "count", "false")
_SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
# Every view keeps these, so that the answer is still a resource that can be found again.
_ALWAYS = frozenset(("resourceType", "id", "meta"))


def no_view(_type: str, body: bytes) -> bytes:
    """The whole resource."""
    return body


def view_of(pairs: Iterable[tuple[str, str]]) -> View:
    """The view that `_summary` or `_elements` asks of a single resource. Raises BadRequest."""
    pairs = list(pairs)
    summary = value_of(pairs, "_summary") or ""
    if summary and (summary not in SUMMARIES or summary == "count"):
        raise BadRequest("_summary must be true, text, data or false here.")
    elements = ",".join(value for name, value in pairs if name == "_elements")
    return view(summary, tuple(filter(None, elements.split(","))))


def view(summary: str | None, elements: Iterable[str]) -> View:
    """The view for values that were checked before; `_elements` goes first, as it is the more exact wish."""
    names = frozenset(elements)
    if names:
        return lambda resource_type, body: _cut(body, _elements_of(resource_type, names))
    if summary == "true":
        return lambda resource_type, body: _cut(body, lambda tree: _summarised(tree, resource_type))
    if summary == "text":
        return lambda resource_type, body: _cut(body, _elements_of(resource_type, frozenset(("text",))))
    if summary == "data":
        return lambda _type, body: _cut(body, lambda tree: {k: v for k, v in tree.items() if k != "text"})
    return no_view


def _cut(body: bytes, choose: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    tree = json.loads(body, parse_float=_token, parse_int=_token)
    chosen = choose(tree)
    meta = dict(chosen.get("meta", {}))
    meta["tag"] = [*meta.get("tag", ()), _SUBSETTED]
    chosen["meta"] = meta
    return orjson.dumps(chosen)


def _token(number: str) -> orjson.Fragment:
    return orjson.Fragment(number.encode())


def _elements_of(resource_type: str, names: frozenset[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    slots = structures()[resource_type].slots
    # `Patient.name` and `name.family` both show the whole of name: elements are kept or cut at the top level.
    tops = frozenset(name.removeprefix(f"{resource_type}.").partition(".")[0] for name in names)

    def wanted(key: str) -> bool:
        element = slots[key].element if key in slots else None
        return key in _ALWAYS or (element is not None and (element.label in tops or _is_needed(element)))

    return lambda tree: {key: value for key, value in tree.items() if wanted(key)}


def _is_needed(element: Element) -> bool:
    """Mandatory elements keep the resource valid, modifiers keep it from being misread."""
    return element.is_required or element.is_modifier


def _summarised(tree: Mapping[str, Any], structure: str) -> dict[str, Any]:
    slots = structures()[structure].slots
    return {
        key: _nested(value, slots[key]) if key in slots else value
        for key, value in tree.items()
        if key in _ALWAYS or (key in slots and (slots[key].element.is_summary or _is_needed(slots[key].element)))
    }


def _nested(value: Any, slot: Slot) -> Any:
    """A backbone element has a summary of its own; data types are kept whole."""
    if "." not in slot.type or slot.is_shadow:
        return value
    if isinstance(value, list):
        return [_summarised(item, slot.type) for item in value]
    return _summarised(value, slot.type)
