"""Which definition a terminology operation is about, and the definitions that it needs beside.

Those of the specification the engine has itself; those stored on this server are searched for it here, as the one
who asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar
from uuid import uuid4

import orjson

from gateway.access import AccessContext
from gateway.fhir.errors import BadRequest
from gateway.fhir.exchange import Request, Service
from gateway.fhir.operation_input import Inputs
from gateway.fhir.paths import is_logical_id
from gateway.fhir.search_syntax import parse_search
from gateway.r4.terminology import Resource
from gateway.r4.terminology_sources import Definitions, answered
from gateway.r4.validate import validator
from gateway.store.errors import Gone, Invalid, NotFound

T = TypeVar("T")
# What separates values in a search (R4 section 3.1.1.4.1).
_SEPARATORS = re.compile(r"([\\,$|])")


async def asked(service: Service, request: Request, sources: Definitions, question: Callable[[], T]) -> T:
    """The answer of the engine; every definition that it wants is looked for on this server first."""

    async def find(resource_type: str, url: str, version: str) -> Resource | None:
        return await stored_definition(service, request.context, resource_type, url, version)

    return await answered(question, sources, find)


async def stored_definition(
    service: Service, context: AccessContext, resource_type: str, url: str, version: str = ""
) -> Resource | None:
    """The definition of a canonical URL that was stored last, as this context may see it; None where it sees none."""
    if not url or not context.scopes.permits(resource_type, "s"):
        return None
    pairs = [("url", _literal(url)), ("_sort", "-_lastUpdated"), ("_count", "1")]
    if version:
        pairs.append(("version", _literal(version)))
    parsed = parse_search(resource_type, pairs, strict=True, limits=service.limits, base_url=service.base_url)
    page = await service.store.search(context, parsed.search)
    return next((orjson.loads(each.body) for each in page.matches if each.body is not None), None)


def _literal(value: str) -> str:
    return _SEPARATORS.sub(r"\\\1", value)


async def subject(
    service: Service, request: Request, inputs: Inputs, name: str, version: str
) -> tuple[Definitions, Callable[[], Resource]]:
    """The definition that the request is about: its instance, the one it carries, or the one it names by url."""
    sources = Definitions()
    carried = await _carried(service, request, inputs, name)
    if carried is not None:
        return sources, lambda: carried
    canonical = _canonical(inputs, version)
    read = sources.value_set if name == "valueSet" else sources.concept_map
    return sources, lambda: read(canonical)


async def _carried(service: Service, request: Request, inputs: Inputs, name: str) -> Resource | None:
    if request.route.id:
        return await _instance(service, request)
    resource = inputs.resource(name)
    if resource is not None:
        resource_type = name[0].upper() + name[1:]
        if issues := validator().validate(resource, resource_type):
            raise Invalid(issues)
    return resource


async def _instance(service: Service, request: Request) -> Resource:
    if not is_logical_id(request.route.id):
        raise NotFound
    version = await service.store.read(request.context, request.route.type, request.route.id)
    if version.body is None:
        raise Gone
    resource: Resource = orjson.loads(version.body)
    return resource


def _canonical(inputs: Inputs, version: str) -> str:
    url = inputs.text("url")
    if not url:
        raise BadRequest("Name the definition by its url, send it, or ask its instance.", expression="url")
    stated = inputs.text(version)
    return f"{url}|{stated}" if stated and "|" not in url else url


async def system_asked(
    service: Service, request: Request, inputs: Inputs, named_by: str = "url"
) -> tuple[Definitions, str]:
    """The URL of the code system that the request is about, and the system itself where the request brings it."""
    sources = Definitions()
    carried = await _carried(service, request, inputs, "codeSystem")
    if carried is None:
        return sources, inputs.text(named_by) or ""
    url = str(carried.get("url") or f"urn:uuid:{uuid4()}")
    for version in {"", inputs.text("version") or "", str(carried.get("version", ""))}:
        sources.brought["CodeSystem", url, version] = carried
    return sources, url


def has(inputs: Inputs, name: str) -> bool:
    return any(each.name == name for each in inputs.parameters)
