"""Language tags, judged by the registry (BCP 47, that is RFC 5646 section 2.2.9; facts/language-subtags.csv)."""

import re
from functools import cache, lru_cache

from gateway.r4.definitions import rows

# The parts of a tag that is not grandfathered and not for private use only (RFC 5646 section 2.1).
_LANGTAG = re.compile(
    r"(?P<language>[a-z]{2,8})(?P<extlang>(?:-[a-z]{3}){0,3})(?:-(?P<script>[a-z]{4}))?"
    r"(?:-(?P<region>[a-z]{2}|[0-9]{3}))?(?P<variants>(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)"
    r"(?P<extensions>(?:-[0-9a-wyz](?:-[a-z0-9]{2,8})+)*)(?:-x(?:-[a-z0-9]{1,8})+)?"
)
_PRIVATE = re.compile(r"x(?:-[a-z0-9]{1,8})+")
_SINGLETON = re.compile(r"-([0-9a-wyz])(?=-)")


@cache
def _subtags() -> dict[str, frozenset[str]]:
    """Registered subtags by kind, in lower case."""
    found: dict[str, set[str]] = {}
    for row in rows("language-subtags.csv"):
        found.setdefault(row["kind"], set()).update(row["subtags"].lower().split())
    return {kind: frozenset(subtags) for kind, subtags in found.items()}


# The subtags that the registry leaves to private agreement, by kind the first and the last; kinds differ in length.
_KIND_OF_LENGTH = {2: "region", 3: "language", 4: "script"}


@cache
def _private_ranges() -> tuple[tuple[str, str, str], ...]:
    ends = (text.partition("..") for text in _subtags()["range"])
    return tuple((_KIND_OF_LENGTH[len(low)], low, high) for low, _, high in ends)


@lru_cache(maxsize=512)
def is_language_tag(tag: str) -> bool:
    """Whether a tag is valid: well formed, each subtag registered, no variant or extension twice; any case."""
    lower = tag.lower()
    if lower in _subtags()["grandfathered"] or _PRIVATE.fullmatch(lower):
        return True
    match = _LANGTAG.fullmatch(lower)
    if match is None:
        return False
    variants = match["variants"].split("-")[1:]
    singletons = _SINGLETON.findall(match["extensions"])
    parts = [("language", match["language"]), ("script", match["script"]), ("region", match["region"])]
    parts += [("extlang", text) for text in match["extlang"].split("-")[1:]]
    parts += [("variant", text) for text in variants]
    is_distinct = len(set(variants)) == len(variants) and len(set(singletons)) == len(singletons)
    return is_distinct and all(_is_registered(kind, text) for kind, text in parts if text)


def _is_registered(kind: str, text: str) -> bool:
    if text in _subtags()[kind]:
        return True
    ranges = ((low, high) for of_kind, low, high in _private_ranges() if of_kind == kind and len(low) == len(text))
    return any(low <= text <= high for low, high in ranges)


def usual_tags() -> str:
    """A pattern for the tags that are surely valid: a language of two letters, alone or with a region."""
    languages = "|".join(sorted(text for text in _subtags()["language"] if len(text) == 2))
    regions = "|".join(sorted(text.upper() for text in _subtags()["region"] if len(text) == 2))
    return f"(?:{languages})(?:-(?:{regions}))?"
