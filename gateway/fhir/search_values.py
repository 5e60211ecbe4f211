"""The values of search parameters, from text to the search tree (R4 sections 3.1.1.4.5 to 3.1.1.4.14).

No error repeats the value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from gateway.fhir.search_errors import SearchError
from gateway.r4.extract_dates import DAY, BadDate, date_range
from gateway.r4.extract_references import visible_type_and_id
from gateway.r4.identity import LOGICAL_ID
from gateway.r4.search_parameters import PARAMETERS, Parameter
from gateway.store.query import (
    Composite,
    Number,
    Period,
    Prefix,
    Quantity,
    Reference,
    Text,
    Token,
    Uri,
    Value,
)

_PREFIXES = {prefix.value: prefix for prefix in Prefix}
_NUMBER = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?P<exponent>[eE][+-]?\d{1,3})?\Z", re.ASCII)
# A plus that was not percent-encoded arrives as a space.
_LOST_PLUS = re.compile(r"(T[0-9:.]+) (\d\d:\d\d)\Z", re.ASCII)
_ESCAPED = re.compile(r"\\([,$|\\])")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+\Z")

# R4 advises "approximately" to be 10 % of the value; for dates, of the time between then and now.
_APPROXIMATION = 10


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    What a value may depend on besides its text.

    now_us    microseconds since 1970 UTC: how far `ap` reaches for a date
    base_url  our FHIR base: absolute references below it are local
    """

    now_us: int
    base_url: str | None = None


def split(text: str, separator: str) -> list[str]:
    """The parts of a text at each separator that is not escaped; the parts keep their escapes."""
    if "\\" not in text:
        return text.split(separator)
    parts, start, position = [], 0, 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == separator:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    return [*parts, text[start:]]


def unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def value_of(parameter: Parameter, text: str, surroundings: Surroundings) -> Value:
    """One value (a part between commas) of a parameter; raises SearchError."""
    if not text:
        raise SearchError("A value is empty.")
    return _PARSERS[parameter.kind](parameter, text, surroundings)


def string_of(text: str, mode: str) -> Text:
    """A value of a string parameter; mode is starts, exact or contains."""
    if not text:
        raise SearchError("A value is empty.")
    return Text(unescaped(text), mode)


def period(text: str, surroundings: Surroundings) -> Period:
    """
    A date with an optional prefix; raises SearchError.

    `ap` reaches out on both sides by a tenth of the time between the range and now. Now is the start of the
    day in UTC, so that the pages of one search agree.
    """
    prefix, rest = _prefixed(unescaped(text))
    try:
        low, high = date_range(_LOST_PLUS.sub(r"\1+\2", rest))
    except BadDate:
        raise SearchError("A date is YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss and a zone.") from None
    if prefix is Prefix.AP:
        today = surroundings.now_us - surroundings.now_us % DAY
        margin = max(low - today, today - high, 0) // _APPROXIMATION
        low, high = low - margin, high + margin
    return Period(prefix, low, high)


def reference(text: str, targets: tuple[str, ...], surroundings: Surroundings) -> Reference:
    """`id`, `Type/id` or a url; an id alone stands for one of the targets. Raises SearchError."""
    text = unescaped(text)
    shown = visible_type_and_id(text)
    own = surroundings.base_url.rstrip("/") if surroundings.base_url else None
    if shown and shown[0] in (None, own):
        if shown[1] not in PARAMETERS:
            raise SearchError("The reference names a type that is not a resource type of R4.")
        return Reference(shown[2], (shown[1],))
    if _SCHEME.match(text):
        return Reference(None, url=text)
    if LOGICAL_ID.match(text):
        return Reference(text, targets)
    raise SearchError("A reference is an id, Type/id or an absolute URL.")


def logical_id(text: str) -> str:
    """A value of `_id`; raises SearchError."""
    if LOGICAL_ID.match(text) is None:
        raise SearchError("An id is 1 to 64 letters, digits, hyphens and dots.")
    return text


def _prefixed(text: str) -> tuple[Prefix, str]:
    prefix = _PREFIXES.get(text[:2])
    return (prefix, text[2:]) if prefix else (Prefix.EQ, text)


def _number(text: str) -> Number:
    prefix, rest = _prefixed(text)
    match = _NUMBER.match(rest)
    if match is None:
        raise SearchError("A number is written in decimal digits, as 5.4, -3 or 1e2.")
    value, half = Decimal(rest), _half_of_last_digit(rest, in_exponent_form=bool(match["exponent"]))
    if prefix is Prefix.AP:
        half = max(half, abs(value) / _APPROXIMATION)
    number = Number(prefix, float(value), float(value - half), float(value + half))
    if not all(map(math.isfinite, (number.value, number.low, number.high))):
        raise SearchError("A number is too large.")
    return number


def _half_of_last_digit(written: str, *, in_exponent_form: bool) -> Decimal:
    """Half a unit of the last digit: 100 is [99.5, 100.5). R4's own example reads 1e2 as [95, 105)."""
    exponent = Decimal(written).as_tuple().exponent
    assert isinstance(exponent, int), "the pattern admits finite numbers only"
    return Decimal(5).scaleb(exponent - (2 if in_exponent_form else 1))


def _of_number(parameter: Parameter, text: str, surroundings: Surroundings) -> Number:
    return _number(unescaped(text))


def _of_quantity(parameter: Parameter, text: str, surroundings: Surroundings) -> Quantity:
    parts = [unescaped(part) for part in split(text, "|")]
    if len(parts) not in (1, 3):
        raise SearchError("A quantity is number, number|system|code or number||code.")
    number = _number(parts[0])
    if len(parts) == 1:
        return Quantity(number)
    return Quantity(number, code=parts[2] or None, system=parts[1] or None)


def _of_token(parameter: Parameter, text: str, surroundings: Surroundings) -> Token:
    parts = [unescaped(part) for part in split(text, "|")]
    if len(parts) == 1:
        return Token(parts[0])
    if len(parts) > 2 or not any(parts):
        raise SearchError("A token is code, system|code, |code or system|; a bar inside a part is written \\|.")
    return Token(parts[1] or None, parts[0])


def _of_string(parameter: Parameter, text: str, surroundings: Surroundings) -> Text:
    return string_of(text, "starts")


def _of_date(parameter: Parameter, text: str, surroundings: Surroundings) -> Period:
    return period(text, surroundings)


def _of_reference(parameter: Parameter, text: str, surroundings: Surroundings) -> Reference:
    return reference(text, parameter.targets, surroundings)


def _of_uri(parameter: Parameter, text: str, surroundings: Surroundings) -> Uri:
    return Uri(unescaped(text))


def _of_composite(parameter: Parameter, text: str, surroundings: Surroundings) -> Composite:
    parts = split(text, "$")
    if len(parts) != len(parameter.parts):
        raise SearchError(f"A value of this composite has {len(parameter.parts)} parts with $ between them.")
    return Composite(tuple(value_of(p, part, surroundings) for p, part in zip(parameter.parts, parts, strict=True)))


_PARSERS: dict[str, Callable[[Parameter, str, Surroundings], Value]] = {
    "token": _of_token,
    "string": _of_string,
    "date": _of_date,
    "number": _of_number,
    "quantity": _of_quantity,
    "reference": _of_reference,
    "uri": _of_uri,
    "composite": _of_composite,
}
