"""The ASGI application, assembled on one page: the FHIR door, the token door, the pages, and their health."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from sqlmodel import text

from gateway.access import AccessContext
from gateway.fhir.app import FHIRApplication
from gateway.people.authenticate import Authenticator, open_access_context
from gateway.settings import Settings
from gateway.smart.routes import build_router as token_routes
from gateway.store import migrations
from gateway.store.sqlite import Database
from gateway.store.store import Store, now_us
from gateway.web.routes import build_router as page_routes

VERSION = "0.1.0"


def build_app(settings: Settings, *, open_access: bool = False) -> FastAPI:
    """
    The gateway on one database. Nothing is opened before the server starts it, everything is closed when it stops.

    open_access  every request under /fhir is answered in one named context that is audited as bypass
    """
    database = Database(settings.home / "backbridge.sqlite")
    migrations.upgrade(database)
    store = Store(database, settings=settings)
    authenticator = Authenticator(database, settings, now_us)

    def authenticate(authorization: str | None, request_id: str, origin: str) -> AccessContext:
        if open_access:
            return open_access_context(request_id, origin)
        return authenticator.context(authorization, request_id=request_id, origin=origin)

    @contextlib.asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        await store.start()
        yield
        await store.stop()
        authenticator.close()
        database.close()

    app = FastAPI(title="Backbridge", version=VERSION, lifespan=running, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(token_routes(database, settings))
    app.include_router(page_routes(store, database, settings))
    app.add_api_route("/livez", _alive, include_in_schema=False)
    app.add_api_route("/readyz", _readiness(database), include_in_schema=False)
    app.mount("/fhir", FHIRApplication(store, authenticate, settings))
    return app


async def _alive() -> Response:
    return JSONResponse({"status": "alive"})


def _readiness(database: Database):  # type: ignore[no-untyped-def]
    async def ready() -> Response:
        """Ready when the database answers; otherwise 503, and a load balancer sends requests elsewhere."""
        try:
            await asyncio.to_thread(_ask, database)
        except OSError:
            return JSONResponse({"status": "not ready", "database": "no answer"}, status_code=503)
        return JSONResponse({"status": "ready", "database": "ok"})

    return ready


def _ask(database: Database) -> None:
    with database.reading() as session:
        session.connection().execute(text("SELECT 1"))
