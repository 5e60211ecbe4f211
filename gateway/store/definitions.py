"""Definitions by canonical URL, as a context may see them: what a resource that names them is judged against."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

from gateway.r4.search_parameters import PARAMETERS
from gateway.store.changes import Version
from gateway.store.query import Clause, Match, Search, Sort, Token, Uri

Look = Callable[[Search], Awaitable[Sequence[Version]]]


async def definition(look: Look, resource_type: str, url: str, version: str) -> dict[str, Any] | None:
    """
    The definition of a canonical that was stored last; None where there is none to see.

    look     runs a search under the guard
    version  business version; empty for any
    """
    parameters = PARAMETERS[resource_type]
    where: list[Clause] = [Match(parameters["url"], (Uri(url),))]
    if version:
        where.append(Match(parameters["version"], (Token(version),)))
    newest = Sort("_lastUpdated", descending=True)
    found = await look(Search(types=(resource_type,), where=(tuple(where),), sort=(newest,), count=1))
    return next((orjson.loads(each.body) for each in found if each.body is not None), None)
