"""What an installation holds after the faults: every version, its audit and the work that it called for."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, text

from gateway.r4.definitions import type_name
from gateway.store.changes import METHODS
from gateway.store.database import Database

JSON = dict[str, Any]


@dataclass(frozen=True)
class StoredVersion:
    type: str
    id: str
    number: int
    method: str
    resource: JSON


class Stored:
    """All versions by resource, in order; fails where versions, current rows and audit do not agree."""

    def __init__(self, session: Session) -> None:
        self.versions: dict[tuple[str, str], list[StoredVersion]] = defaultdict(list)
        for version in _history(session):
            self.versions[version.type, version.id].append(version)
        self._check_current(session)
        self._check_audit(session)
        self.work = Counter(_rows(session, "SELECT kind, state FROM outbox"))
        for versions in self.versions.values():
            assert [version.number for version in versions] == list(range(1, len(versions) + 1)), "versions are missing"

    @classmethod
    def in_database(cls, database: Database) -> Stored:
        with database.reading() as session:
            return cls(session)

    def of(self, resource_type: str) -> Iterator[list[StoredVersion]]:
        """The versions of each resource of a type."""
        return (versions for (kind, _), versions in self.versions.items() if kind == resource_type)

    def current(self, resource_type: str) -> Iterator[JSON]:
        return (versions[-1].resource for versions in self.of(resource_type) if versions[-1].method != "DELETE")

    def _check_current(self, session: Session) -> None:
        rows = _rows(session, "SELECT type, id, version, deleted FROM resource")
        current = {
            (type_name(kind), logical_id): (version, bool(deleted)) for kind, logical_id, version, deleted in rows
        }
        ends = {key: (len(versions), versions[-1].method == "DELETE") for key, versions in self.versions.items()}
        assert current == ends, "what is current is not the last version"

    def _check_audit(self, session: Session) -> None:
        rows = _rows(session, "SELECT DISTINCT type, resource_id, version, interaction FROM write_audit")
        audited = Counter((type_name(kind), logical_id, version, what) for kind, logical_id, version, what in rows)
        written = Counter(
            (each.type, each.id, each.number, each.method.lower())
            for versions in self.versions.values()
            for each in versions
        )
        assert audited == written, "a write without its audit, or an audit without its write"


def _history(session: Session) -> Iterator[StoredVersion]:
    for kind, logical_id, number, method, body in _rows(
        session, "SELECT type, id, version, method, body FROM history ORDER BY seq"
    ):
        resource = json.loads(bytes(body)) if body is not None else {}
        yield StoredVersion(type_name(kind), logical_id, number, METHODS[method], resource)


def _rows(session: Session, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in session.connection().execute(text(sql))]
