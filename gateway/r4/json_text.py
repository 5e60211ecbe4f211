"""JSON as text: spans of values, so that references and meta are spliced in and number tokens are never printed anew.

Parsing to Python and printing again would turn 105.00 into 105.0; FHIR decimals carry their precision (R4, datatypes).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_scan = json.JSONDecoder().raw_decode
_blank = re.compile(r"[ \t\n\r]*").match
_BLANKS = " \t\n\r"
_string_token = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')


class Member(NamedTuple):
    """One member of an object: its name, where the name begins, where the value begins and ends."""

    name: str
    start: int
    value: int
    end: int


def members(text: str, start: int = 0) -> Iterator[Member]:
    """
    The members of the object that begins at `start` (blanks skipped), in order.

    text     JSON that has been parsed without error before
    raises   ValueError where the value is not an object
    """
    at = _skip(text, start)
    if text[at : at + 1] != "{":
        raise ValueError("not a JSON object")
    at = _skip(text, at + 1)
    while text[at] != "}":
        name_at = at
        name, at = _scan(text, at)
        value_at = _skip(text, _skip(text, at) + 1)
        _, end = _scan(text, value_at)
        yield Member(name, name_at, value_at, end)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def elements(text: str, start: int) -> Iterator[tuple[int, int]]:
    """The spans of the elements of the array that begins at `start`."""
    at = _skip(text, start)
    if text[at : at + 1] != "[":
        raise ValueError("not a JSON array")
    at = _skip(text, at + 1)
    while text[at] != "]":
        _, end = _scan(text, at)
        yield at, end
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def entry_resources(bundle: str) -> list[str | None]:
    """The text of each `entry.resource` of a Bundle, None for an entry without one."""
    for member in members(bundle):
        if member.name == "entry":
            return [_member_text(bundle, start, "resource") for start, _ in elements(bundle, member.value)]
    return []


_OURS = ("resourceType", "id", "meta")


def stored_form(text: str, resource: Mapping[str, object], logical_id: str) -> tuple[bytes, bytes]:
    """
    The resource around its version: the stored body is `head + version stamp + tail`.

    text      the resource as it was written; `resource` is the same, parsed
    returns   head ends inside `meta`, after its opening brace; tail begins with the rest of the client's meta. Versions
              and times that the client sent are dropped, everything else stays as written, in the order written.
    """
    kept: list[str] = []
    meta = ""
    missing = sum(name in resource for name in _OURS)
    following = text.index("{") + 1
    for member in members(text):
        if member.name == "meta":
            meta = "".join(
                "," + text[m.start : m.end]
                for m in members(text, member.value)
                if m.name not in ("versionId", "lastUpdated")
            )
        elif member.name not in _OURS:
            kept.append("," + text[member.start : member.end])
        following = member.end
        missing -= member.name in _OURS
        if not missing:
            # Members that this server writes itself come first as a rule; what follows is taken as it stands.
            break
    head = f'{{"resourceType":"{resource["resourceType"]}","id":"{logical_id}","meta":{{'
    return head.encode(), (meta + "}" + "".join(kept) + text[following:].strip()).encode()


def says_the_same(one: str, other: str) -> bool:
    """Whether two objects have the same members, written alike, in the same order; blanks between them do not count."""
    return one == other or _written_members(one) == _written_members(other)


def _written_members(text: str) -> list[str]:
    return [text[member.start : member.end] for member in members(text)]


def replace_strings(text: str, replacements: Mapping[str, str]) -> str:
    """The text with each complete string value that is a key of `replacements` replaced; nothing else is touched."""
    if not replacements:
        return text

    def replaced(match: re.Match[str]) -> str:
        token = match.group()
        new = replacements.get(token[1:-1])
        return token if new is None else json.dumps(new)

    return _string_token.sub(replaced, text)


def _member_text(text: str, start: int, name: str) -> str | None:
    for member in members(text, start):
        if member.name == name:
            return text[member.value : member.end]
    return None


def _skip(text: str, at: int) -> int:
    """The place of the next character that is not blank; most texts have at most one blank in a row."""
    if text[at] not in _BLANKS:
        return at
    at += 1
    return at if text[at] not in _BLANKS else _blank(text, at).end()  # type: ignore[union-attr]
