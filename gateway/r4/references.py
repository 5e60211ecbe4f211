"""What a literal reference says about its target (FHIR R4 references, section 2.3.0.1)."""

import re
from dataclasses import dataclass

from gateway.r4.definitions import TYPES

ID = r"[A-Za-z0-9.-]{1,64}"
ABSOLUTE = "[A-Za-z][A-Za-z0-9+.-]*:"
"""The start of an absolute URI."""
_TYPE = "|".join(sorted(TYPES, key=len, reverse=True))
_RELATIVE = re.compile(rf"({_TYPE})/{ID}(?:/_history/{ID})?(?:#{ID})?")
_CONDITIONAL = re.compile(rf"({_TYPE})\?[^\s#]+")
_ABSOLUTE = re.compile(rf"https?://[^\s?#]+/({_TYPE})/{ID}(?:/_history/{ID})?(?:#{ID})?")
_LOCAL = re.compile(rf"#(?:{ID})?")
_SCHEME = re.compile(rf"{ABSOLUTE}\S+")
_OF_HL7 = re.compile(rf"http://hl7\.org/fhir/({_TYPE})/[^/]+")


@dataclass(frozen=True, slots=True)
class Target:
    """The form of a reference is known; its type may be (type is empty when the text does not show it)."""

    type: str = ""
    local_id: str | None = None


def read_reference(text: str) -> Target | None:
    """
    The target of a literal reference, or None when it has none of the forms FHIR allows.

    Forms: Type/id, Type/id/_history/v, Type?search (conditional, for transactions), absolute URL, urn:...,
    #id. A URL whose tail is not Type/id is taken as it is: its type is not visible.
    """
    if local := _LOCAL.fullmatch(text):
        return Target(local_id=local[0][1:])
    for form in (_RELATIVE, _CONDITIONAL, _ABSOLUTE):
        if match := form.fullmatch(text):
            return Target(match[1])
    return Target() if _SCHEME.fullmatch(text) else None


def type_of_canonical(url: str) -> str:
    """The type that a canonical URL of HL7 shows (http://hl7.org/fhir/ValueSet/x); empty for every other URL."""
    match = _OF_HL7.match(url)
    return match[1] if match else ""
