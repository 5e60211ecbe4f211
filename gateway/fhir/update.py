"""update: PUT [base]/{type}/{id} (R4 section 3.1.0.5)."""

from __future__ import annotations

from gateway.fhir import conditions
from gateway.fhir.create import written
from gateway.fhir.errors import AlreadyExists, BadRequest
from gateway.fhir.exchange import Answer, Request, Service
from gateway.fhir.paths import is_logical_id
from gateway.fhir.resources import check_id, resource_of
from gateway.store.changes import Update
from gateway.store.errors import Gone, NotFound


async def update(service: Service, request: Request) -> Answer:
    """200 with the new version, 201 where a feed's id was new; If-Match is honoured, not required."""
    route = request.route
    check_path_id(route.id)
    if_match = conditions.if_match(request.headers.get(b"if-match"))
    resource, text = resource_of(service, request)
    check_id(resource, route.type, route.id)
    if conditions.must_be_new(request.headers.get(b"if-none-match")):
        await refuse_existing(service, request)
    (done,) = await service.store.commit(
        request.context, [Update(route.type, route.id, resource, text, if_match=if_match)]
    )
    return written(service, request.prefer.returns, done)


def check_path_id(logical_id: str) -> None:
    if not is_logical_id(logical_id):
        raise BadRequest("A logical id has 1 to 64 letters, digits, hyphens and dots.")


async def refuse_existing(service: Service, request: Request) -> None:
    """Raises AlreadyExists where the client can see such a resource."""
    route = request.route
    try:
        await service.store.read(request.context, route.type, route.id)
    except (NotFound, Gone):
        return
    raise AlreadyExists
