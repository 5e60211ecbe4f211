"""Composition/[id]/$document: the Composition and everything it refers to, as one Bundle (R4 section 3.3 documents).

A document is read as a whole and may be signed, so it is never made with a part missing: what the client cannot see,
it cannot put into a document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import orjson

from gateway.fhir.bundles import json_string
from gateway.fhir.errors import BadRequest, Incomplete
from gateway.fhir.exchange import Answer, Request, Service, permit, version_headers
from gateway.fhir.operation_input import inputs_of
from gateway.fhir.paths import is_logical_id
from gateway.r4.parse import parse
from gateway.store.changes import Create, Version, instant
from gateway.store.errors import NotFound
from gateway.store.query import by_id

# What a document need not hold: another document that this one replaces or changes.
_LINKS = frozenset(("relatesTo",))
_LITERAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")

Reference = tuple[str, str]
"""(type, id)"""


async def document(service: Service, request: Request) -> Answer:
    """A Bundle of type document, made anew each time; with persist it is stored, and Location says where."""
    route = request.route
    if not is_logical_id(route.id):
        raise NotFound
    persist = inputs_of(service, request).flag("persist") or False
    if persist and route.interaction.method == "GET":
        raise BadRequest("GET stores nothing: ask for persist with POST.", expression="persist")
    if persist:
        permit(request.context, "Bundle", "c")
    composition = await service.store.read(request.context, "Composition", route.id)
    text = _assembled(service, [composition, *await _parts(service, request, composition)])
    return await _stored(service, request, text) if persist else Answer(200, (), text)


async def _parts(service: Service, request: Request, composition: Version) -> list[Version]:
    """What the Composition refers to, in that order. Raises Incomplete where something cannot be seen."""
    wanted = list(dict.fromkeys(_references(service, orjson.loads(composition.body or b"{}"))))
    wanted = [each for each in wanted if each != ("Composition", composition.id)]
    found: dict[Reference, Version] = {}
    for resource_type in dict.fromkeys(name for name, _ in wanted):
        ids = [logical_id for name, logical_id in wanted if name == resource_type]
        permit(request.context, resource_type, "r")
        page = await service.store.search(request.context, by_id(resource_type, ids))
        found.update(((version.type, version.id), version) for version in page.matches)
    if missing := [name for name, logical_id in wanted if (name, logical_id) not in found]:
        raise Incomplete(f"The Composition refers to a {missing[0]} that you may not see.", expression="Composition")
    return [found[each] for each in wanted]


def _references(service: Service, composition: Any) -> Iterator[Reference]:
    for name, value in composition.items():
        if name not in _LINKS:
            yield from _references_in(service, value)


def _references_in(service: Service, node: Any) -> Iterator[Reference]:
    """The literal references to this server, at any depth."""
    if isinstance(node, list):
        for item in node:
            yield from _references_in(service, item)
    elif isinstance(node, dict):
        says = node.get("reference")
        literal = says.removeprefix(service.base_url + "/") if isinstance(says, str) else ""
        if match := _LITERAL.fullmatch(literal):
            yield match[1], match[2]
        for value in node.values():
            yield from _references_in(service, value)


def _assembled(service: Service, versions: list[Version]) -> bytes:
    """The Bundle; stored bytes are joined, not printed."""
    head = (
        '{"resourceType":"Bundle",'
        f'"identifier":{{"system":"urn:ietf:rfc:3986","value":"urn:uuid:{uuid4()}"}},'
        f'"type":"document","timestamp":"{instant(service.store.clock())}","entry":['
    )
    entries = (
        f'{{"fullUrl":{json_string(f"{service.base_url}/{version.reference}")},"resource":'.encode()
        + (version.body or b"{}")
        + b"}"
        for version in versions
    )
    return head.encode() + b",".join(entries) + b"]}"


async def _stored(service: Service, request: Request, text: bytes) -> Answer:
    bundle = parse(text, max_bytes=len(text), max_depth=service.settings.max_depth + 4)
    (done,) = await service.store.commit(request.context, [Create("Bundle", bundle, text.decode())])
    version = done.version
    url = f"{service.base_url}/{version.reference}/_history/{version.version}"
    headers = ((b"location", url.encode()), *version_headers(version))
    return Answer(200, headers, version.body or b"", version)
