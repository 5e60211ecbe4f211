"""One request of one browser: who it is, what it may do, and how the answer is rendered."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.access import AccessContext
from gateway.people import sessions
from gateway.people.authenticate import Member, SignedIn, Unauthenticated
from gateway.people.sessions import Started
from gateway.r4.identity import new_id
from gateway.web.dates import Dates, moment_of
from gateway.web.forms import Form
from gateway.web.messages import messages, preferred
from gateway.web.reads import Reads
from gateway.web.site import Site


class SeeOther(Exception):
    """The page is elsewhere: answer 303."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class ForgedForm(Exception):
    """A form that did not come from a page of this session."""


class Visit:
    """Anybody's request. `form` is filled in for a POST, once its token has been checked."""

    def __init__(self, site: Site, request: Request) -> None:
        self.site = site
        self.request = request
        self.form = Form()
        self.now_us = site.clock()
        self.messages = messages(preferred(request.headers.get("accept-language", "")))
        self.dates = Dates(self.messages, site.zone, moment_of(self.now_us))
        self._fresh_cookies: dict[str, tuple[str, int | None]] = {}

    # -- who asks ----------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The address the request comes from, for rate limits and the audit log."""
        return self.request.client.host if self.request.client else ""

    @property
    def session_token(self) -> str | None:
        return self.request.cookies.get(self._cookie_name("session"))

    def path(self, name: str) -> str:
        """A parameter of the address."""
        return str(self.request.path_params[name])

    def query(self, name: str) -> str:
        return self.request.query_params.get(name, "")

    # -- forms that nobody else may send -----------------------------------------------------------------------------

    @property
    def form_token(self) -> str:
        """The token of a form before sign-in: it must equal a cookie that other origins cannot read or set."""
        name = self._cookie_name("form")
        found = self.request.cookies.get(name)
        if found is None:
            found = self._fresh_cookies.setdefault(name, (secrets.token_urlsafe(32), None))[0]
        return found

    def check_form(self, presented: str) -> None:
        """ForgedForm unless the token that came with the form is the browser's own."""
        expected = self.request.cookies.get(self._cookie_name("form"), "")
        if not expected or not hmac.compare_digest(expected.encode(), presented.encode("utf-8", "replace")):
            raise ForgedForm

    # -- answers -----------------------------------------------------------------------------------------------------

    def page(self, template: str, values: Mapping[str, Any] | None = None, *, status: int = 200) -> Response:
        """The rendered template."""
        text = self.site.templates.get_template(template).render({**self._always(), **(values or {})})
        return self._with_cookies(HTMLResponse(text, status_code=status))

    def redirect(self, path: str) -> Response:
        """303 to another page."""
        return self._with_cookies(RedirectResponse(path, status_code=303))

    def begin_session(self, started: Started) -> None:
        """The answer carries the cookie of a new session, and what was known before sign-in ends."""
        self._fresh_cookies[self._cookie_name("session")] = (started.token, None)
        self._fresh_cookies[self._cookie_name("form")] = ("", 0)

    def end_session(self) -> None:
        self._fresh_cookies[self._cookie_name("session")] = ("", 0)

    def _always(self) -> dict[str, Any]:
        return {
            "t": self.messages,
            "n": self.messages.count,
            "number": self.messages.number,
            "when": self.dates,
            "lang": self.messages.language,
            "csrf": lambda: self.form_token,
            "here": self.request.url.path,
            "visitor": "",
            "demo": self.site.settings.demo,
            "form": self.form,
            "errors": {},
        }

    def _cookie_name(self, name: str) -> str:
        # The prefix makes browsers insist on Secure, Path=/ and no Domain; it needs https.
        return f"__Host-{name}" if self.site.is_https else f"backbridge-{name}"

    def _with_cookies(self, response: Response) -> Response:
        for name, (value, max_age) in self._fresh_cookies.items():
            response.set_cookie(
                name, value, max_age=max_age, path="/", secure=self.site.is_https, httponly=True, samesite="lax"
            )
        return response


class SignedInVisit(Visit):
    """The request of somebody with a session."""

    def __init__(self, site: Site, request: Request) -> None:
        super().__init__(site, request)
        self.context, self.signed_in = self._enter()
        self.reads = Reads(site.store, self.context)

    def _enter(self) -> tuple[AccessContext, SignedIn]:
        try:
            return self.site.authenticator.session_context(self.session_token, request_id=new_id(), origin=self.address)
        except Unauthenticated:
            raise SeeOther(self.sign_in_path()) from None

    def sign_in_path(self) -> str:
        """Where to sign in, and the page to come back to."""
        back = self.request.url.path if self.request.method == "GET" else ""
        return f"/sign-in?next={quote(back)}" if back not in ("", "/") else "/sign-in"

    async def keep_alive(self) -> None:
        """Note that the session is in use, once a minute at most."""
        session = self.signed_in.session
        if self.now_us - session.seen >= timedelta(minutes=1) // timedelta(microseconds=1):
            await asyncio.to_thread(sessions.touch, self.site.database, session, self.now_us)

    @property
    def form_token(self) -> str:
        return self.signed_in.session.csrf

    def check_form(self, presented: str) -> None:
        if not sessions.csrf_matches(self.signed_in.session, presented):
            raise ForgedForm


class PatientVisit(SignedInVisit):
    """The request of a patient."""

    def _enter(self) -> tuple[AccessContext, SignedIn]:
        context, signed_in = super()._enter()
        if not signed_in.is_patient:
            raise SeeOther("/panel")
        return context, signed_in

    @property
    def patient_id(self) -> str:
        return self.signed_in.session.reference.partition("/")[2]

    @property
    def patient_key(self) -> int:
        return self.signed_in.session.person

    @property
    def reference(self) -> str:
        return self.signed_in.session.reference

    def _always(self) -> dict[str, Any]:
        return {**super()._always(), "visitor": "patient"}


class StaffVisit(SignedInVisit):
    """The request of a member of staff, who may not have chosen an organisation yet."""

    def _enter(self) -> tuple[AccessContext, SignedIn]:
        context, signed_in = super()._enter()
        if signed_in.is_patient:
            raise SeeOther("/today")
        return context, signed_in

    def _always(self) -> dict[str, Any]:
        return {**super()._always(), "visitor": "staff"}


class ClinicVisit(StaffVisit):
    """The request of a member of staff who acts for an organisation that cares for patients."""

    def _enter(self) -> tuple[AccessContext, SignedIn]:
        context, signed_in = super()._enter()
        if signed_in.member is None or not signed_in.member.is_care:
            raise SeeOther("/organisation")
        return context, signed_in

    @property
    def member(self) -> Member:
        member = self.signed_in.member
        assert member is not None, "_enter lets nobody in without one"
        return member

    def _always(self) -> dict[str, Any]:
        return {**super()._always(), "visitor": "clinic"}
