"""JSON as a tree whose numbers keep their tokens, so that 105.00 and 1e2 leave as they came (RFC 8259, R4 datatypes).

Objects are dicts in the order of their members, arrays are lists, numbers are `Number`; no number becomes a float.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import orjson

# As deep as gateway.r4.parse takes a resource.
MOST_LEVELS = 64

Node = Any
"""dict, list, str, bool, None or Number."""


class NotJSON(ValueError):
    """The text is not JSON, or an object in it names a key twice; the message says which."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    token: str

    @property
    def value(self) -> Decimal | str:
        """The number; its token where the exponent is beyond all counting."""
        try:
            return Decimal(self.token)
        except InvalidOperation:
            return self.token


def read(raw: bytes, *, max_depth: int = MOST_LEVELS) -> Node:
    """
    The tree of a JSON text.

    raises  NotJSON: not UTF-8, not JSON (also NaN, a lone surrogate, a number beyond double range), a key named twice,
            or nested deeper than max_depth
    """
    try:
        # The strict reader judges what Python's lets through.
        orjson.loads(raw)
        tree = json.loads(raw, parse_int=Number, parse_float=Number, parse_constant=_refuse, object_pairs_hook=_object)
    except RecursionError:
        raise NotJSON(_too_deep(max_depth)) from None
    except orjson.JSONDecodeError:
        raise NotJSON("This is not valid JSON in UTF-8.") from None
    if is_deeper(tree, max_depth):
        raise NotJSON(_too_deep(max_depth))
    return tree


def printed(tree: Node) -> str:
    """The tree as JSON text, each number as it was written."""
    return _bytes(tree).decode()


def same(left: Node, right: Node) -> bool:
    """Equality as RFC 6902 section 4.6 has it: numbers by value, objects whatever their order; true is not 1."""
    if isinstance(left, Number) and isinstance(right, Number):
        return left.value == right.value
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)


def plain(tree: Node) -> Node:
    """The tree as `gateway.r4.parse.parse` returns it, with Python's numbers: for asking, never for storing."""
    return orjson.loads(_bytes(tree))


def copied(tree: Node) -> Node:
    """A deep copy; text and numbers are shared, as nothing changes them."""
    if isinstance(tree, dict):
        return {name: copied(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [copied(value) for value in tree]
    return tree


def size(tree: Node) -> int:
    """How many values there are in the tree, itself included."""
    if isinstance(tree, dict):
        return 1 + sum(map(size, tree.values()))
    if isinstance(tree, list):
        return 1 + sum(map(size, tree))
    return 1


def is_deeper(tree: Node, levels: int) -> bool:
    """Whether objects and arrays nest deeper than so many levels; it looks no deeper than that."""
    if not isinstance(tree, (dict, list)):
        return False
    inner = tree.values() if isinstance(tree, dict) else tree
    return levels <= 0 or any(is_deeper(node, levels - 1) for node in inner)


def _object(pairs: list[tuple[str, Node]]) -> dict[str, Node]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotJSON("An object names a key more than once.")
    return members


def _refuse(_constant: str) -> NoReturn:
    raise NotJSON("NaN and Infinity are not JSON.")


def _bytes(tree: Node) -> bytes:
    return orjson.dumps(tree, default=_token, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def _token(number: Any) -> orjson.Fragment:
    return orjson.Fragment(number.token.encode())


def _too_deep(levels: int) -> str:
    return f"This is nested deeper than {levels} levels."
