"""JSON Patch on a tree that keeps its number tokens (RFC 6902, with the JSON Pointers of RFC 6901)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.r4.json_tree import MOST_LEVELS, Node, copied, is_deeper, same, size
from gateway.r4.patching import MOST_OPERATIONS, PatchFailed, PatchMalformed

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_BAD_ESCAPE = re.compile(r"~(?![01])")
_NEEDS_VALUE = frozenset(("add", "replace", "test"))
_NEEDS_FROM = frozenset(("move", "copy"))
_NAMES = _NEEDS_VALUE | _NEEDS_FROM | {"remove"}
# Copies may nest in copies: so many values may be copied and moved in all, and no patch takes long or fills the memory.
MOST_CARRIED = 200_000

Pointer = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `source` is its `from`."""

    name: str
    path: Pointer
    value: Node = None
    source: Pointer = ()


def operations(patch: Node) -> list[Operation]:
    """The operations of a patch document. Raises PatchMalformed."""
    if not isinstance(patch, list):
        raise PatchMalformed("A JSON Patch is an array of operations.")
    if len(patch) > MOST_OPERATIONS:
        raise PatchMalformed(f"A patch has at most {MOST_OPERATIONS} operations.")
    return [_operation(number, item) for number, item in enumerate(patch)]


def applied(document: Node, patch: Sequence[Operation]) -> Node:
    """
    The document after every operation, in order; the one given stays as it is.

    raises  PatchFailed for the first operation that cannot be done, or whose test fails
    """
    holder = [copied(document)]
    carried = 0
    for number, operation in enumerate(patch):
        try:
            carried += _apply(holder, operation)
        except _Fails as failure:
            raise PatchFailed(str(failure), number) from None
        if carried > MOST_CARRIED:
            raise PatchFailed("The patch copies or moves too much.", number)
    return holder[0]


class _Fails(Exception):
    """Why an operation cannot be done."""


def _operation(number: int, item: Node) -> Operation:
    if not isinstance(item, dict):
        raise PatchMalformed("An operation is an object.", number)
    name = item.get("op")
    if not isinstance(name, str) or name not in _NAMES:
        raise PatchMalformed("op must be add, remove, replace, move, copy or test.", number)
    if name in _NEEDS_VALUE and "value" not in item:
        raise PatchMalformed(f"{name} needs a value.", number)
    source = _pointer(number, item, "from") if name in _NEEDS_FROM else ()
    return Operation(name, _pointer(number, item, "path"), item.get("value"), source)


def _pointer(number: int, item: dict[str, Any], name: str) -> Pointer:
    text = item.get(name)
    if not isinstance(text, str) or (text and not text.startswith("/")) or _BAD_ESCAPE.search(text):
        raise PatchMalformed(f"{name} must be a JSON Pointer, such as /name/0/family.", number)
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


def _apply(holder: list[Node], operation: Operation) -> int:
    """Do one operation on the document in `holder`; returns how many values it copied or moved."""
    match operation.name:
        case "add":
            _add(holder, operation.path, copied(operation.value))
        case "remove":
            _remove(holder, operation.path)
        case "replace":
            _replace(holder, operation.path, copied(operation.value))
        case "test":
            if not same(_get(holder, operation.path), operation.value):
                raise _Fails("The test failed: the value is another one.")
        case "move":
            return _move(holder, operation)
        case "copy":
            found = copied(_get(holder, operation.source))
            _add(holder, operation.path, found)
            return size(found)
    return 0


def _move(holder: list[Node], operation: Operation) -> int:
    if operation.path == operation.source:
        _get(holder, operation.source)
        return 0
    if operation.path[: len(operation.source)] == operation.source:
        raise _Fails("A value cannot be moved into itself.")
    moved = _remove(holder, operation.source)
    _add(holder, operation.path, moved)
    return size(moved)


def _add(holder: list[Node], path: Pointer, value: Node) -> None:
    if is_deeper(value, MOST_LEVELS - len(path)):
        raise _Fails(f"The result would be nested deeper than {MOST_LEVELS} levels.")
    if not path:
        holder[0] = value
        return
    *above, last = path
    container = _get(holder, above)
    if isinstance(container, dict):
        container[last] = value
    elif isinstance(container, list):
        container.insert(len(container) if last == "-" else _index(last, len(container) + 1), value)
    else:
        raise _Fails("There is nothing at this path that could hold the value.")


def _remove(holder: list[Node], path: Pointer) -> Node:
    if not path:
        raise _Fails("The document itself cannot be taken away.")
    container, key = _place(holder, path)
    return container.pop(key)


def _replace(holder: list[Node], path: Pointer, value: Node) -> None:
    if not path:
        holder[0] = value
        return
    container, key = _place(holder, path)
    container[key] = value


def _get(holder: list[Node], path: Sequence[str]) -> Node:
    node = holder[0]
    for part in path:
        node = node[_key(node, part)]
    return node


def _place(holder: list[Node], path: Pointer) -> tuple[Any, str | int]:
    """The container of what is at a path, and its key there."""
    *above, last = path
    container = _get(holder, above)
    return container, _key(container, last)


def _key(container: Node, part: str) -> str | int:
    if isinstance(container, dict) and part in container:
        return part
    if isinstance(container, list):
        return _index(part, len(container))
    raise _Fails("There is nothing at this path.")


def _index(part: str, length: int) -> int:
    if not _INDEX.fullmatch(part) or int(part) >= length:
        raise _Fails("There is no such place in the array.")
    return int(part)
