"""The primitive types and their formats (FHIR R4 datatypes, section 2.24.0.1).

The patterns are those of the specification with three tightenings: a date must exist in the calendar,
base64 must have whole groups of four, and an OID or UUID written as a URI must be well formed.
They use only what Python and the Rust engine of the schema understand alike.
"""

import re
from dataclasses import dataclass

MAX_STRING_LENGTH = 1_048_576
"""Characters; the specification says 1 MB for a string (datatypes, string)."""

_YEAR = r"(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_LEAP_YEAR = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_MONTH = r"(?:0[1-9]|1[0-2])"
_MONTH_DAY = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_DAY = rf"(?:{_YEAR}-{_MONTH_DAY}|{_LEAP_YEAR}-02-29)"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

_SPACES = r"\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_OID = r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+"
_UUID = r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# A URI that is neither urn:oid: nor urn:uuid:, or one of these two well formed (the case of a UUID in a
# plain uri is left to the sender). Spelt without look-ahead, which the schema's engine lacks.
_URI = (
    rf"(?:{_OID}|(?i:{_UUID})|urn:(?:[^ou{_SPACES}]|o[^i{_SPACES}]|u[^u{_SPACES}])[^{_SPACES}]*"
    rf"|(?:[^u{_SPACES}]|u[^r{_SPACES}]|ur[^n{_SPACES}]|urn[^:{_SPACES}])[^{_SPACES}]*|u|ur|urn)"
)
_BASE64 = r"(?:[0-9A-Za-z+/]{4})*(?:[0-9A-Za-z+/]{4}|[0-9A-Za-z+/]{3}=|[0-9A-Za-z+/]{2}==)"
_STRING = r"[\t\n\r ]*[^\u0000-\u0020][^\u0000-\u0008\u000b\u000c\u000e-\u001f]*"

# Elements of HTML that run or load something, wherever a careless page shows a text (as in narrative.py).
_ACTIVE = r"<(?:script|iframe|object|embed)[\s/>\\]"
RUNS = re.compile(_ACTIVE, re.IGNORECASE)
_RUNS_IN_JSON = re.compile(_ACTIVE.encode(), re.IGNORECASE)


def may_run(printed: bytes) -> bool:
    """Whether JSON text may hold such an element; a quick look that may say yes too often."""
    return b"<" in printed and _RUNS_IN_JSON.search(printed) is not None


@dataclass(frozen=True, slots=True)
class Primitive:
    """One primitive type: its JSON type, the pattern or bounds of its values, and how to say it."""

    name: str
    json: str
    says: str
    pattern: str = ""
    minimum: int | None = None
    maximum: int | None = None


_INT_MAX = 2_147_483_647

PRIMITIVES: dict[str, Primitive] = {
    p.name: p
    for p in (
        Primitive("base64Binary", "string", "base64 text, not empty", _BASE64),
        Primitive("boolean", "boolean", "true or false, without quotes"),
        Primitive("canonical", "string", "a canonical URL without whitespace", _URI),
        Primitive(
            "code",
            "string",
            "a code: no leading or trailing whitespace, single spaces only",
            rf"[^{_SPACES}]+(?: [^{_SPACES}]+)*",
        ),
        Primitive(
            "date",
            "string",
            "a day of the calendar: YYYY, YYYY-MM or YYYY-MM-DD",
            rf"(?:{_YEAR}(?:-{_MONTH})?|{_DAY})",
        ),
        Primitive(
            "dateTime",
            "string",
            "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a time zone, and a day of the calendar",
            rf"(?:{_YEAR}(?:-{_MONTH})?|{_DAY}(?:T{_TIME}{_ZONE})?)",
        ),
        Primitive("decimal", "number", "a number, without quotes"),
        Primitive("id", "string", "1 to 64 letters, digits, '-' or '.'", r"[A-Za-z0-9.-]{1,64}"),
        Primitive(
            "instant",
            "string",
            "YYYY-MM-DDThh:mm:ss with a time zone, and a day of the calendar",
            rf"{_DAY}T{_TIME}{_ZONE}",
        ),
        Primitive("integer", "integer", "a whole number of 32 bits", "", -_INT_MAX - 1, _INT_MAX),
        Primitive("markdown", "string", "text that is not blank, without control characters", _STRING),
        Primitive("oid", "string", "an OID: urn:oid:1.2.3", _OID),
        Primitive("positiveInt", "integer", "a whole number from 1 to 2147483647", "", 1, _INT_MAX),
        Primitive("string", "string", "text that is not blank, without control characters", _STRING),
        Primitive("time", "string", "hh:mm:ss without a time zone", _TIME),
        Primitive("unsignedInt", "integer", "a whole number from 0 to 2147483647", "", 0, _INT_MAX),
        Primitive("uri", "string", "a URI without whitespace", _URI),
        Primitive("url", "string", "a URL without whitespace", _URI),
        Primitive("uuid", "string", "a UUID in lower case: urn:uuid:...", _UUID),
        Primitive("xhtml", "string", "an XHTML div"),
    )
}

_COMPILED = {name: re.compile(p.pattern) for name, p in PRIMITIVES.items() if p.pattern}
_SURROGATE = re.compile("[\ud800-\udfff]")
_WHITESPACE = re.compile(r"[ \t\r\n]+")
_BOUNDED = frozenset({"string", "markdown"})


def has_json_type(primitive: Primitive, value: object) -> bool:
    """Whether the JSON type fits; true and false are not numbers, 1.0 is not an integer."""
    if primitive.json == "string":
        return isinstance(value, str)
    if primitive.json == "boolean":
        return isinstance(value, bool)
    if primitive.json == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool)


def has_format(primitive: Primitive, value: str | float) -> bool:
    """Whether a value of the right JSON type has the format of the primitive."""
    if isinstance(value, str):
        return _has_text_format(primitive.name, value)
    if primitive.minimum is None or primitive.maximum is None:
        return True
    return primitive.minimum <= value <= primitive.maximum


def is_too_long(primitive: Primitive, value: object) -> bool:
    """Whether a string or markdown exceeds the megabyte of the specification."""
    return primitive.name in _BOUNDED and isinstance(value, str) and len(value) > MAX_STRING_LENGTH


def _has_text_format(name: str, value: str) -> bool:
    if name == "base64Binary":
        value = _WHITESPACE.sub("", value)
    if _SURROGATE.search(value):
        return False
    pattern = _COMPILED.get(name)
    return bool(value) if pattern is None else pattern.fullmatch(value) is not None
