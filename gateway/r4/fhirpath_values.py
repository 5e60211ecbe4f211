"""What FHIRPath does with values: members, equality, order, types (FHIRPath sections 3 to 6).

A collection is a list. An item is JSON as parsed; a primitive that has only extensions is the object of its
underscored key. An answer that cannot be given is None, as FHIRPath's empty collection.
"""

import re
from datetime import UTC, datetime
from typing import Any

from gateway.r4.definitions import is_resource_type, structures

Items = list[Any]

_MOMENT = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d))?)?)?")
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "decimal": (int, float),
    "integer": (int,),
    "string": (str,),
}


def _choice_keys() -> dict[str, frozenset[str]]:
    keys: dict[str, frozenset[str]] = {}
    for structure in structures().values():
        for element in structure.elements:
            if element.is_choice:
                both = element.keys | {"_" + key for key in element.keys}
                keys[element.label] = keys.get(element.label, frozenset()) | both
    return keys


_CHOICES = _choice_keys()


def members(item: Any, name: str) -> Items:
    """The items of one child element; for value also valueString, valueQuantity, ..."""
    if not isinstance(item, dict):
        return []
    value, shadow = item.get(name), item.get("_" + name)
    if value is None and shadow is None and name in _CHOICES:
        keys = _CHOICES[name]
        value = next((item[key] for key in item if key in keys), None)
    if isinstance(value, list):
        return _merged(value, shadow) if None in value else value
    if value is None:
        value = shadow
        if isinstance(value, list):
            return [entry for entry in value if entry is not None]
    return [] if value is None else [value]


def _merged(values: Items, shadow: Any) -> Items:
    """Values where there are some, and what is beside the nulls."""
    beside = shadow if isinstance(shadow, list) else []
    padded = beside + [None] * (len(values) - len(beside))
    pairs = zip(values, padded, strict=False)
    return [item for value, other in pairs if (item := other if value is None else value) is not None]


def has_member(item: Any, name: str) -> bool:
    """members(item, name) is not empty, without building it."""
    if not isinstance(item, dict):
        return False
    if name in item or "_" + name in item:
        return True
    keys = _CHOICES.get(name)
    return keys is not None and not keys.isdisjoint(item)


def children(item: Any) -> Items:
    """Every direct child element."""
    if not isinstance(item, dict):
        return []
    names = dict.fromkeys(key.removeprefix("_") for key in item if key != "resourceType")
    return [child for name in names for child in members(item, name)]


def descendants(item: Any) -> Items:
    """Every child element and theirs, at any depth."""
    found: Items = []
    for child in children(item):
        found.append(child)
        found += descendants(child)
    return found


def is_of_type(item: Any, name: str) -> bool:
    """Whether an item is of a primitive type (judged by its JSON type) or of a resource type."""
    if is_resource_type(name):
        return isinstance(item, dict) and item.get("resourceType") == name
    expected = _JSON_TYPES[name.lower()]
    return isinstance(item, expected) and (bool in expected or not isinstance(item, bool))


def is_known_type(name: str) -> bool:
    """Whether is_of_type can judge the type."""
    return is_resource_type(name) or name.lower() in _JSON_TYPES


def same(left: Any, right: Any) -> bool:
    """Equality of two items; true is not 1."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def equal(left: Items, right: Items) -> bool | None:
    """Equality of two collections; None when one is empty."""
    if not left or not right:
        return None
    return len(left) == len(right) and all(map(same, left, right))


def are_distinct(items: Items) -> bool:
    """No two items are equal."""
    try:
        return len(set(items)) == len(items)
    except TypeError:
        return not any(same(a, b) for i, a in enumerate(items) for b in items[:i])


def compare(left: Any, right: Any) -> int | None:
    """-1, 0 or 1; None when the order is not known: other types, other units, another precision of a date."""
    if isinstance(left, dict) and isinstance(right, dict):
        return _compare_quantities(left, right)
    if isinstance(left, str) and isinstance(right, str):
        return _compare_texts(left, right)
    if isinstance(left, int | float) and isinstance(right, int | float):
        return (left > right) - (left < right)
    return None


def _compare_quantities(left: dict[str, Any], right: dict[str, Any]) -> int | None:
    unit = [(quantity.get("system"), quantity.get("code"), quantity.get("unit")) for quantity in (left, right)]
    coded = all(system and code for system, code, _ in unit)
    if unit[0][:2] != unit[1][:2] or (not coded and unit[0][2] != unit[1][2]):
        return None
    if left.get("comparator") or right.get("comparator"):
        return None
    return compare(left.get("value"), right.get("value"))


def _compare_texts(left: str, right: str) -> int | None:
    # Of the same length and with the same tail after the seconds, dates and times sort as text.
    if len(left) == len(right) and left[19:] == right[19:]:
        return (left > right) - (left < right)
    first, second = _MOMENT.fullmatch(left), _MOMENT.fullmatch(right)
    if first is None or second is None:
        return (left > right) - (left < right)
    if first[8] and second[8]:
        a, b = _instant(first), _instant(second)
        return (a > b) - (a < b)
    return _compare_parts(first.groups()[:3], second.groups()[:3], is_exact=not (first[8] or second[8]))


def _compare_parts(left: tuple[str | None, ...], right: tuple[str | None, ...], is_exact: bool) -> int | None:
    for a, b in zip(left, right, strict=True):
        if a is None or b is None:
            return 0 if a is b and is_exact else None
        if a != b:
            return 1 if a > b else -1
    return 0 if is_exact else None


def _instant(match: re.Match[str]) -> tuple[datetime, int]:
    """The moment in UTC and its nanoseconds; a leap second counts as the second before it."""
    text = f"{match[1]}-{match[2]}-{match[3]}T{match[4]}:{match[5]}:{min(int(match[6]), 59):02}"
    moment = datetime.fromisoformat(text + match[8].replace("Z", "+00:00"))
    fraction = int(((match[7] or "") + "0" * 9)[:9]) + (1_000_000_000 if match[6] == "60" else 0)
    try:
        return moment.astimezone(UTC), fraction
    except OverflowError:
        return moment.replace(tzinfo=UTC), fraction
