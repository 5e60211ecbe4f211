"""A client that speaks to a FHIR endpoint without a network, and the Bundles that the tests send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace as replaced
from typing import Any

from gateway.access import AccessContext, ScopeSet
from gateway.fhir.app import FHIRApplication
from gateway.people.authenticate import Unauthenticated
from gateway.settings import Settings
from gateway.store.store import Store

Resource = dict[str, Any]

BASE = "http://testserver/fhir"
DEVELOPER = AccessContext(actors=(), agent="Device/tests", client="tests", activity="tests", request_id="", bypass=True)
"""Sees and writes everything; consent has tests of its own."""


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def issue(self) -> dict[str, Any]:
        """The first issue of an OperationOutcome."""
        assert self.json["resourceType"] == "OperationOutcome"
        issue: dict[str, Any] = self.json["issue"][0]
        return issue


class Client:
    """
    Calls the ASGI application in its own event loop.

    context  who asks; None stands for a request whose token is refused
    """

    def __init__(self, store: Store, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.store = store
        self.context: AccessContext | None = DEVELOPER
        self.app = FHIRApplication(store, self._authenticate, settings)
        self._loop = loop

    async def _authenticate(
        self, authorization: str | None, request_id: str, origin: str, *, afresh: bool = False
    ) -> AccessContext:
        if self.context is None:
            raise Unauthenticated("", "This needs a token.")
        return replaced(self.context, request_id=request_id, origin=origin)

    def acting_with(self, scopes: ScopeSet) -> None:
        self.context = replaced(DEVELOPER, scopes=scopes)

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        content_type: str | None = "application/fhir+json",
    ) -> Response:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = dict(headers or {})
        if content and content_type:
            sent.setdefault("content-type", content_type)
        return self._loop.run_until_complete(self.send(method, url, content, sent))

    async def send(self, method: str, url: str, content: bytes, headers: Mapping[str, str]) -> Response:
        path, _, query = url.removeprefix(BASE).partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": f"/fhir/{path.lstrip('/')}",
            "raw_path": f"/fhir/{path.lstrip('/')}".encode("utf-8", "surrogatepass"),
            "root_path": "/fhir",
            "query_string": query.encode("utf-8", "surrogatepass"),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": ("192.0.2.1", 50000),
        }
        messages: list[Mapping[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def keep(message: Mapping[str, Any]) -> None:
            messages.append(message)

        await self.app(scope, receive, keep)
        start, end = messages
        headers_back = {name.decode(): value.decode() for name, value in start["headers"]}
        return Response(start["status"], headers_back, end["body"])

    def together(self, *sends: Any) -> list[Response]:
        """Several requests at the same time."""

        async def gathered() -> list[Response]:
            return list(await asyncio.gather(*sends))

        return self._loop.run_until_complete(gathered())

    def get(self, url: str, **headers: str) -> Response:
        return self.request("GET", url, headers=_dashed(headers))

    def post(self, url: str, body: Any, **headers: str) -> Response:
        return self.request("POST", url, body, headers=_dashed(headers))

    def put(self, url: str, body: Any, **headers: str) -> Response:
        return self.request("PUT", url, body, headers=_dashed(headers))

    def delete(self, url: str, **headers: str) -> Response:
        return self.request("DELETE", url, headers=_dashed(headers))

    def form(self, url: str, text: str) -> Response:
        return self.request("POST", url, text.encode(), content_type="application/x-www-form-urlencoded")

    def created(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """The resource as stored."""
        response = self.post(resource["resourceType"], resource)
        assert response.status == 201, response.content
        stored: dict[str, Any] = response.json
        return stored


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def bundle_of(bundle_type: str, *entries: Resource) -> Resource:
    return {"resourceType": "Bundle", "type": bundle_type, "entry": list(entries)}


def asking(method: str, url: str, resource: Resource | None = None, **conditions: str) -> Resource:
    """One entry of a batch or transaction."""
    entry: Resource = {"request": {"method": method, "url": url, **conditions}}
    return {**entry, "resource": resource} if resource is not None else entry


def statuses(bundle: Resource) -> list[str]:
    """The three digits of each entry's answer."""
    return [entry["response"]["status"][:3] for entry in bundle.get("entry", ())]
