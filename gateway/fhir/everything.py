"""Patient/[id]/$everything: the whole record of one patient, page by page (R4 OperationDefinition Patient-everything).

It is a search of the patient's compartment, with the resources that the record refers to included; so consent, scopes
and cursors hold as in every search.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from gateway.fhir.bundles import assembled, entry
from gateway.fhir.errors import BadRequest
from gateway.fhir.exchange import Answer, Request, Service, permit
from gateway.fhir.operation_input import Inputs, inputs_of
from gateway.fhir.parameters import Pairs, link, without
from gateway.fhir.paths import is_logical_id
from gateway.fhir.search_syntax import parse_search
from gateway.r4.definitions import is_resource_type
from gateway.r4.search_parameters import compartment_parameters
from gateway.store.errors import NotFound
from gateway.store.query import Clause, Include, Not, Search

_MATCH = '"search":{"mode":"match"}'
_INCLUDE = '"search":{"mode":"include"}'
_CARE_DATES = Path(__file__).with_name("care-dates.csv")


async def everything(service: Service, request: Request) -> Answer:
    """A page of the record: matches are of the patient's compartment, the rest is what they refer to."""
    route = request.route
    if not is_logical_id(route.id):
        raise NotFound
    inputs = inputs_of(service, request)
    search = _search(service, request, inputs)
    # Who may not see the patient gets no empty record.
    await service.store.read(request.context, "Patient", route.id)
    page = await service.store.search(request.context, search)
    entries = [entry(service.base_url, version, _MATCH) for version in page.matches]
    entries += [entry(service.base_url, version, _INCLUDE) for version in page.included]
    return Answer(200, (), assembled("searchset", _links(service, request, inputs, page.next), entries))


def _search(service: Service, request: Request, inputs: Inputs) -> Search:
    wanted = _wanted_types(request, inputs)
    types = [name for name in wanted or _compartment() if name in _compartment()]
    readable = [name for name in types if _is_covered(request, name)]
    if not types:
        raise BadRequest("Name at least one type of the Patient compartment.", expression="_type")
    if not readable:
        permit(request.context, types[0], "r")
    parsed = parse_search(
        None,
        [("_type", ",".join(readable)), *_conditions(service, inputs)],
        strict=True,
        limits=service.limits,
        compartment=("Patient", request.route.id),
        base_url=service.base_url,
    )
    search = parsed.search
    where = tuple((*search.of_type(name), *_in_care(service, name, inputs)) for name in search.types)
    includes = tuple(Include(name, None, target) for name in search.types for target in wanted or (None,))
    return replace(search, where=where, includes=includes)


def _wanted_types(request: Request, inputs: Inputs) -> list[str]:
    """The types that `_type` asks for; raises NotPermitted for one that no scope covers."""
    wanted = [name for text in inputs.texts("_type") for name in text.split(",")]
    for name in wanted:
        if not is_resource_type(name):
            raise BadRequest("That is not a resource type of FHIR R4.", expression="_type")
        if not _is_covered(request, name):
            permit(request.context, name, "r")
    return wanted


def _is_covered(request: Request, resource_type: str) -> bool:
    scopes = request.context.scopes
    return scopes.permits(resource_type, "r") or scopes.permits(resource_type, "s")


@cache
def _compartment() -> tuple[str, ...]:
    """The types that can be in a patient's compartment, the patient first."""
    care = (name for name in _care_dates() if name != "Patient" and compartment_parameters("Patient", name))
    return ("Patient", *care)


def _conditions(service: Service, inputs: Inputs) -> Pairs:
    count = inputs.whole("_count")
    pairs = [("_count", str(count or service.settings.page_max))]
    if since := inputs.text("_since"):
        pairs.append(("_lastUpdated", f"ge{since.replace(' ', '+')}"))
    if cursor := inputs.text("_cursor"):
        pairs.append(("_cursor", cursor))
    return pairs


def _in_care(service: Service, resource_type: str, inputs: Inputs) -> Iterator[Clause]:
    """Neither over before `start` nor begun after `end`; what has no date of care is in the record at any time."""
    code = _care_dates()[resource_type]
    for name, prefix in (("start", "eb"), ("end", "sa")):
        if (day := inputs.text(name)) and code:
            pairs = [(code, prefix + day.replace(" ", "+"))]
            parsed = parse_search(resource_type, pairs, strict=True, limits=service.limits)
            yield from (Not(clause) for clause in parsed.search.where[0])


@cache
def _care_dates() -> dict[str, str]:
    """By type, the search parameter that says when its care took place; empty where there is none."""
    with _CARE_DATES.open(encoding="utf-8", newline="") as table:
        return {row["type"]: row["parameter"] for row in csv.DictReader(table)}


def _links(service: Service, request: Request, inputs: Inputs, following: str | None) -> list[tuple[str, str]]:
    path = f"Patient/{request.route.id}/$everything"
    given: Pairs = [(each.name, str(each.value)) for each in inputs.parameters]
    links = [("self", link(service.base_url, path, given))]
    if following:
        links.append(("next", link(service.base_url, path, [*without(given, ("_cursor",)), ("_cursor", following)])))
    return links
