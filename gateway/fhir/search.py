"""search of a type, a compartment or the system, by GET and by POST (R4 section 3.1.1)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.fhir.bundles import assembled, entry
from gateway.fhir.exchange import Answer, Request, Service, permit
from gateway.fhir.outcomes import render
from gateway.fhir.parameters import Pairs, link, pairs_of, value_of, without
from gateway.fhir.paths import WHOLE_COMPARTMENT, is_logical_id
from gateway.fhir.search_syntax import ParsedSearch, parse_search
from gateway.fhir.subset import View, view
from gateway.r4.issues import Issue
from gateway.store.changes import SearchPage, Version
from gateway.store.errors import NotFound

_MATCH = '"search":{"mode":"match"}'
_INCLUDE = '"search":{"mode":"include"}'


async def search(service: Service, request: Request) -> Answer:
    """The parameters of the URL and of a form count alike; the links are for GET, whichever way it was asked."""
    if request.route.member and not is_logical_id(request.route.id):
        raise NotFound
    given = request.pairs + pairs_of(request.body)
    parsed = _parsed(service, request, without(given, ("_format", "_pretty")))
    for resource_type in parsed.search.types:
        permit(request.context, resource_type, "s")
    counting = parsed.summary == "count"
    page = await service.store.search(request.context, parsed.search, count_only=counting)
    entries = [] if counting else _entries(service, page, view(parsed.summary, parsed.elements))
    entries += _remarks(parsed)
    links = _links(service, request, parsed, value_of(given, "_format"), page.next)
    return Answer(200, (), assembled("searchset", links, entries, total=page.total))


def _parsed(service: Service, request: Request, pairs: Pairs) -> ParsedSearch:
    route = request.route
    return parse_search(
        None if route.member == WHOLE_COMPARTMENT else route.member or route.type or None,
        pairs,
        strict=service.is_strict(request),
        limits=service.limits,
        compartment=(route.type, route.id) if route.member else None,
        base_url=service.base_url,
    )


def _entries(service: Service, page: SearchPage, show: View) -> list[bytes]:
    return [
        *(_entry(service, version, _MATCH, show) for version in page.matches),
        *(_entry(service, version, _INCLUDE, show) for version in page.included),
    ]


def _entry(service: Service, version: Version, mode: str, show: View) -> bytes:
    body = show(version.type, version.body) if version.body is not None else None
    return entry(service.base_url, version, mode, body)


def _remarks(parsed: ParsedSearch) -> list[bytes]:
    """What lenient handling left out, told as an OperationOutcome among the entries (R4 section 3.1.1.4.1)."""
    if not parsed.ignored:
        return []
    issues = [
        Issue("warning", "not-supported", f"http.{name}", "This parameter is not supported here and was left out.")
        for name in parsed.ignored
    ]
    return [b'{"resource":' + render(issues) + b',"search":{"mode":"outcome"}}']


def _links(
    service: Service, request: Request, parsed: ParsedSearch, format_: str | None, following: str | None
) -> Sequence[tuple[str, str]]:
    route = request.route
    path = "/".join(filter(None, (route.type, route.id, route.member)))
    used = without(parsed.self_pairs, ("_cursor",))
    if format_:
        used.append(("_format", format_))
    here = used + ([("_cursor", parsed.search.cursor)] if parsed.search.cursor else [])
    links = [("self", link(service.base_url, path, here))]
    if following:
        links.append(("next", link(service.base_url, path, [*used, ("_cursor", following)])))
    return links
