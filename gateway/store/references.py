"""Reference integrity: the literal references of a resource to this server, and which of them lead nowhere.

Asked only under the setting `references=existing` (docs/decisions/0025-reference-policy.md). What the writer may not
see does not exist for it, here as everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gateway.r4.definitions import is_resource_type
from gateway.r4.identity import key_of
from gateway.r4.issues import Issue

_LITERAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")
_NOWHERE = "This refers to a resource that does not exist here, or none that you may see."


class Target(NamedTuple):
    """The key of what is referred to, and the place that refers to it: `Observation.performer[0]`."""

    key: int
    place: str


def targets(resource: Mapping[str, Any], base_url: str) -> tuple[Target, ...]:
    """
    Where the literal references of a resource to this server lead.

    base_url  ours: absolute references below it are to this server, all others are not looked at
    """
    if resource["resourceType"] == "Bundle":
        # A Bundle that is stored is a letter: its references are among its own entries.
        return ()
    return tuple(_targets(resource, resource["resourceType"], base_url.rstrip("/") + "/"))


def nowhere(broken: list[Target]) -> list[Issue]:
    """What is said of the references that lead nowhere."""
    return [Issue("error", "not-found", target.place, _NOWHERE) for target in broken]


def _targets(node: Any, place: str, base: str) -> Iterator[Target]:
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _targets(item, f"{place}[{index}]", base)
    elif isinstance(node, dict):
        says = node.get("reference")
        match = _LITERAL.fullmatch(says.removeprefix(base)) if isinstance(says, str) else None
        if match and is_resource_type(match[1]):
            yield Target(key_of(match[1], match[2]), place)
        for name, value in node.items():
            yield from _targets(value, f"{place}.{name}", base)
