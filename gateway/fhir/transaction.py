"""transaction: all entries or none, in one commit (R4 section 3.1.0.11.2).

Deletions first, then creates, then updates and patches; reads come after the commit and see what it wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from gateway.fhir import conditions, create, delete, patch, update
from gateway.fhir.batch import answer_entry
from gateway.fhir.create import written
from gateway.fhir.drafts import ATTEMPTS, Drafting
from gateway.fhir.entries import EntryRequest, responded
from gateway.fhir.errors import BadRequest, EntryRefused
from gateway.fhir.exchange import Request, Service, permit
from gateway.fhir.operations import BY_CODE
from gateway.fhir.outcomes import REFUSALS
from gateway.fhir.paths import Route
from gateway.fhir.references import Reference, check_aliases, open_references, resolved_conditions
from gateway.fhir.slices import Slices
from gateway.store.changes import Change, Committed, Create, Delete
from gateway.store.errors import Busy, NotFound, StoreError, VersionMismatch

# The order in which R4 wants a transaction carried out; reads come last, whatever their place.
_ORDER = {"delete": 0, "create": 1, "update": 2, "patch": 2}
_DRAFTS: dict[str, Drafting] = {
    "delete": delete.draft,
    "create": create.draft,
    "update": update.draft,
    "patch": patch.draft,
}
# Deletions of what is absent are answered one by one as the store finds them; more than these and the client is told.
_MOST_ABSENT = 20


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a transaction, the entry that asks for it, and whether it rests on a guess (see drafts.Draft)."""

    entry: int
    change: Change
    is_guess: bool


@dataclass(slots=True)
class Plan:
    """
    The writes of a transaction in the order of their execution.

    writes      the entries that write, also those that come to nothing
    references  those that only the transaction can resolve
    """

    steps: list[Step] = field(default_factory=list)
    writes: set[int] = field(default_factory=set)
    references: list[Reference] = field(default_factory=list)


class _Overtaken(Exception):
    """Another request changed what the plan was made from."""


async def run(service: Service, request: Request, entries: Sequence[EntryRequest]) -> list[bytes]:
    """The response entries, in the order of the entries. Raises EntryRefused for the first entry that fails."""
    done = await _settled(service, request, entries)
    slices = Slices()
    answered: list[bytes] = []
    for entry in entries:
        is_write = entry.index in done
        answered.append(
            _response(service, entry, done[entry.index]) if is_write else await answer_entry(service, request, entry)
        )
        await slices.turn()
    return answered


async def _settled(
    service: Service, request: Request, entries: Sequence[EntryRequest]
) -> Mapping[int, Sequence[Committed]]:
    """What came of each entry that writes. Raises EntryRefused; Busy where others were quicker every time."""
    for _ in range(ATTEMPTS):
        plan = await _planned(service, request, entries)
        check_aliases(plan.references, _checked_aliases(plan))
        resolved = await resolved_conditions(service, request, plan.references)
        try:
            return await _committed(service, request, plan, resolved)
        except _Overtaken:
            continue
    raise Busy


async def _planned(service: Service, request: Request, entries: Sequence[EntryRequest]) -> Plan:
    steps: dict[int, list[Step]] = {place: [] for place in sorted({*_ORDER.values()})}
    plan = Plan()
    slices = Slices()
    for entry in entries:
        with _naming(entry.index):
            route = entry.route()
            if route.interaction.method == "GET":
                continue
            code = route.interaction.code
            if code in BY_CODE:
                _refuse_change_of_state(code)
                continue
            plan.writes.add(entry.index)
            for step in await _steps(service, request, entry, route):
                steps[_ORDER[code]].append(step)
                if not isinstance(step.change, Delete):
                    plan.references += open_references(entry.index, step.change.raw)
        await slices.turn()
    plan.steps = [step for group in steps.values() for step in group]
    return plan


def _refuse_change_of_state(code: str) -> None:
    """Operations are answered after the commit, like reads; what they change would not belong to it."""
    if BY_CODE[code].affects_state:
        raise BadRequest("An operation that changes something cannot be part of a transaction.", expression="Bundle")


async def _steps(service: Service, request: Request, entry: EntryRequest, route: Route) -> list[Step]:
    """What the entry asks of the store. Raises what the same request alone would raise."""
    interaction = route.interaction
    permit(request.context, route.type, interaction.letter)
    if interaction.code == "delete" and route.id:
        update.check_path_id(route.id)
    drafted = await _DRAFTS[interaction.code](service, entry.request(route, request.context))
    return [Step(entry.index, _known_as(entry.alias, change), drafted.is_guess) for change in drafted.changes]


def _known_as(alias: str | None, change: Change) -> Change:
    """The change under the fullUrl by which other entries refer to its resource."""
    return change if alias is None or isinstance(change, Delete) else replace(change, alias=alias)


def _checked_aliases(plan: Plan) -> set[str]:
    """The fullUrls of the writes. Raises EntryRefused where two entries share one, or change the same resource."""
    aliases: set[str] = set()
    changed: set[str] = set()
    for step in plan.steps:
        change = step.change
        if not isinstance(change, Create):
            _add_new(changed, f"{change.type}/{change.id}", step.entry, "Two entries change the same resource.")
        if not isinstance(change, Delete) and change.alias is not None:
            _add_new(aliases, change.alias, step.entry, "Two entries have the same fullUrl.")
    return aliases


def _add_new(seen: set[str], item: str, index: int, otherwise: str) -> None:
    if item in seen:
        raise EntryRefused(index, BadRequest(otherwise, expression="Bundle"))
    seen.add(item)


async def _committed(
    service: Service, request: Request, plan: Plan, references: Mapping[str, str]
) -> Mapping[int, Sequence[Committed]]:
    """What came of each entry that writes; nothing of the deletion of what was not there. Raises EntryRefused."""
    steps = plan.steps
    absent = 0
    while True:
        try:
            done = await service.store.commit(request.context, [step.change for step in steps], references=references)
        except StoreError as error:
            if error.entry is None:
                raise
            step = steps[error.entry]
            if isinstance(error, NotFound) and _is_idle_deletion(step) and absent < _MOST_ABSENT:
                steps = [each for each in steps if each is not step]
                absent += 1
            elif isinstance(error, VersionMismatch) and step.is_guess:
                raise _Overtaken from error
            else:
                raise EntryRefused(step.entry, error) from error
        else:
            return _by_entry(plan, steps, done)


def _by_entry(plan: Plan, steps: Sequence[Step], done: Sequence[Committed]) -> Mapping[int, Sequence[Committed]]:
    found: dict[int, list[Committed]] = {entry: [] for entry in plan.writes}
    for step, outcome in zip(steps, done, strict=True):
        found[step.entry].append(outcome)
    return found


def _is_idle_deletion(step: Step) -> bool:
    """Whether absence fulfils it: R4 answers the deletion of what is absent with success (section 3.1.0.7)."""
    return isinstance(step.change, Delete) and (step.change.if_match is None or step.is_guess)


def _response(service: Service, entry: EntryRequest, done: Sequence[Committed]) -> bytes:
    returns = conditions.preference(entry.headers[b"prefer"]).returns
    if entry.method == "DELETE":
        return responded(entry, delete.deleted(returns, done))
    return responded(entry, written(service, returns, done[0]))


@contextmanager
def _naming(index: int) -> Iterator[None]:
    """Says of which entry a refusal speaks."""
    try:
        yield
    except REFUSALS as error:
        raise EntryRefused(index, error) from error
