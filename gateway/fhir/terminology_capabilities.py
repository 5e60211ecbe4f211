"""TerminologyCapabilities: what the terminology operations know and can do (R4 section 5.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.r4.code_systems import CodeSystem
from gateway.r4.terminology import specification

_EXPANSION_PARAMETERS = (
    "activeOnly",
    "count",
    "displayLanguage",
    "exclude-system",
    "excludeNotForUI",
    "filter",
    "includeDefinition",
    "includeDesignations",
    "offset",
)


def terminology_capabilities(base_url: str, date: str) -> bytes:
    """
    The TerminologyCapabilities of a server at this URL, as JSON.

    date  when what it says last changed, as in the CapabilityStatement
    """
    return orjson.dumps(
        {
            "resourceType": "TerminologyCapabilities",
            "id": "backbridge-terminology",
            "status": "active",
            "date": date,
            "kind": "instance",
            "implementation": {"description": "Backbridge FHIR endpoint", "url": base_url},
            "codeSystem": list(_code_systems()),
            "expansion": {
                "hierarchical": False,
                "paging": True,
                "incomplete": False,
                "parameter": [{"name": name} for name in _EXPANSION_PARAMETERS],
                "textFilter": "Each word begins a word of a display or designation, or is part of the code.",
            },
            "codeSearch": "explicit",
            "validateCode": {"translations": True},
            "translation": {"needsMap": False},
            "closure": {"translation": False},
        }
    )


def _code_systems() -> Iterator[dict[str, Any]]:
    """Those of the specification whose codes are all here; systems stored on this server are found by search."""
    systems = specification().code_systems
    for url in sorted(systems):
        if systems[url].is_complete:
            yield {"uri": url, "version": [_version(systems[url])], "subsumption": bool(systems[url].children)}


def _version(system: CodeSystem) -> dict[str, Any]:
    named = {"code": system.version} if system.version else {}
    return {**named, "isDefault": True, "compositional": False}
