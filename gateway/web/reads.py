"""What pages read: guarded searches written as FHIR says them, answered as parsed resources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.access import AccessContext
from gateway.fhir.search_syntax import parse_search
from gateway.store.changes import Version
from gateway.store.errors import Gone, NotFound
from gateway.store.store import Store

JSON = dict[str, Any]
_PAGE = "500"
_MOST_PAGES = 10


@dataclass(frozen=True, slots=True)
class Reads:
    """The store as one person sees it."""

    store: Store
    context: AccessContext

    async def read(self, resource_type: str, logical_id: str) -> JSON:
        """NotFound, Gone."""
        return resource(await self.store.read(self.context, resource_type, logical_id))

    async def find(self, reference: str) -> JSON | None:
        """The resource behind `Type/id` or `Type/id/_history/n` as it was then; None where it cannot be seen."""
        parts = reference.split("/")
        try:
            if len(parts) == 4 and parts[2] == "_history" and parts[3].isdigit():
                return resource(await self.store.vread(self.context, parts[0], parts[1], int(parts[3])))
            if len(parts) == 2:
                return await self.read(parts[0], parts[1])
        except (NotFound, Gone):
            pass
        return None

    async def first(self, resource_type: str, **parameters: str) -> JSON | None:
        """The first match."""
        found = await self._page(resource_type, {**parameters, "_count": "1"}, None)
        return found[0][0] if found[0] else None

    async def some(self, resource_type: str, count: int, **parameters: str) -> list[JSON]:
        """The first `count` matches."""
        return (await self._page(resource_type, {**parameters, "_count": str(count)}, None))[0]

    async def every(self, resource_type: str, **parameters: str) -> list[JSON]:
        """All matches, up to some thousands: enough for years of one person, or a page of patients."""
        found: list[JSON] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            matches, cursor = await self._page(resource_type, {**parameters, "_count": _PAGE}, cursor)
            found += matches
            if cursor is None:
                break
        return found

    async def page(
        self, resource_type: str, cursor: str | None, count: int, **parameters: str
    ) -> tuple[list[JSON], str | None]:
        """One page, and the cursor of the next."""
        return await self._page(resource_type, {**parameters, "_count": str(count)}, cursor)

    async def _page(
        self, resource_type: str, parameters: Mapping[str, str], cursor: str | None
    ) -> tuple[list[JSON], str | None]:
        search = parse_search(resource_type, list(parameters.items()), strict=True).search
        found = await self.store.search(self.context, replace(search, cursor=cursor) if cursor else search)
        return [resource(version) for version in found.matches], found.next


def resource(version: Version) -> JSON:
    """The stored resource; Gone when the version is a deletion."""
    if version.body is None:
        raise Gone
    parsed: JSON = json.loads(version.body)
    return parsed
