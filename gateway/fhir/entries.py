"""Entries of a batch or transaction: each a request in its own right, each with a response (R4 section 3.1.0.11)."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from gateway.access import AccessContext
from gateway.fhir.bundle_text import Entry
from gateway.fhir.bundles import json_string
from gateway.fhir.errors import BadRequest
from gateway.fhir.exchange import Answer, Request, Service, http_date, permit
from gateway.fhir.negotiate import FHIR_JSON, JSON_PATCH
from gateway.fhir.outcomes import Failure, status_line
from gateway.fhir.paths import Route, route
from gateway.store.changes import Version, instant

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"))
_HEADERS = {"ifMatch": b"if-match", "ifNoneMatch": b"if-none-match", "ifNoneExist": b"if-none-exist"}
# What a reference can say. Any other fullUrl is only a label: a text that happens to equal it is not a reference.
_ALIAS = re.compile(r"urn:(uuid|oid):\S+|https?://\S+/[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}")
# Bundles are answered briefly unless the client asks otherwise: thousands of resources come back to one who has them.
_BRIEF = b"return=minimal"


@dataclass(frozen=True, slots=True)
class EntryRequest:
    """
    The request of one entry.

    path      below the base
    alias     the fullUrl, where other entries may refer to this one by it
    resource  JSON text as sent
    """

    index: int
    method: str
    path: str
    query: str
    headers: Mapping[bytes, bytes]
    alias: str | None
    resource: str | None

    def route(self) -> Route:
        """Raises UnknownPath, UnknownType, MethodNotAllowed; BadRequest for what no entry may ask."""
        found = route(self.method, self.path)
        if found.interaction.body == "form" or found.interaction.code in ("batch", "transaction"):
            raise BadRequest("An entry cannot hold a Bundle or a form.", expression="Bundle.request.url")
        if found.interaction.body not in ("", "parameters") and self.resource is None:
            raise BadRequest("This entry needs a resource.", expression="Bundle.resource")
        return found

    def request(self, found: Route, context: AccessContext) -> Request:
        """The same as if it had come alone. Raises BadRequest for a Binary that holds no patch."""
        if self.resource is None or not found.interaction.body:
            return Request(found, context, self.query.encode(), self.headers)
        body, content_type = self.resource.encode(), FHIR_JSON[1]
        if found.interaction.body == "patch":
            body, content_type = unwrapped(body)
        headers = {**self.headers, b"content-type": content_type}
        return Request(found, context, self.query.encode(), headers, body)


def unwrapped(body: bytes) -> tuple[bytes, bytes]:
    """A patch and its Content-Type: a JSON Patch comes in a Binary, a FHIRPath Patch as it is (R4 section 3.1.0.6)."""
    try:
        resource = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body, FHIR_JSON[1]
    if not isinstance(resource, dict) or resource.get("resourceType") != "Binary":
        return body, FHIR_JSON[1]
    content_type, data = resource.get("contentType"), resource.get("data")
    if content_type != JSON_PATCH or not isinstance(data, str):
        raise BadRequest(f"A Binary that is a patch has the contentType {JSON_PATCH}.", expression="Bundle.resource")
    try:
        return b64decode(data, validate=True), JSON_PATCH.encode()
    except ValueError:
        raise BadRequest("The data of the Binary is not base64.", expression="Bundle.resource.data") from None


def read_entry(base_url: str, outer: Mapping[bytes, bytes], index: int, entry: Entry) -> EntryRequest:
    """
    The request that an entry makes; preferences are those of the outer request.

    raises  BadRequest, with the place below the entry as `Bundle.…`
    """
    asked = entry.members.get("request")
    if not isinstance(asked, dict):
        raise BadRequest("Every entry of a batch or transaction has a request.", expression="Bundle.request")
    method = asked.get("method")
    if not isinstance(method, str) or method not in METHODS:
        raise BadRequest("The method must be an HTTP verb that FHIR knows.", expression="Bundle.request.method")
    path, query = _located(base_url, asked.get("url"))
    full_url = entry.members.get("fullUrl", "")
    if not isinstance(full_url, str):
        raise BadRequest("A fullUrl is a string.", expression="Bundle.fullUrl")
    alias = full_url if _ALIAS.fullmatch(full_url) else None
    return EntryRequest(index, method, path, query, _headers(asked, outer), alias, entry.resource)


async def perform(service: Service, entry: EntryRequest, context: AccessContext) -> Answer:
    """Run the entry as if it had come alone."""
    found = entry.route()
    permit(context, found.subject, found.interaction.letter)
    answer = await service.handlers[found.interaction.code](service, entry.request(found, context))
    return answer._replace(body=b"") if entry.method == "HEAD" else answer


def responded(entry: EntryRequest, answer: Answer) -> bytes:
    """The response entry: what was read, or what Prefer asked to see of what was written."""
    parts = [f'"status":"{status_line(answer.status)}"', *_version_parts(entry.method, answer.version)]
    is_outcome = entry.method == "DELETE" or b"operationoutcome" in entry.headers[b"prefer"].lower()
    if answer.body and is_outcome and entry.method != "GET":
        parts.append(f'"outcome":{answer.body.decode()}')
        return _response(parts)
    return _response(parts, answer.body)


def refused(failure: Failure) -> bytes:
    """The response entry of a failure."""
    return _response([f'"status":"{status_line(failure.status)}"', f'"outcome":{failure.body.decode()}'])


def _response(parts: list[str], body: bytes = b"") -> bytes:
    resource = b'"resource":' + body + b"," if body else b""
    return b"".join((b"{", resource, b'"response":{', ",".join(parts).encode(), b"}}"))


def _version_parts(method: str, version: Version | None) -> list[str]:
    if version is None:
        return []
    location = f"{version.reference}/_history/{version.version}"
    return [
        *([f'"location":"{location}"'] if method in ("POST", "PUT") else []),
        f'"etag":{json_string(version.etag)}',
        f'"lastModified":"{instant(version.updated)}"',
    ]


def _located(base_url: str, url: Any) -> tuple[str, str]:
    relative = _text(url, "url").removeprefix(base_url)
    if "://" in relative.partition("?")[0]:
        raise BadRequest("Write the url relative to this server's base.", expression="Bundle.request.url")
    path, _, query = relative.partition("?")
    return path.strip("/"), query


def _headers(asked: Mapping[str, Any], outer: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    headers = {b"prefer": _preferring(outer.get(b"prefer"))}
    for name, header in _HEADERS.items():
        if name in asked:
            headers[header] = _text(asked[name], name).encode()
    if "ifModifiedSince" in asked:
        headers[b"if-modified-since"] = _http_date(_text(asked["ifModifiedSince"], "ifModifiedSince"))
    return headers


def _preferring(prefer: bytes | None) -> bytes:
    if prefer is None:
        return _BRIEF
    return prefer if b"return" in prefer.lower() else prefer + b", " + _BRIEF


def _text(value: Any, name: str) -> str:
    """What would be a URL or a header if the entry came alone, so it is ASCII, percent-encoded where it must be."""
    if not isinstance(value, str) or not value.isascii():
        raise BadRequest("This is a string, percent-encoded where it must be.", expression=f"Bundle.request.{name}")
    return value


def _http_date(moment: str) -> bytes:
    try:
        return http_date(int(datetime.fromisoformat(moment).timestamp()))
    except (ValueError, OverflowError):
        raise BadRequest("This is an instant.", expression="Bundle.request.ifModifiedSince") from None
