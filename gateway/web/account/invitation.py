"""A new member of staff chooses a passphrase with the one-time code of an invitation."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from gateway.people.errors import CodeRefused, TryLater, Unacceptable
from gateway.people.staff import accept
from gateway.web.forms import Errors
from gateway.web.visit import Visit


async def form(visit: Visit) -> Response:
    return visit.page("account/invitation.html")


async def choose_passphrase(visit: Visit) -> Response:
    errors = Errors()
    try:
        await asyncio.to_thread(
            accept,
            visit.site.database,
            visit.site.hasher,
            code=visit.form.text("code"),
            passphrase=visit.form.raw("secret"),
            address=visit.address,
            now_us=visit.now_us,
        )
    except (CodeRefused, TryLater) as refusal:
        errors.add("code", f"activate.error.{refusal.code}")
    except Unacceptable:
        errors.add("secret", "invitation.error.secret")
    if errors:
        return visit.page("account/invitation.html", {"errors": errors.by_field}, status=422)
    return visit.redirect("/sign-in/staff")
