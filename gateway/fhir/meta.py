"""$meta, $meta-add and $meta-delete: profiles, tags and security labels of a resource (R4 section 3.2, Resource).

A change of meta is a new version, like any other change: labels say who may see a resource, and history must tell when
they changed (docs/decisions/0024-meta-changes-make-versions.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from gateway.fhir.drafts import Draft, committed
from gateway.fhir.errors import BadRequest
from gateway.fhir.exchange import Answer, Request, Service, version_headers
from gateway.fhir.operation_input import inputs_of
from gateway.fhir.operation_output import parameters_answer
from gateway.fhir.patch import rewritten
from gateway.fhir.paths import is_logical_id
from gateway.store.changes import Version
from gateway.store.errors import NotFound

Meta = dict[str, Any]
_CODINGS = ("security", "tag")
_LISTS = ("profile", *_CODINGS)


async def meta(service: Service, request: Request) -> Answer:
    """The meta of the current version."""
    inputs_of(service, request)
    if not is_logical_id(request.route.id):
        raise NotFound
    return _answer(await service.store.read(request.context, request.route.type, request.route.id))


async def meta_add(service: Service, request: Request) -> Answer:
    """The meta with these profiles, tags and labels added; what is there already is not added twice."""
    return await _changed(service, request, _with)


async def meta_delete(service: Service, request: Request) -> Answer:
    """The meta without these profiles, tags and labels; what is not there is not missed."""
    return await _changed(service, request, _without)


async def _changed(service: Service, request: Request, change: Callable[[Meta, Meta], Meta]) -> Answer:
    wanted = _wanted(service, request)

    def rewrite(stored: Any) -> Any:
        found = change(stored.get("meta", {}), wanted)
        rest = {name: value for name, value in stored.items() if name != "meta"}
        return {**rest, "meta": found} if found else rest

    async def draft(service: Service, request: Request) -> Draft:
        return await rewritten(service, request, rewrite)

    (done,) = await committed(service, request, draft)
    return _answer(done.version)


def _wanted(service: Service, request: Request) -> Meta:
    """The `meta` that was sent. Raises BadRequest."""
    found = inputs_of(service, request).object("meta")
    if found is None:
        raise BadRequest("The operation needs a meta.", expression="meta")
    for name in _LISTS:
        kind = dict if name in _CODINGS else str
        if not (isinstance(found.get(name, []), list) and all(isinstance(item, kind) for item in found.get(name, []))):
            raise BadRequest("This is a list of profiles or of codings.", expression=f"meta.{name}")
    return found


def _with(stored: Meta, wanted: Meta) -> Meta:
    added = dict(stored)
    for name in _LISTS:
        present = list(stored.get(name, []))
        for item in wanted.get(name, []):
            if _key(item) not in map(_key, present):
                present.append(item)
        if present:
            added[name] = present
    return added


def _without(stored: Meta, wanted: Meta) -> Meta:
    reduced = dict(stored)
    for name in _LISTS:
        gone = [_key(item) for item in wanted.get(name, [])]
        reduced[name] = [item for item in stored.get(name, []) if _key(item) not in gone]
    return {name: value for name, value in reduced.items() if value != []}


def _key(item: Any) -> tuple[Any, Any]:
    """What makes two of them the same: the URL of a profile, the system and code of a coding."""
    return (item.get("system"), item.get("code")) if isinstance(item, dict) else (None, item)


def _answer(version: Version) -> Answer:
    found = orjson.loads(version.body or b"{}").get("meta", {})
    answer = parameters_answer([("return", "valueMeta", found)])
    return answer._replace(headers=version_headers(version), version=version)
