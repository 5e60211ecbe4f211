"""What a client asks the store to change, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, Literal

from gateway.store.query import Search

POST, PUT, DELETE = 1, 2, 3
METHODS = {POST: "POST", PUT: "PUT", DELETE: "DELETE"}

Outcome = Literal["created", "updated", "unchanged", "deleted", "matched"]


@dataclass(frozen=True, slots=True)
class Create:
    """
    resource       the parsed resource; `raw` is its JSON text as sent, from which the stored bytes are spliced
    id             a fresh id of `identity.new_id`, where the caller needs it beforehand
    condition      If-None-Exist: a match is answered instead of creating
    alias          the `urn:uuid:` by which other changes of the same commit refer to this resource
    refuses_match  the condition found nothing before: where it finds something now, VersionMismatch instead
    """

    type: str
    resource: Mapping[str, Any]
    raw: str
    id: str | None = None
    condition: Search | None = None
    alias: str | None = None
    refuses_match: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """
    if_match     the version that must be current; None takes whatever is
    must_be_new  whatever is there already refuses it: AlreadyExists
    """

    type: str
    id: str
    resource: Mapping[str, Any]
    raw: str
    if_match: int | None = None
    alias: str | None = None
    must_be_new: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    type: str
    id: str
    if_match: int | None = None


Change = Create | Update | Delete


@dataclass(frozen=True, slots=True)
class Version:
    """One stored version: `body` is its JSON with id and meta, None for a deletion; `updated` in microseconds."""

    type: str
    id: str
    version: int
    updated: int
    method: int
    body: bytes | None

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"

    @property
    def etag(self) -> str:
        return f'W/"{self.version}"'

    @property
    def last_modified(self) -> str:
        """The time of the version as an HTTP date."""
        return format_datetime(datetime.fromtimestamp(self.updated // 1_000_000, UTC), usegmt=True)

    @property
    def deleted(self) -> bool:
        return self.method == DELETE


@dataclass(frozen=True, slots=True)
class Committed:
    version: Version
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class HistoryPage:
    entries: list[Version]
    total: int | None
    next: str | None


@dataclass(frozen=True, slots=True)
class SearchPage:
    matches: list[Version]
    included: list[Version]
    total: int | None
    next: str | None


@lru_cache(maxsize=1024)
def instant(microseconds: int) -> str:
    """A FHIR instant in UTC with milliseconds; the microseconds below are cut off."""
    moment = datetime.fromtimestamp(microseconds // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{microseconds % 1_000_000 // 1000:03d}Z"
