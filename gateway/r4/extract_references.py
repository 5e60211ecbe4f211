"""References as index values (R4 section 3.1.1.4.12): the key of the target, whether or not it exists."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.r4.identity import key_of

Target = tuple[int, int]
Convert = Callable[[Any], Sequence[Target]]

_RESTFUL = re.compile(
    r"(?:(?P<base>https?://\S+)/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/[A-Za-z0-9\-.]{1,64})?\Z"
)


def visible_type_and_id(text: str) -> tuple[str | None, str, str] | None:
    """The base (None where relative), type and id that a literal reference shows; None if it shows none."""
    match = _RESTFUL.match(text)
    return (match["base"], match["type"], match["id"]) if match else None


class ReferenceConverters:
    """Converters to (target, target type): (key, type id) where the target is here, else (hash of url, 0).

    types     the number of each resource type
    base_url  absolute references that start with it are our own
    """

    def __init__(self, hash_token: Callable[[str], int], types: Mapping[str, int], base_url: str | None) -> None:
        self._hash = hash_token
        self._types = types
        self._base_url = base_url.rstrip("/") if base_url else None

    def of(self, type_name: str, argument: str) -> Convert:
        """
        The converter of a type.

        argument  for the type Reference: the only type of target wanted, as resolve() would tell it
        raises    KeyError when the type cannot be a reference
        """
        return {
            "Reference": self._of_type(argument) if argument else self._reference,
            "Resource": self._inline,
            "canonical": self._canonical,
            "uri": self._foreign,
        }[type_name]

    def _reference(self, reference: Any) -> Sequence[Target]:
        text = reference.get("reference")
        return self._literal(text) if text else ()

    def _of_type(self, wanted: str) -> Convert:
        """Targets of one type: the type that the literal shows, else the one that Reference.type names."""

        def convert(reference: Any) -> Sequence[Target]:
            text = reference.get("reference")
            if not text:
                return ()
            shown = visible_type_and_id(text)
            found = shown[1] if shown else reference.get("type")
            return self._literal(text) if found == wanted else ()

        return convert

    def _literal(self, text: str) -> Sequence[Target]:
        if text.startswith("#"):
            return ()
        shown = visible_type_and_id(text)
        if shown is None or shown[1] not in self._types or shown[0] not in (None, self._base_url):
            return self._foreign(text)
        return ((key_of(shown[1], shown[2]), self._types[shown[1]]),)

    def _canonical(self, text: str) -> Sequence[Target]:
        url, bar, _ = text.partition("|")
        return (*self._literal(text), *self._literal(url)) if bar else self._literal(text)

    def _foreign(self, text: str) -> Sequence[Target]:
        return ((self._hash("u" + text), 0),)

    def _inline(self, resource: Any) -> Sequence[Target]:
        """A resource carried in the Bundle that refers to it."""
        type_name, logical_id = resource.get("resourceType"), resource.get("id")
        if not logical_id or type_name not in self._types:
            return ()
        return ((key_of(type_name, logical_id), self._types[type_name]),)
