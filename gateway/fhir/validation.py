"""$validate: is this resource right, and would it be accepted (R4 OperationDefinition Resource-validate).

The answer is 200 with an OperationOutcome whatever is found; other statuses say that the question could not be asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.fhir.errors import BadRequest
from gateway.fhir.exchange import Answer, Request, Service
from gateway.fhir.operation_input import Inputs, inputs_of
from gateway.fhir.outcomes import informational, render
from gateway.fhir.paths import READ_ONLY, is_logical_id
from gateway.r4.issues import Issue
from gateway.r4.validate import validator
from gateway.store.errors import Gone, NotFound

_LETTERS = {"create": "c", "update": "u", "delete": "d"}
_MODES = (*_LETTERS, "profile")
_BASE_PROFILE = "http://hl7.org/fhir/StructureDefinition/"


async def validate(service: Service, request: Request) -> Answer:
    """Every error, warning and remark; one remark where all is well."""
    inputs = inputs_of(service, request)
    mode = inputs.text("mode")
    if mode is not None and mode not in _MODES:
        raise BadRequest("The mode is create, update, delete or profile.", expression="mode")
    issues = [*await _of_mode(service, request, inputs, mode)]
    if mode != "delete":
        issues += _of_content(request, await _subject(service, request, inputs, mode), inputs.texts("profile"))
    return Answer(200, (), render(issues) if issues else informational("No issue was found."))


async def _subject(service: Service, request: Request, inputs: Inputs, mode: str | None) -> dict[str, Any]:
    """The resource sent, else the one that the URL names. Raises BadRequest where there is neither."""
    sent = inputs.resource("resource")
    if sent is not None:
        return sent
    if not request.route.id or mode in ("create", "update"):
        raise BadRequest("The operation needs a resource to validate.", expression="resource")
    if not is_logical_id(request.route.id):
        raise NotFound
    version = await service.store.read(request.context, request.route.type, request.route.id)
    stored: dict[str, Any] = orjson.loads(version.body or b"{}")
    return stored


async def _of_mode(service: Service, request: Request, inputs: Inputs, mode: str | None) -> list[Issue]:
    """What stands against the interaction itself, whatever the resource says."""
    route = request.route
    if mode is None or mode == "profile":
        return []
    issues = []
    if route.type in READ_ONLY:
        issues.append(Issue("error", "business-rule", route.type, READ_ONLY[route.type]))
    if not request.context.scopes.permits(route.type, _LETTERS[mode]):
        issues.append(Issue("error", "forbidden", route.type, f"The scopes of this token do not cover {mode}."))
    if mode == "create":
        return issues
    if not route.id:
        raise BadRequest(f"To validate {mode}, name the resource in the URL.", expression="mode")
    sent = inputs.resource("resource")
    if mode == "update" and sent is not None and sent.get("id") != route.id:
        issues.append(Issue("error", "invalid", f"{route.type}.id", "The resource must have the id in the URL."))
    if not await _exists(service, request):
        issues.append(Issue("error", "not-found", route.type, "No such resource, or none that you may see."))
    return issues


async def _exists(service: Service, request: Request) -> bool:
    if not is_logical_id(request.route.id):
        return False
    try:
        await service.store.read(request.context, request.route.type, request.route.id)
    except (NotFound, Gone):
        return False
    return True


def _of_content(request: Request, resource: dict[str, Any], profiles: list[str]) -> Iterator[Issue]:
    judge = validator()
    found = judge.validate(resource, request.route.type)
    yield from found
    if not found:
        yield from judge.remarks(resource)
    for profile in profiles:
        if profile.partition("|")[0] != _BASE_PROFILE + request.route.type:
            text = "This server does not know the profile, so nothing was judged by it."
            yield Issue("error", "not-supported", "profile", text)
