"""Signing in and out: patients with the name and PIN they chose, staff with e-mail and passphrase."""

from __future__ import annotations

import asyncio
import re

from starlette.responses import Response

from gateway.people import sessions, sign_in
from gateway.people.errors import SignInRefused, TryLater
from gateway.people.sign_in import Browser
from gateway.web.visit import SignedInVisit, Visit

_OWN_PATH = re.compile(r"/(?!/)[A-Za-z0-9/_\-.]*\Z")


async def choose(visit: Visit) -> Response:
    """Two doors."""
    return visit.page("account/sign_in.html", {"back": own_path(visit.query("next"))})


async def patient_form(visit: Visit) -> Response:
    return visit.page("account/sign_in_patient.html", {"back": own_path(visit.query("next"))})


async def staff_form(visit: Visit) -> Response:
    return visit.page("account/sign_in_staff.html", {"back": own_path(visit.query("next"))})


async def patient(visit: Visit) -> Response:
    form = visit.form
    try:
        started = await asyncio.to_thread(
            sign_in.patient,
            visit.site.database,
            visit.site.hasher,
            handle=form.text("handle"),
            secret=form.raw("secret"),
            browser=_browser(visit),
            now_us=visit.now_us,
        )
    except (SignInRefused, TryLater) as refusal:
        return _again(visit, "account/sign_in_patient.html", refusal)
    visit.begin_session(started)
    return visit.redirect(own_path(form.text("back")) or "/today")


async def staff(visit: Visit) -> Response:
    form = visit.form
    try:
        started = await asyncio.to_thread(
            sign_in.staff,
            visit.site.database,
            visit.site.hasher,
            email=form.text("email"),
            passphrase=form.raw("secret"),
            browser=_browser(visit),
            now_us=visit.now_us,
        )
    except (SignInRefused, TryLater) as refusal:
        return _again(visit, "account/sign_in_staff.html", refusal)
    visit.begin_session(started)
    return visit.redirect(own_path(form.text("back")) or "/panel")


async def sign_out(visit: SignedInVisit) -> Response:
    """The session ends here and in the database."""
    token = visit.session_token
    assert token is not None, "nobody is signed in without one"
    await asyncio.to_thread(_end, visit, token)
    visit.end_session()
    return visit.redirect("/")


def own_path(path: str) -> str:
    """A path of this site to come back to; empty for anything else, such as another site's address."""
    return path if _OWN_PATH.match(path) else ""


def _end(visit: SignedInVisit, token: str) -> None:
    with visit.site.database.adding() as session:
        sessions.end_token(session, token, visit.now_us)


def _browser(visit: Visit) -> Browser:
    return Browser(visit.address, visit.site.session_life_us(), visit.session_token)


def _again(visit: Visit, template: str, refusal: SignInRefused | TryLater) -> Response:
    minutes = -(-refusal.retry_after_s // 60) if isinstance(refusal, TryLater) else 0
    values = {"refusal": refusal.code, "minutes": minutes, "back": own_path(visit.form.text("back"))}
    return visit.page(template, values, status=429 if minutes else 422)
