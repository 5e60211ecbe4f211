"""transaction: all entries or none, in one commit (R4 section 3.1.0.11.2).

Deletions first, then creates, then updates; reads come after the commit and see what it wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.fhir import conditions
from gateway.fhir.batch import answer_entry
from gateway.fhir.create import written
from gateway.fhir.delete import deleted
from gateway.fhir.entries import EntryRequest, responded
from gateway.fhir.errors import BadRequest, EntryRefused
from gateway.fhir.exchange import Request, Service, permit
from gateway.fhir.outcomes import REFUSALS
from gateway.fhir.paths import Route
from gateway.fhir.references import Reference, check_aliases, open_references, resolved_conditions
from gateway.fhir.resources import check_id, check_type, condition_of
from gateway.fhir.slices import Slices
from gateway.fhir.update import check_path_id, refuse_existing
from gateway.r4.parse import parse
from gateway.store.changes import Change, Committed, Create, Delete, Update
from gateway.store.errors import NotFound, StoreError

# The order in which R4 wants a transaction carried out; reads come last, whatever their place.
_ORDER = ("delete", "create", "update")
# Deletions of what is absent are answered one by one as the store finds them; more than these and the client is told.
_MOST_ABSENT = 20


@dataclass(slots=True)
class Plan:
    """
    The writes of a transaction in the order of their execution.

    changes     by the index of their entry
    references  those that only the transaction can resolve
    """

    changes: dict[int, Change] = field(default_factory=dict)
    references: list[Reference] = field(default_factory=list)


async def run(service: Service, request: Request, entries: Sequence[EntryRequest]) -> list[bytes]:
    """The response entries, in the order of the entries. Raises EntryRefused for the first entry that fails."""
    plan = await _planned(service, request, entries)
    check_aliases(plan.references, _checked_aliases(plan))
    resolved = await resolved_conditions(service, request, plan.references)
    done = await _committed(service, request, plan, resolved)
    slices = Slices()
    answered: list[bytes] = []
    for entry in entries:
        is_write = entry.index in done
        answered.append(
            _response(service, entry, done[entry.index]) if is_write else await answer_entry(service, request, entry)
        )
        await slices.turn()
    return answered


async def _planned(service: Service, request: Request, entries: Sequence[EntryRequest]) -> Plan:
    changes: dict[str, dict[int, Change]] = {code: {} for code in _ORDER}
    plan = Plan()
    slices = Slices()
    for entry in entries:
        with _naming(entry.index):
            route = entry.route()
            if route.interaction.method == "GET":
                continue
            changes[route.interaction.code][entry.index] = await _change(service, request, entry, route)
            plan.references += open_references(entry.index, entry.resource or "")
        await slices.turn()
    for code in _ORDER:
        plan.changes.update(changes[code])
    return plan


async def _change(service: Service, request: Request, entry: EntryRequest, route: Route) -> Change:
    """What the entry asks of the store. Raises what the same request alone would raise."""
    permit(request.context, route.type, route.interaction.letter)
    if_match = conditions.if_match(entry.headers.get(b"if-match"))
    if route.interaction.code == "delete":
        check_path_id(route.id)
        return Delete(route.type, route.id, if_match)
    raw = entry.resource or ""
    resource = parse(raw.encode(), max_bytes=service.settings.max_body_bytes, max_depth=service.settings.max_depth)
    check_type(resource, route.type)
    if route.interaction.code == "create":
        query = entry.headers.get(b"if-none-exist")
        condition = condition_of(service, route.type, query) if query is not None else None
        return Create(route.type, resource, raw, condition=condition, alias=entry.alias)
    check_path_id(route.id)
    check_id(resource, route.type, route.id)
    if conditions.must_be_new(entry.headers.get(b"if-none-match")):
        await refuse_existing(service, entry.request(route, request.context))
    return Update(route.type, route.id, resource, raw, if_match, alias=entry.alias)


def _checked_aliases(plan: Plan) -> set[str]:
    """The fullUrls of the writes. Raises EntryRefused where two entries share one, or change the same resource."""
    aliases: set[str] = set()
    changed: set[str] = set()
    for index, change in plan.changes.items():
        if not isinstance(change, Create):
            _add_new(changed, f"{change.type}/{change.id}", index, "Two entries change the same resource.")
        if not isinstance(change, Delete) and change.alias is not None:
            _add_new(aliases, change.alias, index, "Two entries have the same fullUrl.")
    return aliases


def _add_new(seen: set[str], item: str, index: int, otherwise: str) -> None:
    if item in seen:
        raise EntryRefused(index, BadRequest(otherwise, expression="Bundle"))
    seen.add(item)


async def _committed(
    service: Service, request: Request, plan: Plan, references: Mapping[str, str]
) -> Mapping[int, Committed | None]:
    """What came of each change; None for the deletion of what was not there. Raises EntryRefused."""
    absent: dict[int, None] = {}
    while True:
        asked = {index: change for index, change in plan.changes.items() if index not in absent}
        order = list(asked)
        try:
            done = await service.store.commit(request.context, list(asked.values()), references=references)
        except NotFound as error:
            index = order[error.entry or 0]
            if not _is_idle_deletion(asked[index]) or len(absent) == _MOST_ABSENT:
                raise EntryRefused(index, error) from error
            absent[index] = None
        except StoreError as error:
            if error.entry is None:
                raise
            raise EntryRefused(order[error.entry], error) from error
        else:
            return {**absent, **dict(zip(order, done, strict=True))}


def _is_idle_deletion(change: Change) -> bool:
    """Whether absence fulfils it: R4 answers the deletion of what is absent with success (section 3.1.0.7)."""
    return isinstance(change, Delete) and change.if_match is None


def _response(service: Service, entry: EntryRequest, done: Committed | None) -> bytes:
    returns = conditions.preference(entry.headers[b"prefer"]).returns
    if done is None or done.outcome == "deleted":
        return responded(entry, deleted(returns, done))
    return responded(entry, written(service, returns, done))


@contextmanager
def _naming(index: int) -> Iterator[None]:
    """Says of which entry a refusal speaks."""
    try:
        yield
    except REFUSALS as error:
        raise EntryRefused(index, error) from error
