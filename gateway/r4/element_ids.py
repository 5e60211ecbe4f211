"""Element ids, each once in a resource (FHIR R4 Element.id: unique within the resource)."""

import re
from collections.abc import Iterator
from typing import Any

_PRINTED = re.compile(rb'"id":"([^"]*)"')


def are_plainly_distinct(printed: bytes, resource: dict[str, Any]) -> bool:
    """Whether no id occurs twice; printed: the same resource as compact JSON."""
    if printed.count(b'"id":"') < 2:
        return True
    ids = _PRINTED.findall(printed)
    return len(set(ids)) == len(ids) or are_distinct(resource)


def are_distinct(resource: dict[str, Any]) -> bool:
    """
    Whether the elements of a resource, and the resources it contains, have ids of their own.

    The elements of a StructureDefinition are named twice by design, in snapshot and differential.
    """
    if resource["resourceType"] == "StructureDefinition":
        return True
    contained = resource.get("contained")
    inside = [each.get("id") for each in contained] if isinstance(contained, list) else []
    elements = [name for key, value in resource.items() if key != "contained" for name in _ids_below(value)]
    return _no_twins(elements) and _no_twins([name for name in inside if name is not None])


def _no_twins(names: list[Any]) -> bool:
    return len(set(names)) == len(names)


def _ids_below(node: Any) -> Iterator[str]:
    """Ids of elements; resources inside (Bundle, Parameters) have their own world."""
    if isinstance(node, list):
        for item in node:
            yield from _ids_below(item)
    elif isinstance(node, dict) and "resourceType" not in node:
        if isinstance(name := node.get("id"), str):
            yield name
        for value in node.values():
            yield from _ids_below(value)
