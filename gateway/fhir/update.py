"""update: PUT [base]/{type}/{id}, and conditional update: PUT [base]/{type}?search (R4 sections 3.1.0.5, 3.1.0.5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.fhir import conditions
from gateway.fhir.create import written
from gateway.fhir.drafts import Draft, committed, only_match
from gateway.fhir.errors import BadRequest
from gateway.fhir.exchange import Answer, Request, Service
from gateway.fhir.paths import is_logical_id
from gateway.fhir.resources import check_id, condition_of, resource_of
from gateway.store.changes import Create, Update, Version
from gateway.store.errors import AlreadyExists, VersionMismatch


async def update(service: Service, request: Request) -> Answer:
    """200 with the new version, 201 where it is new; If-Match is honoured, not required."""
    (done,) = await committed(service, request, draft)
    return written(service, request.prefer.returns, done)


async def draft(service: Service, request: Request) -> Draft:
    """What the update asks of the store. Raises what makes it refused."""
    route = request.route
    if not route.id:
        return await _conditional(service, request)
    check_path_id(route.id)
    if_match = conditions.if_match(request.headers.get(b"if-match"))
    resource, text = resource_of(service, request)
    check_id(resource, route.type, route.id)
    must_be_new = conditions.must_be_new(request.headers.get(b"if-none-match"))
    return Draft((Update(route.type, route.id, resource, text, if_match=if_match, must_be_new=must_be_new),))


def check_path_id(logical_id: str) -> None:
    if not is_logical_id(logical_id):
        raise BadRequest("A logical id has 1 to 64 letters, digits, hyphens and dots.")


async def _conditional(service: Service, request: Request) -> Draft:
    resource_type = request.route.type
    condition = condition_of(service, resource_type, request.query)
    if_match = conditions.if_match(request.headers.get(b"if-match"))
    must_be_new = conditions.must_be_new(request.headers.get(b"if-none-match"))
    resource, text = resource_of(service, request)
    found = await only_match(service, request.context, condition)
    if found is not None:
        _refuse_another(found, resource, if_match, must_be_new=must_be_new)
        return Draft((Update(resource_type, found.id, resource, text, found.version),), is_guess=if_match is None)
    if if_match is not None:
        raise VersionMismatch
    if "id" not in resource:
        create = Create(resource_type, resource, text, condition=condition, refuses_match=True)
        return Draft((create,), is_guess=True)
    return _under_its_own_id(resource_type, resource, text)


def _refuse_another(found: Version, resource: Mapping[str, Any], if_match: int | None, *, must_be_new: bool) -> None:
    if must_be_new:
        raise AlreadyExists
    if resource.get("id", found.id) != found.id:
        raise BadRequest("The condition matches a resource with another id.", expression=f"{found.type}.id")
    if if_match not in (None, found.version):
        raise VersionMismatch


def _under_its_own_id(resource_type: str, resource: Mapping[str, Any], text: str) -> Draft:
    """Nothing matches and the body has an id: an update that creates, where the client may choose ids."""
    logical_id = resource["id"]
    if not isinstance(logical_id, str):
        raise BadRequest("An id is a string.", expression=f"{resource_type}.id")
    check_path_id(logical_id)
    # Whatever has this id already does not match, so it is another resource.
    return Draft((Update(resource_type, logical_id, resource, text, must_be_new=True),))
