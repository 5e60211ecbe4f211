"""What passes between the door and the interactions: Service, Request, Answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from gateway.access import AccessContext
from gateway.fhir.conditions import Preference, preference
from gateway.fhir.errors import NotPermitted
from gateway.fhir.negotiate import FHIR_JSON
from gateway.fhir.parameters import Pairs, pairs_of
from gateway.fhir.paths import READ_ONLY, WRITES, Route
from gateway.fhir.search_syntax import SearchLimits
from gateway.settings import Settings
from gateway.store.changes import Version
from gateway.store.errors import Forbidden

if TYPE_CHECKING:
    from gateway.store.store import Store

Header = tuple[bytes, bytes]


class Answer(NamedTuple):
    """
    headers  those that belong to this answer alone
    body     empty: none, and no Content-Type
    version  what was read or written, for the entry of a Bundle
    """

    status: int
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    version: Version | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """
    One FHIR interaction, whether it came as a request or as an entry of a batch.

    query    the query string as sent, without `?`
    headers  by lower-case name
    body     the resource as JSON text or the form, checked to be UTF-8; empty where the interaction has none
    """

    route: Route
    context: AccessContext
    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes = b""
    content_type: Header = FHIR_JSON

    @property
    def pairs(self) -> Pairs:
        return pairs_of(self.query)

    @property
    def prefer(self) -> Preference:
        return preference(self.headers.get(b"prefer"))


@dataclass(frozen=True, slots=True)
class Service:
    """
    What every interaction may use.

    base_url   the public URL of this FHIR endpoint, without a trailing slash
    handlers   by the code of the interaction; batches look up their entries' here
    statement  the CapabilityStatement as JSON
    """

    store: Store
    settings: Settings
    limits: SearchLimits
    base_url: str
    handlers: Mapping[str, Handler]
    statement: bytes

    def is_strict(self, request: Request) -> bool:
        """Whether unknown parameters are refused: what the client prefers, else the setting."""
        return (request.prefer.handling or self.settings.handling) == "strict"


Handler = Callable[[Service, Request], Awaitable[Answer]]


def permit(context: AccessContext, resource_type: str, letter: str) -> None:
    """Raises NotPermitted where no scope covers it, Forbidden where no client may ever do it."""
    if letter and not context.scopes.permits(resource_type, letter):
        raise NotPermitted
    if letter in WRITES and resource_type in READ_ONLY:
        raise Forbidden(READ_ONLY[resource_type])


@lru_cache(maxsize=4096)
def http_date(seconds: int) -> bytes:
    return formatdate(seconds, usegmt=True).encode()


def version_headers(version: Version) -> tuple[Header, ...]:
    """ETag and Last-Modified of a version."""
    return (
        (b"etag", b'W/"%d"' % version.version),
        (b"last-modified", http_date(version.updated // 1_000_000)),
    )
