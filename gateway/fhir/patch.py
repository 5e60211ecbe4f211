"""patch: PATCH [base]/{type}/{id}, and conditional: PATCH [base]/{type}?search (R4 section 3.1.0.6, fhirpatch.html).

JSON Patch (RFC 6902) or FHIRPath Patch, by Content-Type. The stored JSON is changed as a tree that keeps number tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.fhir import conditions
from gateway.fhir.create import written
from gateway.fhir.drafts import Draft, committed, only_match
from gateway.fhir.errors import BadRequest, PatchRefused
from gateway.fhir.exchange import Answer, Request, Service, permit
from gateway.fhir.negotiate import is_json_patch
from gateway.fhir.paths import is_logical_id
from gateway.fhir.resources import condition_of
from gateway.r4 import fhirpath_patch, json_patch
from gateway.r4.json_tree import Node, NotJSON, printed, read
from gateway.r4.parse import parse
from gateway.r4.patching import PatchMalformed, PatchProblem
from gateway.store.changes import Update, Version
from gateway.store.errors import NotFound, VersionMismatch

Rewrite = Callable[[Any], Node]
"""A stored resource as a tree to what it becomes; raises ProtocolError."""

_NOT_AN_OBJECT = "The patch leaves no resource."
_IDENTITY = "A patch cannot change what a resource is or what its id is."


async def patch(service: Service, request: Request) -> Answer:
    """200 with the new version; If-Match is honoured, not required. What does not exist is 404."""
    (done,) = await committed(service, request, draft)
    return written(service, request.prefer.returns, done)


async def draft(service: Service, request: Request) -> Draft:
    """What the patch asks of the store. Raises what makes it refused."""
    return await rewritten(service, request, _rewrite_of(service, request))


async def rewritten(service: Service, request: Request, rewrite: Rewrite) -> Draft:
    """
    The update that rewrites what is stored now.

    Besides the scope to update it takes the scope to read: whether a patch fits tells what is stored.
    """
    permit(request.context, request.route.type, "r")
    if_match = conditions.if_match(request.headers.get(b"if-match"))
    current = await _current(service, request)
    if if_match not in (None, current.version):
        raise VersionMismatch
    text = _rewritten_text(service, current, rewrite)
    settings = service.settings
    resource = parse(text.encode(), max_bytes=settings.max_body_bytes, max_depth=settings.max_depth)
    change = Update(current.type, current.id, resource, text, current.version)
    return Draft((change,), is_guess=if_match is None)


async def _current(service: Service, request: Request) -> Version:
    """The version to change. Raises NotFound, Gone, SeveralMatches."""
    route = request.route
    if route.id:
        if not is_logical_id(route.id):
            raise NotFound
        return await service.store.read(request.context, route.type, route.id)
    condition = condition_of(service, route.type, request.query)
    found = await only_match(service, request.context, condition)
    if found is None:
        raise NotFound
    return found


def _rewritten_text(service: Service, current: Version, rewrite: Rewrite) -> str:
    stored = current.body or b""
    before = read(stored, max_depth=service.settings.max_depth)
    after = rewrite(before)
    if not isinstance(after, dict):
        raise PatchRefused(_NOT_AN_OBJECT, expression=current.type)
    if (after.get("resourceType"), after.get("id")) != (current.type, current.id):
        raise PatchRefused(_IDENTITY, expression=f"{current.type}.id")
    # What changes nothing must not look like a change of spelling.
    return stored.decode() if after == before else printed(after)


def _rewrite_of(service: Service, request: Request) -> Rewrite:
    """The patch of the body. Raises BadRequest."""
    kind, place = _kind_and_place(request)
    try:
        operations = kind.operations(read(request.body, max_depth=service.settings.max_depth))
    except NotJSON as problem:
        raise BadRequest(str(problem), expression=place) from None
    except PatchMalformed as problem:
        raise BadRequest(str(problem), expression=_placed(place, problem)) from None

    def rewrite(stored: Any) -> Node:
        try:
            return kind.applied(stored, operations)
        except PatchProblem as problem:
            raise PatchRefused(str(problem), expression=_placed(place, problem)) from None

    return rewrite


def _kind_and_place(request: Request) -> tuple[Any, str]:
    """The kind of patch, and what its operations are called in errors."""
    if is_json_patch(request.headers.get(b"content-type")):
        return json_patch, "patch"
    return fhirpath_patch, "Parameters.parameter"


def _placed(place: str, problem: PatchProblem) -> str:
    return place if problem.operation is None else f"{place}[{problem.operation}]"
