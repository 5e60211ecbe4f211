"""Where a benchmark sends its requests: a FHIR base URL, taken apart once, and requests as the bytes that go out."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import orjson

JSON = "application/fhir+json"


class Unusable(Exception):
    """A server that cannot be measured, in one sentence: a wrong URL, no answer, a token that is refused."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status 0 where the connection ended without one. `seconds` from the send to the last byte."""

    status: int
    location: str
    body: bytes
    seconds: float


Check = Callable[[Answer], str]


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request, ready to be sent.

    kind      what it counts as in the figures, such as `create` or the name of a query
    expected  the statuses that are right
    entries   how many resources it carries or asks about
    check     says in a few words what is wrong with an answer, or nothing
    """

    kind: str
    wire: bytes
    expected: tuple[int, ...] = (200,)
    entries: int = 1
    check: Check | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A FHIR base URL; `base` is its path without a slash at the end."""

    url: str
    host: str
    port: int
    base: str
    tls: ssl.SSLContext | None
    token: str

    def get(self, path: str, query: dict[str, str] | None = None, *, kind: str = "read", **more: object) -> Request:
        return self._request("GET", path + (f"?{urlencode(query)}" if query else ""), b"", kind, more)

    def send(self, method: str, path: str, body: object = None, *, kind: str, **more: object) -> Request:
        """A write; `body` is JSON text or what becomes JSON. Writes ask for a short answer (Prefer: return=minimal)."""
        text = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        return self._request(method, path, text, kind, more)

    def _request(self, method: str, path: str, body: bytes, kind: str, more: dict[str, object]) -> Request:
        place = f"{self.base}/{path}" if path else self.base or "/"
        lines = [f"{method} {place} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"Accept: {JSON}"] + ([f"Authorization: Bearer {self.token}"] if self.token else [])
        if body:
            lines += [f"Content-Type: {JSON}", "Prefer: return=minimal", f"Content-Length: {len(body)}"]
        head = "\r\n".join(lines) + "\r\n\r\n"
        return Request(kind, head.encode() + body, **more)  # type: ignore[arg-type]


def target(url: str, token: str = "", *, remote: bool = False) -> Target:
    """
    The target that a URL names.

    remote  whether a server on another machine may be put under load; whoever says so owns that server
    raises  Unusable
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise Unusable(f"{url} is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unusable(f"{url} is not the URL of a FHIR server: write http://HOST:PORT/PATH")
    if parts.username or parts.query or parts.fragment:
        raise Unusable("a FHIR base URL has no user, query or fragment")
    if not remote and not _is_here(parts.hostname, port):
        raise Unusable(f"{parts.hostname} is not this machine; --remote says that you may put load on it")
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    return Target(url.rstrip("/"), parts.hostname, port, parts.path.rstrip("/"), tls, token)


def _is_here(host: str, port: int) -> bool:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise Unusable(f"{host} is not known") from None
    return all(ipaddress.ip_address(address[4][0]).is_loopback for address in found)
