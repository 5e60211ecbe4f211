"""What a write asks of the store, drafted from what is there now, and drafted anew where somebody else was quicker.

A condition or a patch depends on what is stored. The draft names the version that it was made from, the store refuses
it where that version is no longer current, and then the condition is searched and the patch applied again. So writes
that run side by side end as if each had come alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.access import AccessContext
from gateway.fhir.exchange import Request, Service
from gateway.store.changes import Change, Committed, Version
from gateway.store.errors import Busy, SeveralMatches, VersionMismatch
from gateway.store.query import Search

# Of writes that collide one wins each time, so as many as these can collide at once.
ATTEMPTS = 64


@dataclass(frozen=True, slots=True)
class Draft:
    """
    changes   none where nothing is to be done
    is_guess  the versions that the changes name are what was found, not what the client said: where one is no longer
              current, or a condition finds what was not there, draft again
    """

    changes: tuple[Change, ...]
    is_guess: bool = False


Drafting = Callable[[Service, Request], Awaitable[Draft]]


async def committed(service: Service, request: Request, draft: Drafting) -> list[Committed]:
    """What came of a write. Raises what drafting and the store raise; Busy where others were quicker every time."""
    for _ in range(ATTEMPTS):
        drafted = await draft(service, request)
        try:
            return await service.store.commit(request.context, drafted.changes)
        except VersionMismatch:
            if not drafted.is_guess:
                raise
    raise Busy


async def only_match(service: Service, context: AccessContext, condition: Search) -> Version | None:
    """The resource that a condition names in the client's world, None for none. Raises SeveralMatches."""
    found = await service.store.find(context, condition)
    if len(found) > 1:
        raise SeveralMatches
    return found[0] if found else None
