"""delete: DELETE [base]/{type}/{id}, and conditional: DELETE [base]/{type}?search (R4 sections 3.1.0.7, 3.1.0.7.1)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.fhir import conditions
from gateway.fhir.drafts import ATTEMPTS, Draft
from gateway.fhir.exchange import Answer, Request, Service, version_headers
from gateway.fhir.outcomes import informational
from gateway.fhir.paths import is_logical_id
from gateway.fhir.resources import condition_of
from gateway.store.changes import Change, Committed, Delete
from gateway.store.errors import Busy, NotFound, SeveralMatches, VersionMismatch

DELETED = "The resource is deleted."


async def delete(service: Service, request: Request) -> Answer:
    """
    204, or 200 with an outcome where Prefer asks for one; the same where it was deleted before or never there.

    R4 wants deletion to be idempotent: what the client may not see is already absent to it, and stays as it is.
    A condition on a version needs the version: then absence is 404.
    """
    kept: set[str | None] = set()
    for _ in range(ATTEMPTS):
        drafted = await draft(service, request)
        changes = [change for change in drafted.changes if change.id not in kept]
        try:
            done = await service.store.commit(request.context, changes) if changes else []
        except VersionMismatch:
            if not drafted.is_guess:
                raise
        except NotFound as error:
            if b"if-match" in request.headers:
                raise
            kept.add(changes[error.entry or 0].id)
        else:
            return deleted(request.prefer.returns, done)
    raise Busy


async def draft(service: Service, request: Request) -> Draft:
    """What the deletion asks of the store: of a condition, one change for each match. Raises what makes it refused."""
    route = request.route
    if_match = conditions.if_match(request.headers.get(b"if-match"))
    if not route.id:
        return await _conditional(service, request, if_match)
    if not is_logical_id(route.id):
        if if_match is not None:
            raise NotFound
        return Draft(())
    return Draft((Delete(route.type, route.id, if_match=if_match),))


async def _conditional(service: Service, request: Request, if_match: int | None) -> Draft:
    most = service.settings.conditional_delete_max
    condition = condition_of(service, request.route.type, request.query)
    found = await service.store.find(request.context, condition, limit=most + 1)
    if len(found) > most:
        raise SeveralMatches(f"The condition matches more resources than may be deleted at once ({most}).")
    if if_match is not None and [version.version for version in found] != [if_match]:
        raise VersionMismatch
    deletions: tuple[Change, ...] = tuple(Delete(version.type, version.id, version.version) for version in found)
    return Draft(deletions, is_guess=if_match is None)


def deleted(returns: str, done: Sequence[Committed]) -> Answer:
    """The answer to a deletion; `done` is empty where nothing was there."""
    version = done[0].version if len(done) == 1 else None
    headers = version_headers(version)[:1] if version else ()
    if returns in ("OperationOutcome", "representation"):
        text = DELETED if len(done) < 2 else f"{len(done)} resources are deleted."
        return Answer(200, headers, informational(text), version)
    return Answer(204, headers, b"", version)
