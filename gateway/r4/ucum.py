"""Units of measure: is this text a unit by the grammar of UCUM (case sensitive, UCUM sections 2.1-2.3)?"""

import re
from functools import cache, lru_cache

from gateway.r4.definitions import rows

SYSTEM = "http://unitsofmeasure.org"
MAX_LENGTH = 256
"""Characters of a unit; no published one has a fifth of it."""

# A symbol is made of letters, signs and bracketed parts; digits belong to it only in 10* and 10^ and in brackets.
_SYMBOL = re.compile(r"(?:10[*^]|(?:[^\s\[\]{}()./0-9+\-\"=]|\[[^\[\]{}\s]+\])+)")
_EXPONENT = re.compile(r"[+-]?[0-9]+")
_FACTOR = re.compile(r"[0-9]+")
_ANNOTATION = re.compile(r"\{[!-z|~]*\}")


@cache
def _symbols() -> dict[str, frozenset[str]]:
    """prefix: prefixes; metric: atoms that take one; unit: atoms that do not."""
    found: dict[str, set[str]] = {}
    for row in rows("ucum-units.csv"):
        found.setdefault(row["kind"], set()).update(row["symbols"].split())
    return {kind: frozenset(symbols) for kind, symbols in found.items()}


@lru_cache(maxsize=1024)
def is_unit(text: str) -> bool:
    """Whether a text is a UCUM unit: kg, mm[Hg], 10*3/uL, {steps}/d."""
    return 0 < len(text) <= MAX_LENGTH and text.isascii() and _Reader(text).is_whole_unit()


class _Reader:
    """One pass over one unit; each method moves on past what it recognises and says whether it did."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def is_whole_unit(self) -> bool:
        self._take("/")
        return self._term() and self._at == len(self._text)

    def _term(self) -> bool:
        if not self._component():
            return False
        while self._take(".") or self._take("/"):
            if not self._component():
                return False
        return True

    def _component(self) -> bool:
        if self._take("("):
            return self._term() and self._take(")")
        if self._match(_ANNOTATION):
            return True
        if symbol := self._match(_SYMBOL):
            if not _is_symbol(symbol):
                return False
            self._match(_EXPONENT)
            self._match(_ANNOTATION)
            return True
        return bool(self._match(_FACTOR))

    def _take(self, sign: str) -> bool:
        if self._text.startswith(sign, self._at):
            self._at += 1
            return True
        return False

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]


def _is_symbol(text: str) -> bool:
    known = _symbols()
    if text in known["unit"] or text in known["metric"]:
        return True
    return any(text[:size] in known["prefix"] and text[size:] in known["metric"] for size in (1, 2))
