"""Bytes to a JSON object, or the reasons why not (FHIR R4 JSON representation, RFC 8259)."""

import json
from collections.abc import Iterator
from typing import Any

import orjson

from gateway.r4.issues import Issue

_BOM = b"\xef\xbb\xbf"


class Unreadable(Exception):
    """The body is not a JSON object that can be judged; status is the HTTP status it deserves."""

    def __init__(self, issues: list[Issue], status: int) -> None:
        super().__init__(issues[0].diagnostics)
        self.issues = issues
        self.status = status


def parse(raw: bytes, *, max_bytes: int = 16_000_000, max_depth: int = 64) -> dict[str, Any]:
    """
    The JSON object in raw.

    raises  Unreadable: 413 when longer than max_bytes; 400 when not UTF-8, not JSON (also NaN, a byte order
            mark, a number beyond double range), nested deeper than max_depth, not an object, or when
            an object names a key twice
    """
    if len(raw) > max_bytes:
        raise _unreadable("too-long", f"The body is longer than {max_bytes} bytes.", status=413)
    tree = _load(raw)
    if not isinstance(tree, dict):
        raise _unreadable("structure", "The body must be one JSON object.")
    printed = _print(tree, max_depth)
    # Each object member has one colon outside strings, and printing keeps those inside strings, so a key
    # that was swallowed shows as a missing colon. An escaped colon (backslash u003a) would upset the count.
    if raw.count(b":") != printed.count(b":") or (b"\\" in raw and b"\\u003" in raw):
        _refuse_duplicates(raw)
    return tree


def _load(raw: bytes) -> Any:
    if raw.startswith(_BOM):
        raise _unreadable("structure", "The body starts with a byte order mark; send UTF-8 without it.")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        reason = _reason(error.msg)
        raise _unreadable("structure", f"The body is not valid JSON in UTF-8: {reason} at {place}.") from None


def _reason(message: str) -> str:
    if "infinity" in message:
        return "a number out of range"
    if "recursion" in message.lower() or "depth" in message.lower():
        return "nesting too deep"
    return "unexpected text"


def _print(tree: dict[str, Any], max_depth: int) -> bytes:
    """The tree as indented JSON, where depth shows as the width of an indent."""
    too_deep = _unreadable("too-costly", f"The body is nested deeper than {max_depth} levels.")
    try:
        printed = orjson.dumps(tree, option=orjson.OPT_INDENT_2)
    except orjson.JSONEncodeError:
        raise too_deep from None
    if b"\n" + b"  " * (max_depth + 1) in printed:
        raise too_deep
    return printed


def _refuse_duplicates(raw: bytes) -> None:
    doubled: dict[int, list[str]] = {}

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            names = [name for name, _ in pairs]
            doubled[id(members)] = sorted({name for name in names if names.count(name) > 1})
        # The objects of a swallowed member must stay alive, or their ids could be given to others.
        kept.append(members)
        return members

    kept: list[dict[str, Any]] = []
    tree = json.loads(raw, object_pairs_hook=keep, parse_int=str, parse_float=str)
    if doubled:
        paths = list(_paths(tree, tree.get("resourceType", ""), doubled)) or [""]
        raise Unreadable([Issue("error", "structure", path, _TWICE) for path in paths], 400)


_TWICE = "An object names this key more than once."


def _paths(node: Any, path: str, doubled: dict[int, list[str]]) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (_join(path, name) for name in doubled.get(id(node), ()))
        for key, value in node.items():
            yield from _paths(value, _join(path, key), doubled)
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _paths(item, f"{path}[{index}]", doubled)


def _join(path: str, key: str) -> str:
    shown = key if key.removeprefix("_").isalnum() and key.isascii() else "(other)"
    return f"{path}.{shown}" if path else shown


def _unreadable(code: str, text: str, status: int = 400) -> Unreadable:
    return Unreadable([Issue("error", code, "", text)], status)
