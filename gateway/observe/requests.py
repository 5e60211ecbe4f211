"""Every answered request: counted always, and a log line for those that the setting asks for.

This is on the way of every read, so it does little: a look-up, a search in fourteen numbers, and for a line one
formatting of bytes instead of the logging module (a fifth of its price).
"""

from __future__ import annotations

import logging
import os
import re
from bisect import bisect_left
from collections.abc import Awaitable, Callable, MutableMapping
from time import gmtime, perf_counter, strftime, time
from typing import Any, Literal

import orjson

from gateway.observe.fields import allowed, is_harmless_request_id
from gateway.observe.lines import Lines
from gateway.observe.logs import place_of
from gateway.observe.measures import REQUESTS

Which = Literal["all", "refused", "failed", "none"]

_FROM_STATUS: dict[Which, int] = {"all": 100, "refused": 400, "failed": 500, "none": 1000}
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
UNROUTED = "unrouted"
_REMEMBERED_MAX = 4096
_PLACES = re.compile(r"\{(\w+)(?::\w+)?\}")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Requests:
    """
    What became of the requests of one door.

    prefix  stands before the templates of its routes
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._counts: dict[tuple[str, str, int], list[float]] = {}
        self._routes: dict[str, str] = {}
        self._bounds = REQUESTS.bounds

    def answered(
        self, template: str, method: str, status: int, seconds: float, request_id: str = "", client: str = ""
    ) -> None:
        """
        Count one answer, and log it where that is wanted.

        template  of the route, UNROUTED where the request has none; never a path as sent
        """
        key = (template, method, status)
        counts = self._counts.get(key) or self._new(key)
        counts[bisect_left(self._bounds, seconds)] += 1
        counts[-1] += seconds
        if status >= _log.from_status:
            _log.line(self._route(template), _known(method), status, seconds, request_id, client)

    def _new(self, key: tuple[str, str, int]) -> list[float]:
        template, method, status = key
        counts = REQUESTS.at((self._route(template), _known(method), f"{status // 100}xx"))
        self._counts[key] = counts
        return counts

    def _route(self, template: str) -> str:
        """The template as it is shown: with the prefix, and without the converters of places."""
        found = self._routes.get(template)
        if found is None:
            shown = UNROUTED if template == UNROUTED else _PLACES.sub(r"{\1}", self._prefix + template) or "/"
            found = self._routes[template] = shown
        return found


class _RequestLog:
    """Where lines about requests go: nowhere until `to` says so."""

    def __init__(self) -> None:
        self.from_status = _FROM_STATUS["none"]
        self._lines: Lines | None = None
        self._role = ""
        self._constant: dict[tuple[str, str, int, str], bytes] = {}
        self._second = 0
        self._stamp = b""

    def to(self, lines: Lines, role: str, which: Which) -> None:
        self._lines, self._role = lines, role
        self._constant.clear()
        self.from_status = _FROM_STATUS[which]

    def line(self, route: str, method: str, status: int, seconds: float, request_id: str, client: str) -> None:
        """One line; everything in it is a number of ours, or has the form that the table of fields asks for."""
        if self._lines is None:
            return
        if not self._lines.as_json:
            varying = {"ms": round(seconds * 1000, 3), "request_id": request_id or None}
            self._lines.write(self._fields(route, method, status, client) | varying)
            return
        key = (route, method, status, client)
        constant = self._constant.get(key) or self._remembered(key)
        sent = b',"request_id":"%b"' % request_id.encode() if is_harmless_request_id(request_id) else b""
        now = time()
        if int(now) != self._second:
            self._second, self._stamp = int(now), strftime("%Y-%m-%dT%H:%M:%S", gmtime(now)).encode()
        self._lines.add(
            b'{"time":"%b.%03dZ",%b,"ms":%.3f%b}\n' % (self._stamp, now % 1 * 1000, constant, seconds * 1000, sent)
        )

    def _fields(self, route: str, method: str, status: int, client: str) -> dict[str, object]:
        level = "info" if status < 400 else "warning" if status < 500 else "error"
        who = {"level": level, "event": "request", "role": self._role, "pid": os.getpid()}
        return who | {"route": route, "method": method, "status": status, "client": client or None}

    def _remembered(self, key: tuple[str, str, int, str]) -> bytes:
        """The part of a line that is the same for every request of this kind, without its braces."""
        if len(self._constant) >= _REMEMBERED_MAX:
            self._constant.clear()
        written = self._constant[key] = orjson.dumps(allowed(self._fields(*key)))[1:-1]
        return written


_log = _RequestLog()
log_to = _log.to
"""Send lines about requests there: those that got the status that the setting names, or a worse one."""


class Observed:
    """An ASGI application of routes that set `scope["route"]` (FastAPI), with its answers counted."""

    def __init__(self, application: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._application = application
        self._requests = Requests()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._told_if_it_fails(scope, receive, send)
            return
        began, status = perf_counter(), 500

        async def noticing(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._application(scope, receive, noticing)
        finally:
            template = getattr(scope.get("route"), "path", UNROUTED)
            self._requests.answered(template, scope["method"], status, perf_counter() - began)

    async def _told_if_it_fails(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start and stop: the server that is told of a failure has only a text, of which nothing can be logged."""
        try:
            await self._application(scope, receive, send)
        except Exception as fault:
            told = {"error": type(fault).__name__, "place": place_of(fault.__traceback__)}
            logging.getLogger(__name__).error("process.failed", extra=told)
            raise


def _known(method: str) -> str:
    return method if method in _METHODS else "other"
