"""Text and uris as index values (R4 sections 3.1.1.4.8 and 3.1.1.4.13)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

# Enough for any name or title; a longer query value is cut the same way, so that it still matches.
MAX_CHARS = 200

# Letters with a stroke or joined, which Unicode does not take apart: Ødegård is found by odegard, Łódź by lodz.
_PLAIN = str.maketrans({"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"})

_ADDRESS = ("city", "district", "state", "postalCode", "country", "text")


def normalised(text: str) -> str:
    """Text as it is compared: no case, no accents, whitespace as single spaces, at most MAX_CHARS long."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text).casefold()
        # Folding can bring accents back (U+0130), so they are taken off last.
        bare = "".join(c for c in unicodedata.normalize("NFKD", decomposed) if not unicodedata.combining(c))
        text = bare.translate(_PLAIN)
    return " ".join(text.casefold().split())[:MAX_CHARS]


def _of_parts(parts: Iterable[str | None]) -> Sequence[tuple[str, str]]:
    return [(normalised(part), part[:MAX_CHARS]) for part in parts if part]


def _of_string(value: str) -> Sequence[tuple[str, str]]:
    return _of_parts((value,))


def _of_name(name: Any) -> Sequence[tuple[str, str]]:
    lists = (part for key in ("given", "prefix", "suffix") for part in name.get(key, ()))
    return _of_parts((name.get("family"), *lists, name.get("text")))


def _of_address(address: Any) -> Sequence[tuple[str, str]]:
    return _of_parts((*address.get("line", ()), *(address.get(key) for key in _ADDRESS)))


def _of_uri(value: str) -> Sequence[tuple[str]]:
    return ((value,),)


def _of_canonical(value: str) -> Sequence[tuple[str]]:
    url, bar, _ = value.partition("|")
    return ((value,), (url,)) if bar else ((value,),)


STRING_CONVERTERS: dict[str, Callable[[Any], Sequence[tuple[str, str]]]] = {
    "string": _of_string,
    "markdown": _of_string,
    "HumanName": _of_name,
    "Address": _of_address,
}

URI_CONVERTERS: dict[str, Callable[[Any], Sequence[tuple[str]]]] = {
    "uri": _of_uri,
    "url": _of_uri,
    "canonical": _of_canonical,
}
