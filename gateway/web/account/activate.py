"""Activation: the code from the clinic, a name to sign in with, a PIN or passphrase (product S1)."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from gateway.people import care, patients, sessions
from gateway.people.errors import AlreadyExists, CodeRefused, TryLater, Unacceptable
from gateway.people.patients import Activated
from gateway.people.sessions import Started
from gateway.web.forms import Errors
from gateway.web.visit import Visit

_FIELDS = {"code": "code", "handle": "handle", "email": "handle", "exists": "handle"}


async def form(visit: Visit) -> Response:
    return visit.page("account/activate.html")


async def activate(visit: Visit) -> Response:
    """Open the account and sign in with it; the plan engine may work for this person from now on."""
    errors = _missing(visit)
    if not errors:
        try:
            started = await asyncio.to_thread(_activated, visit)
        except (CodeRefused, Unacceptable, AlreadyExists, TryLater) as refusal:
            errors.add(_FIELDS.get(refusal.code, "secret"), f"activate.error.{refusal.code}")
        else:
            visit.begin_session(started)
            return visit.redirect("/start")
    return visit.page("account/activate.html", {"errors": errors.by_field}, status=422)


def _missing(visit: Visit) -> Errors:
    errors = Errors()
    for name in ("code", "handle", "secret"):
        if not visit.form.text(name):
            errors.add(name, f"activate.missing.{name}")
    return errors


def _activated(visit: Visit) -> Started:
    site, entered = visit.site, visit.form
    activated = patients.redeem(
        site.database,
        site.hasher,
        code=entered.text("code"),
        handle=entered.text("handle"),
        secret=entered.raw("secret"),
        address=visit.address,
        now_us=visit.now_us,
    )
    care.admit_plan_engine(site.database, activated.account.key)
    return _signed_in(visit, activated)


def _signed_in(visit: Visit, activated: Activated) -> Started:
    """The code has just proved who this is: no second sign-in."""
    account = activated.account
    with visit.site.database.adding() as session:
        return sessions.start(
            session,
            person=account.key,
            reference=account.reference,
            now_us=visit.now_us,
            life_us=visit.site.session_life_us(),
            previous=visit.session_token,
        )
