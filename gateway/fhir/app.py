"""The FHIR endpoint as a plain ASGI application: door, router, interaction, answer. See docs/fhir-api.md.

    route → authenticate → scope → format → body → interaction → answer

Nothing of a request's body is read before its sender is known. Reads are the hot path: headers are bytes made
beforehand, and no resource is parsed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from functools import partial
from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from gateway.access import AccessContext
from gateway.fhir import bundle, capability, create, delete, history, patch, read, search, update, vread
from gateway.fhir.bodies import Bodies
from gateway.fhir.errors import ClientGone
from gateway.fhir.exchange import Answer, Handler, Header, Request, Service, permit
from gateway.fhir.negotiate import CHECKS, FHIR_JSON, answer_type
from gateway.fhir.operation_handlers import OPERATION_HANDLERS
from gateway.fhir.outcomes import EXPECTED, FAULT, Failure, failure_of
from gateway.fhir.parameters import pairs_of, value_of
from gateway.fhir.paths import route
from gateway.fhir.search_syntax import SearchLimits
from gateway.observe.logs import place_of
from gateway.observe.requests import UNROUTED, Requests
from gateway.settings import Settings
from gateway.store.errors import SignInMoved

if TYPE_CHECKING:
    from gateway.store.store import Store

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Sender = Callable[..., Awaitable[AccessContext]]


class Authenticate(Protocol):
    """
    Authorization header, request id and client address to who asks; raises `people.authenticate.Unauthenticated`.

    afresh  whatever is remembered of the sender
    """

    def __call__(
        self, authorization: str | None, request_id: str, origin: str, /, *, afresh: bool = False
    ) -> Awaitable[AccessContext]: ...


HANDLERS: dict[str, Handler] = {
    "read": read.read,
    "vread": vread.vread,
    "history-instance": history.history,
    "history-type": history.history,
    "history-system": history.history,
    "create": create.create,
    "update": update.update,
    "patch": patch.patch,
    "delete": delete.delete,
    "search-type": search.search,
    "search-compartment": search.search,
    "search-system": search.search,
    "batch": bundle.bundle,
    "transaction": bundle.bundle,
    "capabilities": capability.capabilities,
    **OPERATION_HANDLERS,
}
# What everyone may ask without a token.
OPEN_TO_ALL = frozenset(("capabilities",))
# Their entries are done one by one, so the whole cannot be done once more.
_SIGNED_IN_AFRESH = frozenset(("batch", "transaction"))

_ALWAYS: tuple[Header, ...] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._\-]{1,64}")
_NOBODY = AccessContext(actors=(), agent="", client="", activity="", request_id="")

log = logging.getLogger(__name__)
_requests = Requests("/fhir/")


class FHIRApplication:
    """
    Mount it at /fhir. It answers every request itself, errors included, as FHIR; it raises nothing.

    authenticate  see Authenticate; called for everything but /metadata, before the body is read
    """

    def __init__(self, store: Store, authenticate: Authenticate, settings: Settings) -> None:
        self._authenticate = authenticate
        self._bodies = Bodies(settings)
        self._service = Service(
            store=store,
            settings=settings,
            limits=SearchLimits(settings.page_default, settings.page_max, settings.max_chain_depth),
            base_url=settings.fhir_base_url,
            handlers=HANDLERS,
            statement=capability.statement(settings),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        headers = _headers(scope["headers"])
        request_id = _request_id(headers.get(b"x-request-id"))
        try:
            answer, content_type = await self._answer(scope, receive, headers, request_id)
        except ClientGone:
            return
        except EXPECTED as error:
            answer, content_type = _answer_of(failure_of(error)), FHIR_JSON
        except Exception as fault:  # noqa: BLE001 - the last line: whatever it is, the client gets an OperationOutcome
            _log_fault(request_id, fault)
            answer, content_type = _answer_of(Failure(500, (FAULT,))), FHIR_JSON
        template, client = scope.get("fhir_route", (UNROUTED, ""))
        _requests.answered(template, scope["method"], answer.status, perf_counter() - began, request_id, client)
        await _send(send, answer, content_type, request_id, with_body=scope["method"] != "HEAD")

    async def _answer(
        self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes], request_id: str
    ) -> tuple[Answer, Header]:
        found = route(scope["method"], _path(scope))
        interaction = found.interaction
        scope["fhir_route"] = interaction.template, ""
        sender = partial(self._known, scope, headers, request_id)
        afresh = interaction.code in _SIGNED_IN_AFRESH
        context = _NOBODY if interaction.code in OPEN_TO_ALL else await sender(afresh=afresh)
        scope["fhir_route"] = interaction.template, context.client
        if interaction.letter:
            permit(context, found.subject, interaction.letter)
        query: bytes = scope["query_string"]
        content_type = _wanted_type(headers, query)
        if not interaction.body:
            return await self._perform(Request(found, context, query, headers), sender), content_type
        CHECKS[interaction.body](headers.get(b"content-type"), headers.get(b"content-encoding"))
        async with self._bodies.read(receive, headers) as body:
            return await self._perform(Request(found, context, query, headers, body), sender), content_type

    async def _perform(self, request: Request, sender: Sender) -> Answer:
        interaction = request.route.interaction
        handler = HANDLERS[interaction.code]
        try:
            return await handler(self._service, request)
        except SignInMoved:
            # What was remembered of the sender is out of date, and nothing has been done yet.
            context = await sender(afresh=True)
            if interaction.letter:
                permit(context, request.route.subject, interaction.letter)
            return await handler(self._service, replace(request, context=context))

    async def _known(
        self, scope: Scope, headers: Mapping[bytes, bytes], request_id: str, *, afresh: bool
    ) -> AccessContext:
        authorization = headers.get(b"authorization")
        client = scope.get("client")
        return await self._authenticate(
            None if authorization is None else authorization.decode("latin-1"),
            request_id,
            client[0] if client else "",
            afresh=afresh,
        )


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """By name; the values of a header that came several times are joined, as HTTP allows for lists."""
    headers = dict(raw)
    if len(headers) == len(raw):
        return headers
    joined: dict[bytes, bytes] = {}
    for name, value in raw:
        joined[name] = joined[name] + b", " + value if name in joined else value
    return joined


def _request_id(sent: bytes | None) -> str:
    """The client's id where it is a harmless one, so that both logs can be laid side by side; else a new one."""
    if sent is not None and _REQUEST_ID.fullmatch(sent):
        return sent.decode()
    return token_hex(8)


def _path(scope: Scope) -> str:
    """The path below the mount, still encoded where it was: a %2F inside an id does not become a slash."""
    raw: bytes = scope.get("raw_path") or b""
    path: str = raw.decode("latin-1") if b"%" in raw else scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _wanted_type(headers: Mapping[bytes, bytes], query: bytes) -> Header:
    format_ = value_of(pairs_of(query), "_format") if b"_format" in query else None
    return answer_type(headers.get(b"accept"), format_)


def _answer_of(failure: Failure) -> Answer:
    return Answer(failure.status, failure.headers, failure.body)


async def _send(send: Send, answer: Answer, content_type: Header, request_id: str, *, with_body: bool) -> None:
    status, own, body, _ = answer
    headers: list[Header] = [*_ALWAYS, (b"x-request-id", request_id.encode()), *own]
    if body:
        headers.append(content_type)
    if status not in (204, 304):
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body if with_body else b""})


def _log_fault(request_id: str, fault: Exception) -> None:
    """Where it failed and with what class of error; never its message, which may hold a value of a resource."""
    where = {"request_id": request_id, "error": type(fault).__name__, "place": place_of(fault.__traceback__)}
    log.error("request.fault", extra=where)
