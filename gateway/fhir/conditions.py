"""Conditional headers and Prefer (R4 sections 3.1.0.1.4, 3.1.0.1.7 and 3.1.0.5; RFC 9110 section 13, RFC 7240)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

from gateway.fhir.errors import BadRequest
from gateway.store.changes import Version

_ETAG = re.compile(r'(?:W/)?"([1-9][0-9]{0,8})"')
_BARE = re.compile(r"[1-9][0-9]{0,8}")


class Preference(NamedTuple):
    """What Prefer asks: `returns` minimal, representation, OperationOutcome; `handling` strict, lenient; or empty."""

    returns: str = ""
    handling: str = ""


NO_PREFERENCE = Preference()
_RETURNS = {"minimal": "minimal", "representation": "representation", "operationoutcome": "OperationOutcome"}
_HANDLINGS = {"strict": "strict", "lenient": "lenient"}


@lru_cache(maxsize=64)
def preference(prefer: bytes | None) -> Preference:
    """The preferences of a Prefer header; what is not known is left out, as RFC 7240 asks."""
    if prefer is None:
        return NO_PREFERENCE
    wanted: dict[str, str] = {}
    for item in re.split(r"[,;]", prefer.decode("latin-1")):
        key, _, value = item.partition("=")
        wanted.setdefault(key.strip().lower(), value.strip().strip('"').lower())
    return Preference(_RETURNS.get(wanted.get("return", ""), ""), _HANDLINGS.get(wanted.get("handling", ""), ""))


def if_match(value: bytes | None) -> int | None:
    """The version that must be current: `W/"3"`. Raises BadRequest for anything but one version of ours."""
    if value is None:
        return None
    match = _ETAG.fullmatch(value.decode("latin-1").strip())
    if match is None:
        raise BadRequest('If-Match must name one version, such as W/"3".')
    return int(match[1])


def must_be_new(value: bytes | None) -> bool:
    """Whether If-None-Match asks that nothing is there yet (`*`, the only form that a write may have)."""
    if value is None:
        return False
    if value.strip() != b"*":
        raise BadRequest("If-None-Match of an update must be *.")
    return True


def is_unchanged(version: Version, headers: Mapping[bytes, bytes]) -> bool:
    """Whether the reader has this version already: If-None-Match, else If-Modified-Since (RFC 9110 section 13.2.2)."""
    if (known := headers.get(b"if-none-match")) is not None:
        return _names(known.decode("latin-1"), version.version)
    if (since := headers.get(b"if-modified-since")) is not None:
        return _not_since(since.decode("latin-1"), version.updated // 1_000_000)
    return False


def _names(known: str, version: int) -> bool:
    if known.strip() == "*":
        return True
    return any(int(number) == version for number in _ETAG.findall(known)) or (
        _BARE.fullmatch(known.strip()) is not None and int(known) == version
    )


def _not_since(text: str, updated_s: int) -> bool:
    try:
        moment = parsedate_to_datetime(text)
        # A date without a zone is in UTC: HTTP knows no other.
        return updated_s <= moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        # RFC 9110 section 13.1.3: a date that cannot be read is ignored.
        return False
