"""From a table of routes to endpoints: let in, check the form, answer errors in plain words, protect the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.people.errors import PeopleError, TryLater
from gateway.store.errors import (
    UNAVAILABLE,
    Busy,
    Forbidden,
    Gone,
    NotFound,
    StorageFailed,
    StoreError,
    VersionMismatch,
)
from gateway.web.forms import FormTooLarge, FormUnreadable, read_form
from gateway.web.headers import protect
from gateway.web.site import Site
from gateway.web.visit import ForgedForm, SeeOther, Visit

V = TypeVar("V", bound=Visit)

# Status and message of what a page cannot answer itself; the first class that fits counts.
REFUSALS: Sequence[tuple[type[Exception], int, str]] = (
    (NotFound, 404, "not-found"),
    (Gone, 404, "not-found"),
    (Forbidden, 403, "forbidden"),
    (VersionMismatch, 409, "changed-meanwhile"),
    (Busy, 503, "busy"),
    (StorageFailed, 503, "storage"),
    *((kind, 503, "storage") for kind in UNAVAILABLE),
    (StoreError, 422, "not-stored"),
    (TryLater, 429, "wait"),
    (PeopleError, 422, "refused"),
    (ForgedForm, 403, "forged"),
    (FormTooLarge, 413, "too-large"),
    (FormUnreadable, 400, "unreadable"),
)
_REFUSED = tuple(kind for kind, _, _ in REFUSALS)


@dataclass(frozen=True)
class Route(Generic[V]):
    """
    One row of a table of routes.

    visit    the kind of visit: who is let in
    streams  the handler reads the body itself and calls `check_form` itself
    """

    method: str
    path: str
    visit: type[V]
    handler: Callable[[V], Awaitable[Response]]
    streams: bool = False


def add_routes(router: APIRouter, site: Site, routes: Sequence[Route[Any]]) -> None:
    """Every row as an endpoint of the router."""
    for route in routes:
        router.add_api_route(
            route.path, _endpoint(site, route), methods=[route.method], include_in_schema=False, response_model=None
        )


def _endpoint(site: Site, route: Route[V]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            response = await _answer(site, route, request)
        except SeeOther as elsewhere:
            response = Visit(site, request).redirect(elsewhere.path)
        except _REFUSED as refusal:
            response = refused(Visit(site, request), refusal)
        return protect(response, is_https=site.is_https)

    return endpoint


async def _answer(site: Site, route: Route[V], request: Request) -> Response:
    if request.headers.get("sec-fetch-site") == "cross-site" and route.method != "GET":
        raise ForgedForm
    visit = await site.entered(route.visit, request)
    if route.method == "POST" and not route.streams:
        visit.form = await read_form(request)
        visit.check_form(visit.form.raw("csrf"))
    return await route.handler(visit)


def refused(visit: Visit, refusal: Exception) -> Response:
    """The page that says what went wrong and what to do, without a word of what was sent."""
    status, name = next((status, name) for kind, status, name in REFUSALS if isinstance(refusal, kind))
    response = visit.page("error.html", {"name": name}, status=status)
    if isinstance(refusal, TryLater):
        response.headers["Retry-After"] = str(refusal.retry_after_s)
    return response
