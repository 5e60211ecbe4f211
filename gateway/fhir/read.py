"""read: GET [base]/{type}/{id} (R4 section 3.1.0.2)."""

from __future__ import annotations

from gateway.fhir.conditions import is_unchanged
from gateway.fhir.exchange import Answer, Request, Service, version_headers
from gateway.fhir.parameters import refuse_unknown
from gateway.fhir.paths import is_logical_id
from gateway.fhir.subset import View, no_view, view_of
from gateway.store.changes import Version
from gateway.store.errors import Gone, NotFound

KNOWN = frozenset(("_summary", "_elements"))


async def read(service: Service, request: Request) -> Answer:
    route = request.route
    if not is_logical_id(route.id):
        raise NotFound
    view = view_asked(service, request) if request.query else no_view
    version = await service.store.read(request.context, route.type, route.id)
    return answer_with(version, request, view)


def view_asked(service: Service, request: Request) -> View:
    """The part of the resource that the reader asks for. Raises BadRequest."""
    return view_of(refuse_unknown(request.pairs, KNOWN, strict=service.is_strict(request)))


def answer_with(version: Version, request: Request, view: View) -> Answer:
    """The version as stored, 304 where the reader has it already. Raises Gone for a deletion."""
    if version.body is None:
        raise Gone
    headers = version_headers(version)
    if is_unchanged(version, request.headers):
        return Answer(304, headers, b"", version)
    body = version.body if view is no_view else view(version.type, version.body)
    return Answer(200, headers, body, version)
