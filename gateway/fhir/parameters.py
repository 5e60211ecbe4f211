"""Query strings: decoding, the parameters every interaction has, and links back to this server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import quote_plus, unquote_plus

from gateway.fhir.errors import BadRequest

Pairs = list[tuple[str, str]]

# `_pretty` may be asked of any server and is answered with the stored bytes, as R4 section 3.1.0.1.8 allows.
ON_EVERY_INTERACTION = frozenset(("_format", "_pretty"))
MAX_PARAMETERS = 500


def pairs_of(query: bytes) -> Pairs:
    """
    The decoded name-value pairs of a query string or a form, in order, those with an empty value included.

    raises  BadRequest where it is not UTF-8, or has more than MAX_PARAMETERS
    """
    if not query:
        return []
    if query.count(b"&") >= MAX_PARAMETERS:
        raise BadRequest(f"A request has at most {MAX_PARAMETERS} parameters.")
    try:
        parts = (part.partition("=") for part in query.decode("ascii").split("&") if part)
        return [(_decoded(name), _decoded(value)) for name, _, value in parts]
    except UnicodeError:
        raise BadRequest("Parameters must be percent-encoded UTF-8.") from None


def value_of(pairs: Iterable[tuple[str, str]], name: str) -> str | None:
    """The last value of a parameter, None where it is not given."""
    found = None
    for key, value in pairs:
        if key == name:
            found = value
    return found


def without(pairs: Iterable[tuple[str, str]], names: Iterable[str]) -> Pairs:
    dropped = frozenset(names)
    return [(key, value) for key, value in pairs if key not in dropped]


def refuse_unknown(pairs: Iterable[tuple[str, str]], known: frozenset[str], *, strict: bool) -> Pairs:
    """The pairs that are known. Raises BadRequest for any other under strict handling."""
    kept: Pairs = []
    for key, value in pairs:
        if key in known:
            kept.append((key, value))
        elif strict and key not in ON_EVERY_INTERACTION:
            raise BadRequest("This interaction does not know one of the parameters; it knows " + _listed(known))
    return kept


def link(base_url: str, path: str, pairs: Sequence[tuple[str, str]]) -> str:
    """An absolute URL of this server; built from the configured base, never from a request's Host."""
    url = f"{base_url}/{path}" if path else base_url
    return f"{url}?{'&'.join(f'{_encoded(name)}={_encoded(value)}' for name, value in pairs)}" if pairs else url


def _decoded(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    return unquote_plus(text, errors="strict")


@lru_cache(maxsize=4096)
def _encoded(text: str) -> str:
    return quote_plus(text, safe=":,$/")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) + "."
