"""The store's neutral SQL as PostgreSQL reads it: `:name` and `?` become `$1`, `$2`, …"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# What is quoted and what is a cast stays as it is.
_PART = re.compile(r"'(?:[^']|'')*'|::|\?|:([A-Za-z_]\w*)")

Parameters = Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Translated:
    """A statement with numbered places; `names` says whose value goes where, None where values come in order."""

    sql: bytes
    names: tuple[str, ...] | None

    def values(self, parameters: Parameters) -> Sequence[Any]:
        """The values in the order of their places."""
        if self.names is None:
            return parameters if isinstance(parameters, Sequence) else ()
        assert isinstance(parameters, Mapping), "a statement with names takes its values by name"
        return [parameters[name] for name in self.names]


@lru_cache(maxsize=4096)
def translated(sql: str) -> Translated:
    """The statement for PostgreSQL; a name that is used several times is one parameter."""
    names: dict[str, int] = {}
    places = 0

    def place(found: re.Match[str]) -> str:
        nonlocal places
        if found[1]:
            return f"${names.setdefault(found[1], len(names) + 1)}"
        if found[0] == "?":
            places += 1
            return f"${places}"
        return found[0]

    text = _PART.sub(place, sql)
    assert not (names and places), "a statement has names or places, not both"
    return Translated(text.encode(), tuple(names) if names else None)
