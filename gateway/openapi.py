"""The published contract, OpenAPI 3.1: the token door as FastAPI tells it, the FHIR door from its own tables.

Each type has a path of its own for search and create, because its search parameters are its own; every other
interaction is one path with `{type}`. Bodies are shallow: FHIR R4 itself describes them, and the validator judges them.
What OpenAPI cannot say of a search (modifiers, chains, `_has`) is in docs/fhir-api.md.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from gateway import VERSION
from gateway.app import build_app
from gateway.fhir import capability, history, read, search_results
from gateway.fhir.app import OPEN_TO_ALL
from gateway.fhir.negotiate import FHIR_JSON, JSON_PATCH
from gateway.fhir.operations import BY_CODE
from gateway.fhir.parameters import ON_EVERY_INTERACTION
from gateway.fhir.paths import INTERACTIONS, READ_ONLY, WHOLE_COMPARTMENT, WRITES, Interaction
from gateway.r4.definitions import TYPES
from gateway.r4.search_parameters import COMPARTMENTS, DEFINITIONS
from gateway.settings import Settings

JSON = dict[str, Any]

MEDIA_TYPE = FHIR_JSON[1].decode().partition(";")[0]
STORED_TYPES = tuple(name for name in TYPES if name not in capability.NOT_STORED)
HEALTH = {
    "/livez": "The process answers.",
    "/readyz": "Requests can be served: database, keys and disk space, each by name.",
}

_ABOUT = (
    "FHIR R4 (4.0.1) for back and neck pain self-management. HEAD works wherever GET does. Consent is applied inside"
    " every query: what a reader may not see is answered like what does not exist. Search parameters also take the"
    " modifiers, chains and _has of docs/fhir-api.md; a repeated parameter must match each time, a comma means or."
)
_SERVER = "http://127.0.0.1:8000"
_NATIVE = ("_id", "_lastUpdated")
_TEXT = {"type": "string"}
_NUMBER = {"type": "integer", "minimum": 0}
_TEXTS = {"type": "array", "items": _TEXT}

QUERY: dict[str, tuple[JSON, str]] = {
    "_id": (_TEXTS, "Logical ids, with commas between them."),
    "_lastUpdated": (_TEXTS, "When the version was stored: a date, with or without a prefix."),
    "_count": (_NUMBER, "Entries of a page; above `page_max` it is lowered, 0 asks for the total alone."),
    "_sort": (_TEXT, "Parameters to sort by, with commas between them; a minus before one turns its order."),
    "_summary": ({"enum": ["true", "false", "text", "data", "count"]}, "A part of each resource, tagged SUBSETTED."),
    "_elements": (_TEXT, "Elements to keep, with commas between them."),
    "_total": ({"enum": ["none", "accurate", "estimate"]}, "Whether the Bundle has a total; it is always exact."),
    "_cursor": (_TEXT, "Where the last page ended: sealed, taken from a next link and never made up."),
    "_include": (_TEXTS, "Type:parameter[:Target] of references to follow."),
    "_include:iterate": (_TEXTS, "The same, from included resources too."),
    "_include:recurse": (_TEXTS, "An older name of _include:iterate."),
    "_revinclude": (_TEXTS, "Type:parameter[:Target] of references that point here."),
    "_revinclude:iterate": (_TEXTS, "The same, to included resources too."),
    "_revinclude:recurse": (_TEXTS, "An older name of _revinclude:iterate."),
    "_since": ({"type": "string", "format": "date-time"}, "Versions from this moment on, itself included."),
    "_at": (_TEXT, "Versions that were current at some time of this date or moment."),
    "_type": (_TEXT, "Resource types to search, with commas between them."),
    "_format": (_TEXT, "The format of the answer; it goes before Accept."),
    "_pretty": (_TEXT, "Accepted and ignored: the stored bytes are the answer."),
    "mode": ({"enum": list(capability.MODES)}, "Which statement."),
}
HEADERS: dict[str, str] = {
    "If-None-Match": "Reading: the ETag that the reader has. Updating: `*` refuses what exists.",
    "If-Modified-Since": "The reader has what was stored until then.",
    "If-Match": 'The version that must be current, such as W/"3".',
    "If-None-Exist": "A search; where it matches one resource, that is the answer and nothing is created.",
    "Prefer": "return=minimal, representation or OperationOutcome; handling=strict or lenient.",
}
KINDS: dict[str, str] = {
    "token": "[system|]code",
    "string": "the beginning of the text, whatever its case and accents",
    "date": "a date or moment, with or without a prefix",
    "number": "a number, with or without a prefix",
    "quantity": "[prefix]number[|system|code]",
    "reference": "Type/id, id or URL",
    "uri": "the whole URI",
    "composite": "the parts with $ between them",
}
_CONDITIONAL = frozenset(("update", "patch", "delete"))
_CONDITION: JSON = {
    "name": "condition",
    "in": "query",
    "required": True,
    "description": "Search parameters of the type: the condition that names the resource, as in a search.",
    "schema": {"type": "object", "minProperties": 1, "additionalProperties": _TEXT},
}
_RESULT = tuple(sorted(search_results.NAMES))
# By code: query parameters, headers, what each success means.
_SHAPES: dict[str, tuple[Sequence[str], Sequence[str], dict[str, str]]] = {
    "read": (sorted(read.KNOWN), ("If-None-Match", "If-Modified-Since"), {"200": "Resource", "304": ""}),
    "vread": (sorted(read.KNOWN), ("If-None-Match", "If-Modified-Since"), {"200": "Resource", "304": ""}),
    "history-instance": (sorted(history.KNOWN), (), {"200": "Bundle"}),
    "history-type": (sorted(history.KNOWN), (), {"200": "Bundle"}),
    "history-system": (sorted(history.KNOWN), (), {"200": "Bundle"}),
    "create": ((), ("If-None-Exist", "Prefer"), {"200": "Resource", "201": "Resource"}),
    "update": ((), ("If-Match", "If-None-Match", "Prefer"), {"200": "Resource", "201": "Resource"}),
    "patch": ((), ("If-Match", "Prefer"), {"200": "Resource"}),
    "delete": ((), ("If-Match", "Prefer"), {"200": "OperationOutcome", "204": ""}),
    "search-type": ((*_NATIVE, *_RESULT), ("Prefer",), {"200": "Bundle"}),
    "search-compartment": ((*_NATIVE, *_RESULT), ("Prefer",), {"200": "Bundle"}),
    "search-system": (("_type", *_NATIVE, *_RESULT), ("Prefer",), {"200": "Bundle"}),
    "batch": ((), ("Prefer",), {"200": "Bundle"}),
    "transaction": ((), ("Prefer",), {"200": "Bundle"}),
    "capabilities": (sorted(capability.KNOWN), (), {"200": "Resource"}),
}
_OPERATION = ((), (), {"200": "Resource"})
_MEANINGS = {"200": "Done", "201": "Created", "204": "Done, nothing to say", "304": "The reader has it already"}


def contract() -> JSON:
    """The whole document; the same tables make the same text."""
    published = pages().openapi()
    components = _components()
    components["schemas"] |= published.get("components", {}).get("schemas", {})
    return {
        "openapi": published["openapi"],
        "info": {"title": "Backbridge", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": _SERVER, "description": "as `make run` starts it"}],
        "paths": {**published["paths"], **{path: _health(path) for path in HEALTH}, **_fhir_paths()},
        "components": components,
    }


def pages() -> FastAPI:
    """The FastAPI part of the application, built as `backbridge serve` builds it, on an empty database."""
    with tempfile.TemporaryDirectory() as folder:
        application = build_app(Settings(home=Path(folder), public_base_url=_SERVER)).pages
        assert isinstance(application, FastAPI), "everything but FHIR is FastAPI"
        asyncio.run(_start_and_stop(application))
    return application


async def _start_and_stop(application: FastAPI) -> None:
    """What the application opened is closed by its own shutdown."""
    async with application.router.lifespan_context(application):
        pass


def endpoints() -> Iterator[tuple[str, str, tuple[Interaction, ...]]]:
    """Path, method and the interactions behind them, of everything that the table of FHIR endpoints serves."""
    for (template, method), rows in groupby(INTERACTIONS, key=lambda row: (row.template, row.method)):
        found = tuple(rows)
        if template != "{type}":
            yield f"/fhir/{template}".rstrip("/"), method, found
            continue
        for name in STORED_TYPES:
            if found[0].letter not in WRITES or name not in READ_ONLY:
                yield f"/fhir/{name}", method, found


def _fhir_paths() -> JSON:
    paths: JSON = {}
    for path, method, rows in endpoints():
        own = path.rpartition("/")[2]
        paths.setdefault(path, {})[method.lower()] = _operation(rows, own if own in DEFINITIONS else "")
    return paths


def _operation(rows: Sequence[Interaction], resource_type: str) -> JSON:
    """One operation; `resource_type` where the path is the type's own."""
    row = rows[0]
    query, headers, successes = _SHAPES.get(row.code, _OPERATION)
    if row.body == "form":
        query = ()
    names = [*_places(row, resource_type), *query, *sorted(ON_EVERY_INTERACTION), *headers]
    if row.code == "search-type" and resource_type:
        names += [_component(code, kind) for code, kind in _parameters_of(resource_type)]
    if row.code in _CONDITIONAL and resource_type:
        names.append("Condition")
    parameters = [{"$ref": f"#/components/parameters/{name.replace(':', '.')}"} for name in names]
    operation: JSON = {
        "operationId": _operation_id(rows, resource_type),
        "tags": [resource_type or _own_type(row) or "any type"],
        "parameters": [*parameters, *_inputs(row)],
        "responses": {status: _response(status, body) for status, body in successes.items()},
        "security": [] if row.code in OPEN_TO_ALL else [{"bearer": []}],
    }
    operation["responses"]["default"] = {"$ref": "#/components/responses/Refused"}
    if row.letter:
        operation["description"] = f"Needs a scope with the letter {row.letter}."
    if row.body:
        operation["requestBody"] = _body(rows)
    return operation


