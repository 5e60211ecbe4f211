"""The landing page: who we are, and where to sign in."""

from __future__ import annotations

from starlette.responses import Response

from gateway.web.doors import Route
from gateway.web.visit import SeeOther, SignedInVisit, Visit


async def landing(visit: Visit) -> Response:
    """Signed-in people go to their own first page."""
    try:
        known = await visit.site.entered(SignedInVisit, visit.request)
    except SeeOther:
        return visit.page("landing.html")
    return visit.redirect("/today" if known.signed_in.is_patient else "/panel")


ROUTES = (Route("GET", "/", Visit, landing),)
