"""The ASGI application, assembled on one page: the FHIR door, the token door, the pages, and their health.

/fhir/…       FHIRApplication, a plain ASGI application: nothing stands between a client and the store but the guard
everything else is FastAPI: tokens, discovery, pages, /livez, /readyz, /metrics where it is switched on
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from gateway import VERSION
from gateway.access import AccessContext
from gateway.fhir.app import FHIRApplication
from gateway.observe.exposition import Exposition, metrics
from gateway.observe.published import publishing
from gateway.observe.requests import Observed
from gateway.people.authenticate import Authenticator, open_access_context
from gateway.people.hashing import SecretHasher, sign_in_key
from gateway.readiness import readiness
from gateway.settings import Settings
from gateway.smart.routes import router as token_routes
from gateway.smart.token import TokenServer
from gateway.store import migrations
from gateway.store.database import open_database
from gateway.store.store import Store, now_us
from gateway.web.routes import build_router as page_routes
from gateway.work.figures import figures

_DISCOVERY = "/fhir/.well-known/"

Application = Callable[[MutableMapping[str, Any], Callable[..., Awaitable[Any]], Callable[..., Awaitable[None]]], Any]


class Gateway:
    """Sends FHIR requests straight to the FHIR application and everything else through FastAPI."""

    def __init__(self, fhir: Application, pages: FastAPI) -> None:
        self._fhir = fhir
        self.pages = pages
        self._observed = Observed(pages)

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[..., Awaitable[Any]],
        send: Callable[..., Awaitable[None]],
    ) -> None:
        path: str = scope.get("path", "")
        if scope["type"] == "http" and _is_fhir(path):
            scope["root_path"] = "/fhir"
            await self._fhir(scope, receive, send)
        else:
            await self._observed(scope, receive, send)


def build_app(settings: Settings, *, open_access: bool = False) -> Gateway:
    """
    The gateway on one database. Threads start with the server's lifespan and end with it.

    open_access  every request under /fhir is answered in one named context that is audited as bypass
    """
    database = open_database(settings)
    migrations.make_ready(database)
    exposition = Exposition(settings.home, figures(database, settings, VERSION, now_us))
    store = Store(database, settings=settings)
    authenticator = Authenticator(database, settings, now_us)
    hasher = SecretHasher(sign_in_key(settings.home / "keys"))

    async def everybody(_: str | None, request_id: str, origin: str, *, afresh: bool = False) -> AccessContext:
        return open_access_context(request_id, origin)

    @contextlib.asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        await store.start()
        _settle_memory()
        with publishing(settings.home, "gateway") if settings.has_metrics else contextlib.nullcontext():
            yield
        await store.stop()
        database.close()

    pages = FastAPI(
        title="Backbridge", version=VERSION, lifespan=running, docs_url=None, redoc_url=None, openapi_url=None
    )
    pages.include_router(token_routes(TokenServer(database, hasher, settings, now_us), _address_of))
    pages.include_router(page_routes(store, database, settings))
    pages.add_api_route("/livez", _alive, include_in_schema=False)
    pages.add_api_route("/readyz", readiness(database, settings, now_us), include_in_schema=False)
    if settings.metrics_token:
        pages.add_api_route("/metrics", metrics(exposition, settings.metrics_token), include_in_schema=False)
    return Gateway(FHIRApplication(store, everybody if open_access else authenticator.known, settings), pages)


def _settle_memory() -> None:
    """
    Keep the collector away from what was compiled at start: it lives as long as the process, and walking it again
    and again costs more than many a request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _is_fhir(path: str) -> bool:
    return (path.startswith("/fhir/") or path == "/fhir") and not path.startswith(_DISCOVERY)


def _address_of(request: Request) -> str:
    return request.client.host if request.client else ""


async def _alive() -> Response:
    return JSONResponse({"status": "alive"})
