"""What the job child reads and writes of one patient: resources by identifier, all pages of a search, their labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from gateway.access import AccessContext
from gateway.fhir.search_syntax import parse_search
from gateway.r4.search_parameters import PARAMETERS
from gateway.store.changes import Create, Update
from gateway.store.query import Match, Search, Token
from gateway.store.store import Store

JSON = dict[str, Any]

SYNTHETIC = {"system": "https://backbridge.example/tags", "code": "synthetic", "display": "Synthetic data"}
_PAGE = 500


def by_identifier(resource: Mapping[str, Any]) -> Search:
    """The search for resources of this type with the resource's first identifier."""
    kind, identifier = resource["resourceType"], resource["identifier"]
    first = identifier[0] if isinstance(identifier, list) else identifier
    clause = Match(PARAMETERS[kind]["identifier"], (Token(first["value"], first["system"]),))
    return Search(types=(kind,), where=((clause,),), count=2)


async def known(store: Store, context: AccessContext, resource: Mapping[str, Any]) -> JSON | None:
    """The stored resource with the same identifier."""
    found = await store.find(context, by_identifier(resource), limit=1)
    return _parsed(found[0].body) if found else None


async def every(store: Store, context: AccessContext, query: str) -> list[JSON]:
    """All matches of a search written as FHIR says it, `Observation?subject=Patient/1`."""
    kind, _, parameters = query.partition("?")
    search = replace(parse_search(kind, parse_qsl(parameters), strict=True).search, count=_PAGE)
    found: list[JSON] = []
    while True:
        page = await store.search(context, search)
        found += [_parsed(version.body) for version in page.matches]
        if page.next is None:
            return found
        search = replace(search, cursor=page.next)


def created(resource: JSON, *, alias: str | None = None, is_conditional: bool = True) -> Create:
    """A new resource; by default only where none has its identifier."""
    condition = by_identifier(resource) if is_conditional else None
    return Create(resource["resourceType"], resource, _printed(resource), condition=condition, alias=alias)


def updated(stored: JSON, content: JSON, *, alias: str | None = None) -> Update:
    """The stored resource with new content; refused when somebody has changed it meanwhile."""
    resource = {**content, "id": stored["id"]}
    return Update(
        stored["resourceType"],
        stored["id"],
        resource,
        _printed(resource),
        if_match=int(stored["meta"]["versionId"]),
        alias=alias,
    )


def says_the_same(stored: JSON, content: JSON, *, but: tuple[str, ...] = ()) -> bool:
    """Whether both say the same, apart from id, meta and the members named in `but`."""
    left_out = {"id", "meta", *but}
    one, other = ({k: v for k, v in each.items() if k not in left_out} for each in (stored, content))
    return one == other


def labelled_like(source: JSON, resource: JSON) -> JSON:
    """The resource, marked as synthetic where what it is made from is."""
    tags = [tag for tag in source.get("meta", {}).get("tag", ()) if tag.get("code") == SYNTHETIC["code"]]
    if not any(tag.get("system") == SYNTHETIC["system"] for tag in tags):
        return resource
    return {**resource, "meta": {**resource.get("meta", {}), "tag": [SYNTHETIC]}}


def _printed(resource: JSON) -> str:
    return json.dumps(resource, ensure_ascii=False, separators=(",", ":"))


def _parsed(body: bytes | None) -> JSON:
    assert body is not None, "searches find no deletions"
    parsed: JSON = json.loads(body)
    return parsed
