"""References inside a resource and the resources it contains (FHIR R4 references, section 2.3.0.5: ref-1, dom-3)."""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from gateway.r4.fhirpath_logic import Surroundings
from gateway.r4.fhirpath_values import Items
from gateway.r4.issues import Issue

_LOCAL_REFERENCE = re.compile(rb'"reference":"#([^"]+)"')


def is_resolved(focus: Items, around: Surroundings) -> bool:
    """ref-1: a Reference to #id finds a contained resource; # alone is the container, from inside."""
    text = focus[0].get("reference")
    if text is None or not text.startswith("#"):
        return True
    if text == "#":
        return around.resource is not around.root
    return text[1:] in around.contained_ids


def is_plainly_linked(resource: dict[str, Any]) -> bool:
    """
    Whether each contained resource is the target of a Reference somewhere in the resource (dom-3).

    False also when the link may be of another kind (a canonical, or # from inside): then contained_issues decides.
    """
    try:
        printed = orjson.dumps(resource)
    except orjson.JSONEncodeError:  # a number beyond 64 bits, which only other readers let through
        return False
    linked = {found.decode() for found in _LOCAL_REFERENCE.findall(printed)}
    return all(inner.get("id") in linked for inner in resource["contained"])


def contained_issues(resource: dict[str, Any], path: str, local: list[tuple[str, str]]) -> Iterator[Issue]:
    """
    dom-3: the contained resources that nothing refers to and that do not refer to their container.

    local  (path, text) of everything that starts with '#', in the resource and in what it contains
    """
    targets = {text[1:] for _, text in local}
    outward = {place[len(path) + 1 :].partition(".")[0] for place, text in local if text == "#"}
    contained = resource.get("contained")
    for index, inner in enumerate(contained if isinstance(contained, list) else ()):
        step = f"contained[{index}]"
        if isinstance(inner, dict) and inner.get("id") not in targets and step not in outward:
            text = "dom-3: a contained resource must be referred to by its container, or refer to it."
            yield Issue("error", "invariant", f"{path}.{step}", text)
