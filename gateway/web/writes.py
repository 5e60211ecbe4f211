"""What pages write: changes for `store.commit`, built so that what is already stored is never printed anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.r4 import json_text
from gateway.store.changes import Create, Update, Version

JSON = dict[str, Any]


def created(resource: JSON, *, alias: str | None = None, logical_id: str | None = None) -> Create:
    """A new resource."""
    return Create(resource["resourceType"], resource, _printed(resource), id=logical_id, alias=alias)


def replaced(resource: JSON, version: int) -> Update:
    """A resource that these pages made themselves, anew; refused when somebody else has changed it since."""
    return Update(resource["resourceType"], resource["id"], resource, _printed(resource), if_match=version)


def changed(stored: Version, members: Mapping[str, Any]) -> Update:
    """
    A stored resource with some members of the top level set; all others keep their text.

    stored  the version it was when it was read: the change is refused when that is no longer the current one
    """
    assert stored.body is not None, "a deleted resource is not changed"
    text = stored.body.decode()
    rest = [text[m.start : m.end] for m in json_text.members(text) if m.name not in members]
    new = [f"{json.dumps(name)}:{_printed(value)}" for name, value in members.items()]
    raw = "{" + ",".join([*rest, *new]) + "}"
    return Update(stored.type, stored.id, json.loads(raw), raw, if_match=stored.version)


def version_of(resource: JSON) -> int:
    """The version that the store stamped on a resource."""
    return int(resource["meta"]["versionId"])


def _printed(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
