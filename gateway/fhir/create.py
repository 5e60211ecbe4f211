"""create: POST [base]/{type}, with If-None-Exist where it is conditional (R4 sections 3.1.0.8 and 3.1.0.8.1)."""

from __future__ import annotations

from gateway.fhir.drafts import Draft
from gateway.fhir.exchange import Answer, Header, Request, Service, version_headers
from gateway.fhir.outcomes import informational
from gateway.fhir.resources import condition_of, resource_of
from gateway.store.changes import Committed, Create, Version

SENTENCES = {
    "created": "The resource was created.",
    "updated": "The resource was updated.",
    "unchanged": "The resource was already as sent; no new version was made.",
    "matched": "A resource that fits If-None-Exist was there already; nothing was created.",
}
_CREATED_ANEW = frozenset(("created", "matched"))


async def create(service: Service, request: Request) -> Answer:
    """201 with Location and ETag; 200 where the condition found one resource, 412 where it found several."""
    drafted = await draft(service, request)
    (done,) = await service.store.commit(request.context, drafted.changes)
    return written(service, request.prefer.returns, done)


async def draft(service: Service, request: Request) -> Draft:
    """What the creation asks of the store; its condition is searched there. Raises what makes it refused."""
    resource_type = request.route.type
    resource, text = resource_of(service, request)
    condition = None
    if (query := request.headers.get(b"if-none-exist")) is not None:
        condition = condition_of(service, resource_type, query)
    return Draft((Create(resource_type, resource, text, condition=condition),))


def written(service: Service, returns: str, done: Committed) -> Answer:
    """The answer to a create or update; its body is what Prefer: return asks for (`returns`), else the resource."""
    version = done.version
    headers = version_headers(version)
    if done.outcome in _CREATED_ANEW:
        headers = (_location(service, version), *headers)
    status = 201 if done.outcome == "created" else 200
    return Answer(status, headers, _body(returns, done), version)


def _location(service: Service, version: Version) -> Header:
    url = f"{service.base_url}/{version.reference}/_history/{version.version}"
    return (b"location", url.encode())


def _body(returns: str, done: Committed) -> bytes:
    if returns == "minimal":
        return b""
    if returns == "OperationOutcome":
        return informational(SENTENCES[done.outcome])
    return done.version.body or b""
