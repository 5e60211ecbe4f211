"""delete: DELETE [base]/{type}/{id} (R4 section 3.1.0.7)."""

from __future__ import annotations

from gateway.fhir import conditions
from gateway.fhir.exchange import Answer, Request, Service, version_headers
from gateway.fhir.outcomes import informational
from gateway.fhir.paths import is_logical_id
from gateway.store.changes import Committed, Delete
from gateway.store.errors import NotFound

DELETED = "The resource is deleted."


async def delete(service: Service, request: Request) -> Answer:
    """
    204, or 200 with an outcome where Prefer asks for one; the same where it was deleted before or never there.

    R4 wants deletion to be idempotent: what the client may not see is already absent to it, and stays as it is.
    A condition on a version needs the version: then absence is 404.
    """
    route = request.route
    if_match = conditions.if_match(request.headers.get(b"if-match"))
    try:
        if not is_logical_id(route.id):
            raise NotFound
        (done,) = await service.store.commit(request.context, [Delete(route.type, route.id, if_match=if_match)])
    except NotFound:
        if if_match is not None:
            raise
        return deleted(request.prefer.returns, None)
    return deleted(request.prefer.returns, done)


def deleted(returns: str, done: Committed | None) -> Answer:
    """The answer to a deletion; `done` is None where nothing was there."""
    headers = version_headers(done.version)[:1] if done else ()
    version = done.version if done else None
    if returns in ("OperationOutcome", "representation"):
        return Answer(200, headers, informational(DELETED), version)
    return Answer(204, headers, b"", version)