def _operation_id(rows: Sequence[Interaction], resource_type: str) -> str:
    row = rows[0]
    if row.code in BY_CODE:
        return "-".join((row.code, "instance" if "{id}" in row.template else "type", row.method.lower()))
    code = "-or-".join(each.code for each in rows)
    return "-".join(filter(None, (code, resource_type, "form" if row.body == "form" else "")))


def _own_type(row: Interaction) -> str:
    """The type that an operation's endpoint names."""
    first = row.template.partition("/")[0]
    return first if first in DEFINITIONS else ""


def _inputs(row: Interaction) -> list[JSON]:
    """The inputs of an operation that is asked by GET; those that are no text need POST."""
    if row.code not in BY_CODE or row.body:
        return []
    return [{"name": name, "in": "query", "schema": _TEXT} for name in BY_CODE[row.code].parameters]


def _places(row: Interaction, resource_type: str) -> Iterator[str]:
    """The components of the path's parameters."""
    if "{type}" in row.template and not resource_type:
        if "{member}" in row.template:
            yield "Compartment"
        else:
            yield "WritableType" if row.letter in WRITES else "Type"
    yield from (name.capitalize() for name in ("id", "member", "version") if f"{{{name}}}" in row.template)


def _parameters_of(resource_type: str) -> list[tuple[str, str]]:
    return [(code, row.parameter.kind) for code, row in DEFINITIONS[resource_type].items()]


