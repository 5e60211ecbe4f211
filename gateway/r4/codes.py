"""Codes that their system does not have (FHIR R4 Coding.code: a symbol in the syntax defined by the system).

Judged are the code systems that this version of FHIR closes, those below http://hl7.org/fhir/, where the tables hold
all of their codes. Other systems live on after R4: see remarks.py.
"""

import re
from functools import cache, lru_cache
from typing import Any

from gateway.r4.terminology import specification

_FROZEN = "http://hl7.org/fhir/"

# system and code as they are usually printed, side by side; the code is empty where they are not.
_PRINTED = re.compile(rb'"system":"(http://hl7\.org/fhir/[^"]*)"(?:(?:,"version":"[^"]*")?,"code":"([^"\\]*)")?')


@cache
def _closed() -> dict[str, frozenset[str]]:
    """The codes of each system that has these and no others."""
    systems = specification().code_systems.values()
    return {s.url: frozenset(s.concepts) for s in systems if s.is_complete and s.url.startswith(_FROZEN)}


def is_possible_code(system: object, code: object) -> bool:
    """Whether a system may have a code; yes for every system that is not judged."""
    if not isinstance(code, str):
        return True
    known = _closed().get(system) if isinstance(system, str) else None
    return known is None or code in known


@lru_cache(maxsize=2048)
def _is_plain(system: bytes, code: bytes) -> bool:
    name = system.decode()
    if name not in _closed():
        return True
    return bool(code) and is_possible_code(name, code.decode())


def are_plainly_possible(printed: bytes, resource: Any) -> bool:
    """Whether every code in a resource is possible; printed: the same as compact JSON. No: look closer."""
    if all(_is_plain(system, code) for system, code in _PRINTED.findall(printed)):
        return True
    return _are_possible(resource)


def _are_possible(node: Any) -> bool:
    if isinstance(node, dict):
        if "system" in node and not is_possible_code(node["system"], node.get("code")):
            return False
        return all(_are_possible(value) for value in node.values() if isinstance(value, (dict, list)))
    return all(_are_possible(item) for item in node if isinstance(item, (dict, list)))
