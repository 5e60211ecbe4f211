"""batch and transaction: POST [base] with a Bundle (R4 section 3.1.0.11): reading the entries, then one of the two."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.fhir import batch, transaction
from gateway.fhir.bundle_text import BundleReader, Entry
from gateway.fhir.bundles import assembled
from gateway.fhir.entries import EntryRequest, read_entry
from gateway.fhir.errors import BadRequest, EntryRefused, TooManyEntries
from gateway.fhir.exchange import Answer, Request, Service
from gateway.fhir.outcomes import REFUSALS
from gateway.fhir.slices import Slices

_RUNNERS = {"batch": batch.run, "transaction": transaction.run}


async def bundle(service: Service, request: Request) -> Answer:
    reader = BundleReader(_text(request.body))
    entries = await _gathered(reader, service.settings.max_bundle_entries)
    if reader.members.get("resourceType") != "Bundle":
        raise BadRequest("POST to the base takes a Bundle.", expression="Bundle")
    runner = _RUNNERS.get(str(reader.members.get("type")))
    if runner is None:
        raise BadRequest("The Bundle must be of type batch or transaction.", expression="Bundle.type")
    answered = await runner(service, request, _requests(service, request, entries))
    return Answer(200, (), assembled(f"{reader.members['type']}-response", (), answered))


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise BadRequest("The body is not UTF-8.", expression="Bundle") from None


async def _gathered(reader: Iterable[Entry], most: int) -> list[Entry]:
    entries: list[Entry] = []
    slices = Slices()
    for entry in reader:
        if len(entries) == most:
            raise TooManyEntries
        entries.append(entry)
        await slices.turn()
    return entries


def _requests(service: Service, request: Request, entries: Iterable[Entry]) -> list[EntryRequest]:
    """The entries as requests. An entry without a proper `request` spoils the whole Bundle: it cannot be answered."""
    found = []
    for index, entry in enumerate(entries):
        try:
            found.append(read_entry(service.base_url, request.headers, index, entry))
        except REFUSALS as error:
            raise EntryRefused(index, error) from error
    return found
