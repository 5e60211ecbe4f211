"""The landing page: who we are, and where to sign in."""

from __future__ import annotations

from starlette.responses import Response

from gateway.people.authenticate import Unauthenticated
from gateway.r4.identity import new_id
from gateway.web.doors import Route
from gateway.web.visit import Visit


async def landing(visit: Visit) -> Response:
    """Signed-in people go to their own first page."""
    try:
        _, signed_in = visit.site.authenticator.session_context(
            visit.session_token, request_id=new_id(), origin=visit.address
        )
    except Unauthenticated:
        return visit.page("landing.html")
    return visit.redirect("/today" if signed_in.is_patient else "/panel")


ROUTES = (Route("GET", "/", Visit, landing),)
