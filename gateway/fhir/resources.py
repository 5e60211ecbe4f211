"""The resource that a write carries, and the conditions that name one by search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.fhir.errors import BadRequest
from gateway.fhir.exchange import Request, Service
from gateway.fhir.parameters import pairs_of
from gateway.fhir.search_syntax import parse_search
from gateway.r4.parse import parse
from gateway.store.query import Search


def resource_of(service: Service, request: Request) -> tuple[Mapping[str, Any], str]:
    """
    The resource of the body, parsed and as text; of the type that the URL names.

    raises  Unreadable, BadRequest
    """
    settings = service.settings
    resource = parse(request.body, max_bytes=settings.max_body_bytes, max_depth=settings.max_depth)
    check_type(resource, request.route.type)
    return resource, request.body.decode()


def check_type(resource: Mapping[str, Any], resource_type: str) -> None:
    if "resourceType" not in resource:
        raise BadRequest("The resource must name its resourceType.", expression=resource_type)
    if resource["resourceType"] != resource_type:
        raise BadRequest("The resourceType must be the type that the URL names.", expression=resource_type)


def check_id(resource: Mapping[str, Any], resource_type: str, logical_id: str) -> None:
    """An update's body names the id of its URL (R4 section 3.1.0.5)."""
    if resource.get("id") != logical_id:
        raise BadRequest("The resource must have the id that the URL names.", expression=f"{resource_type}.id")


def condition_of(service: Service, resource_type: str, query: bytes) -> Search:
    """
    The search of If-None-Exist or of a conditional reference, with or without `?` or `Type?` before it.

    A condition that leaves anything out would match too much, so it is always read strictly.
    raises  SearchError, BadRequest where it says nothing
    """
    pairs = pairs_of(query.rpartition(b"?")[2])
    parsed = parse_search(resource_type, pairs, strict=True, limits=service.limits, base_url=service.base_url)
    if not any(parsed.search.where):
        raise BadRequest("The condition must have at least one search parameter with a value.")
    return parsed.search
