"""vread: GET [base]/{type}/{id}/_history/{version} (R4 section 3.1.0.3)."""

from __future__ import annotations

import re

from gateway.fhir.exchange import Answer, Request, Service
from gateway.fhir.paths import is_logical_id
from gateway.fhir.read import answer_with, view_asked
from gateway.store.errors import NotFound

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


async def vread(service: Service, request: Request) -> Answer:
    """Versions are numbers from 1; anything else names no version of ours, so it is not found."""
    route = request.route
    if not is_logical_id(route.id) or not _NUMBER.fullmatch(route.version):
        raise NotFound
    view = view_asked(service, request)
    version = await service.store.vread(request.context, route.type, route.id, int(route.version))
    return answer_with(version, request, view)
