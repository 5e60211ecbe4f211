"""batch: entries that know nothing of each other, each with its own answer (R4 section 3.1.0.11.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.fhir.entries import EntryRequest, perform, refused, responded
from gateway.fhir.exchange import Request, Service
from gateway.fhir.outcomes import EXPECTED, failure_of

# Entries run side by side, so that one fsync makes many of them durable; few enough to leave room for other clients.
SIDE_BY_SIDE = 16


async def run(service: Service, request: Request, entries: Sequence[EntryRequest]) -> list[bytes]:
    """The response entries, in the order of the entries."""
    answered: list[bytes] = []
    for start in range(0, len(entries), SIDE_BY_SIDE):
        window = entries[start : start + SIDE_BY_SIDE]
        answered += await asyncio.gather(*(answer_entry(service, request, entry) for entry in window))
    return answered


async def answer_entry(service: Service, request: Request, entry: EntryRequest) -> bytes:
    """The response entry of one entry, whether it succeeded or was refused."""
    try:
        return responded(entry, await perform(service, entry, request.context))
    except EXPECTED as error:
        return refused(failure_of(error))
