"""A member of several organisations says for which one they act."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from gateway.people import organisations, sessions
from gateway.people.errors import NotAMember
from gateway.people.tables import Organisation
from gateway.web.visit import StaffVisit


async def form(visit: StaffVisit) -> Response:
    """Also the page of those whose role sees no patients."""
    rows = await asyncio.to_thread(_own, visit)
    return visit.page("account/organisation.html", {"organisations": rows})


async def choose(visit: StaffVisit) -> Response:
    await asyncio.to_thread(_chosen, visit)
    return visit.redirect("/panel")


def _own(visit: StaffVisit) -> list[Organisation]:
    """Those in whose name the person may care for patients."""
    with visit.site.database.reading() as session:
        return [organisations.by_key(session, m.organisation) for m in visit.signed_in.members if m.is_care]


def _chosen(visit: StaffVisit) -> None:
    key = visit.form.text("organisation")
    if not key.isdigit():
        raise NotAMember
    with visit.site.database.adding() as session:
        sessions.choose_organisation(session, visit.signed_in.session, int(key), visit.now_us)
