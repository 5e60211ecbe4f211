"""The FHIRPath functions of the R4 invariants (FHIRPath section 5, FHIR R4 fhirpath.html)."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gateway.r4 import fhirpath_values as values
from gateway.r4.fhirpath_values import Items
from gateway.r4.references import read_reference


@lru_cache(maxsize=64)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)


def _text(items: Items) -> str | None:
    return items[0] if len(items) == 1 and isinstance(items[0], str) else None


def _has_value(items: Items) -> bool:
    return len(items) == 1 and not isinstance(items[0], dict)


def _starts_with(items: Items, start: Items) -> bool | None:
    text, prefix = _text(items), _text(start)
    return None if text is None or prefix is None else text.startswith(prefix)


def _contains(items: Items, part: Items) -> bool | None:
    text, wanted = _text(items), _text(part)
    return None if text is None or wanted is None else wanted in text


def _matches(items: Items, pattern: Items) -> bool | None:
    """The whole text must match, as the reference implementation of R4 has it."""
    text, expression = _text(items), _text(pattern)
    return None if text is None or expression is None else _pattern(expression).fullmatch(text) is not None


BOOLEAN_FUNCTIONS: dict[str, Callable[..., bool | None]] = {
    "contains": _contains,
    "hasValue": _has_value,
    "isDistinct": values.are_distinct,
    "matches": _matches,
    "startsWith": _starts_with,
}


def _unique(items: Items) -> Items:
    found: Items = []
    for item in items:
        if not any(values.same(item, other) for other in found):
            found.append(item)
    return found


def _intersect(items: Items, others: Items) -> Items:
    return _unique([item for item in items if any(values.same(item, other) for other in others)])


def _plus(left: Items, right: Items) -> Items:
    return [left[0] + right[0]] if left and right else []


def _concatenate(left: Items, right: Items) -> Items:
    return [(_text(left) or "") + (_text(right) or "")]


def _substring(items: Items, start: Items) -> Items:
    text = _text(items)
    return [] if text is None or start[0] >= len(text) else [text[start[0] :]]


def _replace_matches(items: Items, pattern: Items, replacement: Items) -> Items:
    text = _text(items)
    return [] if text is None else [_pattern(pattern[0]).sub(replacement[0], text)]


def _to_integer(items: Items) -> Items:
    return [int(item) for item in items[:1] if re.fullmatch(r"[+-]?[0-9]{1,18}", str(item))]


def _to_string(items: Items) -> Items:
    return [item if isinstance(item, str) else str(item) for item in items[:1] if not isinstance(item, dict)]


def _decoded_length(items: Items) -> Items:
    """Ours: the number of bytes that a base64 text stands for."""
    text = _text(items)
    if text is None:
        return []
    digits = len(text) - sum(map(text.count, " \t\r\n"))
    return [digits // 4 * 3 - text.count("=")]


def _resolve(items: Items) -> Items:
    """As far as the text of a reference goes: an empty resource of the type it shows."""
    found: list[dict[str, Any]] = []
    for item in items:
        text = item.get("reference") if isinstance(item, dict) else item
        target = read_reference(text) if isinstance(text, str) else None
        if target and target.type:
            found.append({"resourceType": target.type})
    return found


COLLECTION_FUNCTIONS: dict[str, Callable[..., Items]] = {
    "&": _concatenate,
    "[]": lambda items, index: items[index[0] : index[0] + 1],
    "+": _plus,
    "|": lambda left, right: _unique(left + right),
    "children": lambda items: [child for item in items for child in values.children(item)],
    "combine": lambda items, others: items + others,
    "count": lambda items: [len(items)],
    "decodedLength": _decoded_length,
    "descendants": lambda items: [below for item in items for below in values.descendants(item)],
    "distinct": _unique,
    "first": lambda items: items[:1],
    "intersect": _intersect,
    "replaceMatches": _replace_matches,
    "resolve": _resolve,
    "substring": _substring,
    "tail": lambda items: items[1:],
    "toInteger": _to_integer,
    "toString": _to_string,
    "trace": lambda items, *_: items,
}
