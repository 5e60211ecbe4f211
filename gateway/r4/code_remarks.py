"""Codes that deserve a remark: other names, retired ones, forms that a system does not have, weaker bindings.

These never refuse a resource: code systems live on after R4, old records keep old codes, and a binding that is
extensible leaves room where no code fits (R4 terminologies, section 4.1.5).
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from gateway.r4.code_systems import Concept
from gateway.r4.code_validation import has_name
from gateway.r4.definitions import rows
from gateway.r4.fhirpath_logic import Surroundings, Truth
from gateway.r4.fhirpath_values import Items
from gateway.r4.languages import is_language_tag
from gateway.r4.terminology import specification
from gateway.r4.terminology_errors import TerminologyError, Wanted
from gateway.r4.terminology_sources import Definitions
from gateway.r4.ucum import SYSTEM as UCUM
from gateway.r4.ucum import is_unit
from gateway.r4.value_set_members import is_member

_VALUE_SETS = "http://hl7.org/fhir/ValueSet/"
# A concept identifier, or an expression of the compositional grammar, which begins with one; |terms| may follow.
_SNOMED_CODE = re.compile(
    r"\s*(?:(?:===|<<<)\s*)?([1-9][0-9]{5,17})(?:\s*\|[^|]*\|)?(?:\s*[+:].*)?\s*", re.DOTALL
)  # fmt: skip
_LOINC_CODE = re.compile(r"([0-9]{1,7})-([0-9])")
_LOINC_OTHER = re.compile(r"(?:L[AGLP]|MTHU)[0-9]{1,7}-[0-9]")
# The multiplication and the permutation of Verhoeff's check digit (SNOMED CT release format, SCTID).
_TIMES = tuple(
    tuple((i + j) % 5 if i < 5 and j < 5 else (i + (j if j < 5 else j - 5)) % 5 + 5 for j in range(10))
    for i in range(5)
) + tuple(tuple(((i - j) % 5 + 5) if j < 5 else (i - j) % 5 for j in range(10)) for i in range(5, 10))
_STEP = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def has_verhoeff_digit(number: str) -> bool:
    """Whether the last digit of a number is its check digit by Verhoeff."""
    check = 0
    for place, sign in enumerate(reversed(number)):
        digit = int(sign)
        for _ in range(place % 8):
            digit = _STEP[digit]
        check = _TIMES[check][digit]
    return check == 0


def is_snomed_code(code: str) -> bool:
    """Whether a text can be a SNOMED CT identifier or expression; the first identifier's check digit counts."""
    match = _SNOMED_CODE.fullmatch(code)
    return match is not None and has_verhoeff_digit(match[1])


def is_loinc_code(code: str) -> bool:
    """Whether a text can be a LOINC code, whose last digit is a check digit (mod 10), or a part, answer or group."""
    match = _LOINC_CODE.fullmatch(code)
    if match is None:
        return _LOINC_OTHER.fullmatch(code) is not None
    doubled = (int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(match[1])))
    return (10 - sum(value // 10 + value % 10 for value in doubled) % 10) % 10 == int(match[2])


_FORMS: dict[str, Callable[[str], bool]] = {
    "http://snomed.info/sct": is_snomed_code,
    "http://loinc.org": is_loinc_code,
    "urn:ietf:bcp:47": is_language_tag,
    UCUM: is_unit,
}


def _has_form(focus: Items, around: Surroundings) -> bool:
    system, code = focus[0].get("system"), focus[0].get("code")
    judge = _FORMS.get(system) if isinstance(system, str) else None
    return judge is None or not isinstance(code, str) or judge(code)


def _concept(coding: dict[str, Any]) -> Concept | None:
    system = specification().code_systems.get(coding.get("system", ""))
    return system.find(coding.get("code", "")) if system is not None else None


def _is_known(focus: Items, around: Surroundings) -> bool:
    system = specification().code_systems.get(focus[0].get("system", ""))
    if system is None or not system.is_complete or "code" not in focus[0]:
        return True
    return system.find(focus[0]["code"]) is not None


def _is_active(focus: Items, around: Surroundings) -> bool:
    concept = _concept(focus[0])
    return concept is None or not concept.is_inactive


def _is_named(focus: Items, around: Surroundings) -> bool:
    concept, display = _concept(focus[0]), focus[0].get("display")
    return concept is None or not concept.display or display is None or has_name(concept, display)


BY_HAND: dict[str, Truth] = {
    "bb-active": _is_active,
    "bb-display": _is_named,
    "bb-form": _has_form,
    "bb-known": _is_known,
    "bb-unit": _has_form,
}


@cache
def extensible_bindings() -> dict[str, str]:
    """The value set of each element with an extensible binding, by the path of the element."""
    return {row["path"]: _url(row["value_set"]) for row in rows("extensible-bindings.csv") if "." in row["path"]}


def _url(name: str) -> str:
    return name if "/" in name else _VALUE_SETS + name


def binding_truth(value_set: str) -> Truth:
    """Whether a code, Coding or CodeableConcept has a code of the value set; yes where that cannot be told here."""

    def truth(focus: Items, around: Surroundings) -> bool:
        codings = _codings(focus[0])
        return not codings or any(_may_be_member(value_set, each) for each in codings)

    return truth


def _codings(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, str):
        return [{"code": node}]
    if not isinstance(node, dict):
        return []
    listed = node.get("coding", [node])
    return [each for each in listed if "code" in each]


def _may_be_member(value_set: str, coding: dict[str, Any]) -> bool:
    sources = Definitions()
    try:
        return is_member(sources.value_set(value_set), coding.get("system", ""), coding["code"], sources)
    except (TerminologyError, Wanted):
        return True
