"""All pages as one router: `build_router` is what the application includes."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.people.authenticate import Authenticator
from gateway.people.hashing import SecretHasher, sign_in_key
from gateway.settings import Settings
from gateway.store.database import Database
from gateway.store.store import Store
from gateway.web import account, clinician, landing, patient
from gateway.web.doors import add_routes
from gateway.web.headers import protect
from gateway.web.site import Site, environment, static_files


def build_router(store: Store, database: Database, settings: Settings) -> APIRouter:
    """The pages of one installation."""
    static = static_files()
    site = Site(
        store=store,
        database=database,
        settings=settings,
        authenticator=Authenticator(database, settings, store.clock),
        hasher=SecretHasher(sign_in_key(settings.home / "keys")),
        clock=store.clock,
        static=static,
        templates=environment(static),
    )

    router = APIRouter()
    for routes in (landing.ROUTES, account.ROUTES, patient.ROUTES, clinician.ROUTES):
        add_routes(router, site, routes)
    _add_static(router, site)
    return router


def _add_static(router: APIRouter, site: Site) -> None:
    async def static_file(request: Request) -> Response:
        found = site.static.get(request.path_params["name"])
        response = found.response() if found else PlainTextResponse("not found", status_code=404)
        return protect(response, is_https=site.is_https)

    router.add_api_route("/static/{name}", static_file, include_in_schema=False, response_model=None)
