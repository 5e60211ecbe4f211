"""capabilities: GET [base]/metadata, written from the tables that drive the routes and the search (R4 section 5.2)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from gateway import VERSION
from gateway.fhir.errors import BadRequest
from gateway.fhir.exchange import Answer, Request, Service
from gateway.fhir.negotiate import FHIR_JSON, JSON_PATCH
from gateway.fhir.operations import OPERATIONS, Operation, operations_of
from gateway.fhir.parameters import refuse_unknown, value_of
from gateway.fhir.paths import INTERACTIONS, READ_ONLY, WRITES
from gateway.fhir.terminology_capabilities import terminology_capabilities
from gateway.r4.definitions import TYPES
from gateway.r4.search_parameters import COMPARTMENTS, DEFINITIONS, Definition
from gateway.settings import Settings

# The day on which what this statement says last changed: `date` says so of the statement, not of the server's start.
CHANGED = "2026-11-21"
KNOWN = frozenset(("mode",))
MODES = ("full", "normative", "terminology")
# An envelope of operations, which no store keeps.
NOT_STORED = frozenset(("Parameters",))
POINTS_ANYWHERE = 100
"""A reference parameter with as many targets as this is one to any resource."""
NATIVE_PARAMETERS = (
    {"name": "_id", "definition": "http://hl7.org/fhir/SearchParameter/Resource-id", "type": "token"},
    {
        "name": "_lastUpdated",
        "definition": "http://hl7.org/fhir/SearchParameter/Resource-lastUpdated",
        "type": "date",
    },
)


async def capabilities(service: Service, request: Request) -> Answer:
    """The same for everyone: it needs no token."""
    pairs = refuse_unknown(request.pairs, KNOWN, strict=service.is_strict(request))
    mode = value_of(pairs, "mode") or "full"
    if mode not in MODES:
        raise BadRequest("The mode is full, normative or terminology.")
    return Answer(200, (), _terminology(service.base_url) if mode == "terminology" else service.statement)


@lru_cache(maxsize=1)
def _terminology(base_url: str) -> bytes:
    """Asked for seldom and long to write, so it is written on the first request."""
    return terminology_capabilities(base_url, CHANGED)


def statement(settings: Settings) -> bytes:
    """The CapabilityStatement of a server with these settings."""
    base_url = settings.fhir_base_url
    return orjson.dumps(
        {
            "resourceType": "CapabilityStatement",
            "id": "backbridge",
            "status": "active",
            "date": CHANGED,
            "publisher": "Backbridge",
            "kind": "instance",
            "software": {"name": "Backbridge", "version": VERSION},
            "implementation": {"description": "Backbridge FHIR endpoint", "url": base_url},
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json", "json"],
            "patchFormat": [JSON_PATCH, FHIR_JSON[1].decode().partition(";")[0]],
            "rest": [_rest(settings)],
        }
    )


def _rest(settings: Settings) -> dict[str, Any]:
    found = {
        "mode": "server",
        "security": {"description": "OAuth 2 bearer tokens; consent is applied to every read and write."},
        "resource": [_resource(name, settings) for name in TYPES if name not in NOT_STORED],
        "interaction": [{"code": code} for code in _codes("system")],
        "operation": [_operation(row) for row in OPERATIONS if "system" in row.letters],
        "compartment": [f"http://hl7.org/fhir/CompartmentDefinition/{name.lower()}" for name in sorted(COMPARTMENTS)],
    }
    return {key: value for key, value in found.items() if value != []}


def _resource(name: str, settings: Settings) -> dict[str, Any]:
    definitions = DEFINITIONS[name]
    is_writable = name not in READ_ONLY
    deletes = "single" if settings.conditional_delete_max == 1 else "multiple"
    described = {
        "type": name,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{name}",
        "interaction": [{"code": code} for code in _codes("resource", writes=is_writable)],
        "versioning": "versioned",
        "readHistory": True,
        # Only clients registered as feeds choose ids, and only below their prefix.
        "updateCreate": False,
        "conditionalCreate": is_writable,
        "conditionalRead": "full-support",
        "conditionalUpdate": is_writable,
        "conditionalDelete": deletes if is_writable else "not-supported",
        "referencePolicy": ["literal", "logical", *(["enforced"] if settings.references == "existing" else [])],
        "searchInclude": sorted(f"{name}:{code}" for code, row in definitions.items() if _is_link(row)),
        "searchRevInclude": _REFERRERS.get(name, []),
        "searchParam": [*NATIVE_PARAMETERS, *(_parameter(code, row) for code, row in definitions.items())],
        "operation": [_operation(row) for row in operations_of(name) if is_writable or not row.affects_state],
    }
    return {key: value for key, value in described.items() if value != []}


def _operation(row: Operation) -> dict[str, str]:
    return {"name": row.name, "definition": row.definition}


def _parameter(code: str, row: Definition) -> dict[str, str]:
    return {"name": code, "definition": row.url, "type": row.parameter.kind}


def _codes(level: str, *, writes: bool = True) -> list[str]:
    """The codes of the table's rows at a level, each once."""
    rows = (row for row in INTERACTIONS if row.level == level and (writes or row.letter not in WRITES))
    return list(dict.fromkeys(row.code for row in rows))


def _is_link(row: Definition) -> bool:
    return row.parameter.kind == "reference"


def _referrers() -> dict[str, list[str]]:
    """By type, the parameters that point at it by name; those that may point at anything would drown them."""
    found: dict[str, list[str]] = {}
    for source, definitions in sorted(DEFINITIONS.items()):
        for code, row in sorted(definitions.items()):
            if _is_link(row) and len(row.parameter.targets) < POINTS_ANYWHERE:
                for target in row.parameter.targets:
                    found.setdefault(target, []).append(f"{source}:{code}")
    return found


_REFERRERS = _referrers()