def _component(code: str, kind: str) -> str:
    return f"{code}.{kind}"


def _body(rows: Sequence[Interaction]) -> JSON:
    if rows[0].body == "form":
        form = {"type": "object", "description": "The parameters that GET takes.", "additionalProperties": _TEXTS}
        return {"content": {"application/x-www-form-urlencoded": {"schema": form}}}
    if rows[0].body == "patch":
        kinds = {JSON_PATCH: "JSONPatch", MEDIA_TYPE: "Parameters"}
        return {"required": True, "content": {kind: {"schema": _schema(name)} for kind, name in kinds.items()}}
    if rows[0].body == "parameters":
        return {
            "content": {MEDIA_TYPE: {"schema": _schema("Resource" if BY_CODE[rows[0].code].bare else "Parameters")}}
        }
    schema = "Bundle" if rows[0].code == "batch" else "Resource"
    return {"required": True, "content": {MEDIA_TYPE: {"schema": _schema(schema)}}}


def _response(status: str, schema: str) -> JSON:
    answer: JSON = {"description": _MEANINGS[status]}
    if schema:
        answer["content"] = {MEDIA_TYPE: {"schema": _schema(schema)}}
    return answer


def _schema(name: str) -> JSON:
    return {"$ref": f"#/components/schemas/{name}"}


