"""A file as units to import one by one: a resource, an entry of a batch, or a whole transaction.

Files are FHIR JSON (a resource, or a Bundle of any type) or NDJSON. Text stays text, so that 1.50 does not become 1.5.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.fhir.bundle_text import BundleReader, Entry
from gateway.fhir.errors import BadRequest

JSON = dict[str, Any]

APPLE_HEALTH = (b"PK\x03\x04", b"<?xml", b"\xef\xbb\xbf<?xml")
# Bundles that are one thing, and Bundles that only carry their entries.
_WHOLE = ("document", "message")
_REFERENCE = re.compile(r'"reference"\s*:\s*"([^"\\]*)"')


class UnreadableFile(Exception):
    """The file is neither FHIR JSON nor NDJSON nor an Apple Health export."""


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """A line of NDJSON that holds no FHIR resource."""

    number: int


@dataclass(frozen=True, slots=True)
class Unit:
    """
    number   place in the file, from 1
    text     the JSON text of the resource or of the transaction
    kind     the resource type, or `transaction`
    names    what others in the file may call it: `Type/id` and its fullUrl
    request  of an entry of a batch, as it came
    """

    number: int
    text: str
    kind: str
    names: tuple[str, ...] = ()
    request: JSON = field(default_factory=dict)

    @property
    def label(self) -> str:
        """For messages."""
        return self.names[0] if self.names else self.kind

    def references(self) -> set[str]:
        """Everything it refers to, as written."""
        return set(_REFERENCE.findall(self.text)) - set(self.names)


def fingerprint(path: Path, actor: str) -> str:
    """What makes two imports the same: the content of the file and in whose name."""
    digest = hashlib.sha256(actor.encode())
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def is_health_export(path: Path) -> bool:
    """Whether the file begins like an export of the Health app."""
    with path.open("rb") as file:
        return file.read(8).startswith(APPLE_HEALTH)


def units(path: Path) -> Iterator[Unit | UnreadableLine]:
    """
    The units in order, unreadable lines in their places.

    raises  UnreadableFile where nothing can be read
    """
    if path.suffix.lower() in (".ndjson", ".jsonl"):
        yield from _lines(path)
        return
    try:
        text = path.read_text("utf-8")
        found = json.loads(text)
    except UnicodeDecodeError:
        raise UnreadableFile("the file is not UTF-8 text") from None
    except ValueError:
        yield from _lines(path)
        return
    if not isinstance(found, dict) or "resourceType" not in found:
        raise UnreadableFile("the file holds no FHIR resource")
    if found["resourceType"] == "Bundle" and found.get("type") not in _WHOLE:
        yield from _bundle(text, found)
    else:
        yield _resource(1, text, found)


def _lines(path: Path) -> Iterator[Unit | UnreadableLine]:
    with path.open(encoding="utf-8", errors="strict") as file:
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _line(number, line)
        except UnicodeDecodeError:
            raise UnreadableFile("the file is not UTF-8 text") from None


def _line(number: int, line: str) -> Unit | UnreadableLine:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict) or "resourceType" not in found:
        if number == 1:
            raise UnreadableFile("the file is neither FHIR JSON nor NDJSON")
        return UnreadableLine(number)
    return _resource(number, line.strip(), found)


def _resource(number: int, text: str, found: JSON) -> Unit:
    kind = str(found["resourceType"])
    names = (f"{kind}/{found['id']}",) if isinstance(found.get("id"), str) else ()
    return Unit(number, text, kind, names)


def _bundle(text: str, found: JSON) -> Iterator[Unit]:
    if found.get("type") == "transaction":
        yield Unit(1, text, "transaction")
        return
    try:
        for number, entry in enumerate(BundleReader(text), start=1):
            if entry.resource is not None or "request" in entry.members:
                yield _entry(number, entry, is_batch=found.get("type") == "batch")
    except BadRequest as refused:
        raise UnreadableFile(str(refused)) from None


def _entry(number: int, entry: Entry, *, is_batch: bool) -> Unit:
    resource = json.loads(entry.resource) if entry.resource is not None else {}
    unit = _resource(number, entry.resource or "", {"resourceType": "entry", **resource})
    full_url = entry.members.get("fullUrl")
    names = (*unit.names, full_url) if isinstance(full_url, str) else unit.names
    request = entry.members.get("request", {}) if is_batch else {}
    return Unit(number, unit.text, unit.kind, names, request)
