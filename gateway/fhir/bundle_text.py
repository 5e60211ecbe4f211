"""A Bundle read entry by entry from its text, so that a large one can be read in slices between other requests.

Resources come out as the text that the client wrote, for number tokens are never printed anew; they are judged by
`gateway.r4.parse` afterwards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway.fhir.errors import BadRequest

_scan = json.JSONDecoder().raw_decode
_blank = re.compile(r"[ \t\n\r]*").match


@dataclass(slots=True)
class Entry:
    """One `Bundle.entry`: its members but for the resource, and the resource as text, None where there is none."""

    members: dict[str, Any] = field(default_factory=dict)
    resource: str | None = None


class BundleReader:
    """
    Reads one Bundle: iterate over the entries, then look at `members`, the Bundle's own but for `entry`.

    raises  BadRequest where the text is not JSON, a member is named twice, or `entry` is not a list of objects
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.members: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Entry]:
        try:
            yield from self._read_bundle()
        # The text may end anywhere (IndexError), or nest deeper than the scanner follows (RecursionError).
        except (ValueError, IndexError, RecursionError):
            raise BadRequest("The body is not a Bundle in valid JSON.", expression="Bundle") from None

    def _read_bundle(self) -> Iterator[Entry]:
        self._expect("{")
        for name in self._names():
            if name == "entry":
                yield from self._read_entries()
            else:
                self.members[name] = self._value()
        self._at = self._skipped()
        if self._at != len(self._text):
            raise ValueError

    def _read_entries(self) -> Iterator[Entry]:
        self._expect("[")
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield self._read_entry()
            if self._follows("]"):
                return

    def _read_entry(self) -> Entry:
        entry = Entry()
        self._expect("{")
        for name in self._names():
            if name == "resource":
                start = self._skipped()
                self._value()
                entry.resource = self._text[start : self._at]
            else:
                entry.members[name] = self._value()
        return entry

    def _names(self) -> Iterator[str]:
        """The names of the object that was just entered; the caller reads each value before the next name."""
        seen: set[str] = set()
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            name = self._value()
            if not isinstance(name, str) or name in seen:
                raise ValueError
            seen.add(name)
            self._expect(":")
            yield name
            if self._follows("}"):
                return

    def _value(self) -> Any:
        value, self._at = _scan(self._text, self._skipped())
        return value

    def _follows(self, end: str) -> bool:
        """Whether the container ends here; otherwise a comma is read. Raises ValueError for anything else."""
        following = self._peek()
        self._at += 1
        if following not in (end, ","):
            raise ValueError
        return following == end

    def _peek(self) -> str:
        self._at = self._skipped()
        return self._text[self._at]

    def _expect(self, character: str) -> None:
        if self._peek() != character:
            raise ValueError
        self._at += 1

    def _skipped(self) -> int:
        match = _blank(self._text, self._at)
        return match.end() if match else self._at