def _health(path: str) -> JSON:
    answers = {"200": {"description": HEALTH[path]}}
    if path == "/readyz":
        answers["503"] = {"description": "A part that is needed is missing; the answer says which."}
    return {"get": {"operationId": path.strip("/"), "tags": ["health"], "responses": answers}}


def _components() -> JSON:
    return {
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        "schemas": {
            "Resource": _resource(_TEXT, description="A resource of FHIR R4 (4.0.1)."),
            "Bundle": _resource({"const": "Bundle"}, type=_TEXT, entry={"type": "array", "items": {"type": "object"}}),
            "Parameters": _resource({"const": "Parameters"}, parameter={"type": "array", "items": {"type": "object"}}),
            "JSONPatch": {"type": "array", "items": {"type": "object", "required": ["op", "path"]}},
            "OperationOutcome": _resource(
                {"const": "OperationOutcome"}, issue={"type": "array", "items": {"type": "object"}, "minItems": 1}
            ),
        },
        "responses": {
            "Refused": {
                "description": "What is wrong and where; the statuses are in docs/fhir-api.md, Errors.",
                "content": {MEDIA_TYPE: {"schema": _schema("OperationOutcome")}},
            }
        },
        "parameters": {
            "Condition": _CONDITION,
            **_path_parameters(),
            **_query_parameters(),
            **_search_parameters(),
            **_header_parameters(),
        },
    }


def _resource(name: JSON, description: str = "", **properties: JSON) -> JSON:
    schema: JSON = {
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": name, **properties},
    }
    return schema | ({"description": description} if description else {})


def _path_parameters() -> JSON:
    writable = [name for name in STORED_TYPES if name not in READ_ONLY]
    return {
        "Type": _placed("type", {"enum": list(STORED_TYPES)}),
        "WritableType": _placed("type", {"enum": writable}),
        "Compartment": _placed("type", {"enum": sorted(COMPARTMENTS)}),
        "Id": _placed("id", {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"}),
        "Member": _placed("member", {"enum": [*STORED_TYPES, WHOLE_COMPARTMENT]}),
        "Version": _placed("version", {"type": "integer", "minimum": 1}),
    }


def _placed(name: str, schema: JSON) -> JSON:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters() -> JSON:
    return {
        name.replace(":", "."): {"name": name, "in": "query", "description": text, "schema": schema}
        for name, (schema, text) in QUERY.items()
    }


def _search_parameters() -> JSON:
    """One component for each code and kind, whichever types have it."""
    found: Iterable[tuple[str, str]] = sorted({pair for name in STORED_TYPES for pair in _parameters_of(name)})
    return {
        _component(code, kind): {
            "name": code,
            "in": "query",
            "description": f"{kind}: {KINDS[kind]}",
            "schema": _TEXTS,
        }
        for code, kind in found
    }


def _header_parameters() -> JSON:
    return {
        name: {"name": name, "in": "header", "description": text, "schema": _TEXT} for name, text in HEADERS.items()
    }
