"""history of an instance, a type or the system: the change feed (R4 section 3.1.0.12).

`_since` is gap-free: the store shows only what lies below the oldest running commit. Newest first by default;
`_sort=_lastUpdated` walks forward in time, which is what a feed's reader wants.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from gateway.fhir.bundles import assembled, entry, json_string
from gateway.fhir.errors import BadRequest
from gateway.fhir.exchange import Answer, Request, Service
from gateway.fhir.outcomes import status_line
from gateway.fhir.parameters import Pairs, link, refuse_unknown, value_of, without
from gateway.fhir.paths import is_logical_id
from gateway.r4.extract_dates import BadDate, date_range
from gateway.store.changes import METHODS, Version, instant
from gateway.store.errors import NotFound

KNOWN = frozenset(("_count", "_since", "_at", "_sort", "_cursor"))
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def history(service: Service, request: Request) -> Answer:
    route = request.route
    if route.id and not is_logical_id(route.id):
        raise NotFound
    pairs = refuse_unknown(request.pairs, KNOWN, strict=service.is_strict(request))
    page = await service.store.history(
        request.context,
        type=route.type or None,
        id=route.id or None,
        since=_since(value_of(pairs, "_since")),
        count=_count(service, value_of(pairs, "_count")),
        cursor=value_of(pairs, "_cursor"),
        oldest_first=_oldest_first(value_of(pairs, "_sort")),
        at=_at(value_of(pairs, "_at")),
    )
    entries = [_entry(service, version) for version in page.entries]
    links = _links(service, request, pairs, page.next)
    return Answer(200, (), assembled("history", links, entries, total=page.total))


def _links(service: Service, request: Request, pairs: Pairs, following: str | None) -> list[tuple[str, str]]:
    route = request.route
    path = "/".join(filter(None, (route.type, route.id, "_history")))
    links = [("self", link(service.base_url, path, pairs))]
    if following:
        onward = [*without(pairs, ("_cursor",)), ("_cursor", following)]
        links.append(("next", link(service.base_url, path, onward)))
    return links


def _entry(service: Service, version: Version) -> bytes:
    method = METHODS[version.method]
    url = version.type if method == "POST" else version.reference
    status = 201 if version.version == 1 else 204 if version.body is None else 200
    about = (
        f'"request":{{"method":"{method}","url":{json_string(url)}}},'
        f'"response":{{"status":"{status_line(status)}","etag":{json_string(version.etag)},'
        f'"lastModified":"{instant(version.updated)}"}}'
    )
    return entry(service.base_url, version, about)


def _since(text: str | None) -> int | None:
    """Microseconds since 1970. A plus sign that was not encoded arrives as a space."""
    if not text:
        return None
    written = text.replace(" ", "+")
    if not _INSTANT.fullmatch(written):
        raise BadRequest("_since must be an instant with a time zone, such as 2026-01-31T09:30:00Z.")
    try:
        return (datetime.fromisoformat(written) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise BadRequest("_since is not a moment of the calendar.") from None


def _at(text: str | None) -> tuple[int, int] | None:
    """The time that a date covers by its precision, in microseconds since 1970, half-open."""
    if not text:
        return None
    try:
        return date_range(text.replace(" ", "+"))
    except BadDate:
        raise BadRequest(
            "_at must be a date or a moment with a zone, such as 2026-01 or 2026-01-31T09:30:00Z."
        ) from None


def _count(service: Service, text: str | None) -> int:
    if not text:
        return service.settings.page_default
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise BadRequest("_count must be a whole number from 1.")
    return min(int(text), service.settings.page_max)


def _oldest_first(sort: str | None) -> bool:
    if sort in (None, "", "-_lastUpdated"):
        return False
    if sort == "_lastUpdated":
        return True
    raise BadRequest("A history is sorted by _lastUpdated or -_lastUpdated.")
