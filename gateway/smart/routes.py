"""The routes of the authorization server: token, revocation, discovery."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from gateway.smart.discovery import smart_configuration
from gateway.smart.token import OAuthError, TokenServer, issue, revoke
from gateway.store.errors import UNAVAILABLE

_LONGEST_BODY = 32_768
_MOST_FIELDS = 20
_FORM = "application/x-www-form-urlencoded"
# RFC 6749, section 5.1.
_NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
# Discovery is public (SMART 2.2, requirement 16); it needs no credentials, so any origin may read it.
_PUBLIC = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=300"}

_NO_DATABASE = OAuthError("temporarily_unavailable", "the server cannot answer at present", status=503)

_ASSERTED = {
    "client_assertion_type": {"type": "string"},
    "client_assertion": {"type": "string", "description": "A JWT signed with a registered key, RS384 or ES384."},
}
_TOKEN_FORM = {"grant_type": {"const": "client_credentials"}, "scope": {"type": "string"}, **_ASSERTED}
_REVOKE_FORM = {"token": {"type": "string"}, **_ASSERTED}


def router(server: TokenServer, address_of: Callable[[Request], str]) -> APIRouter:
    """The routes over one token server; `address_of` tells the caller's address behind trusted proxies."""
    routes = APIRouter(tags=["authorization"])

    @routes.post("/auth/token", openapi_extra=_documented(_TOKEN_FORM))
    async def token(request: Request) -> Response:
        """Exchange a signed client assertion for an access token (SMART Backend Services)."""
        try:
            form = await _form(request)
            answer = await run_in_threadpool(issue, server, form, address=address_of(request))
        except OAuthError as refused:
            return _refusal(refused)
        except UNAVAILABLE:
            return _refusal(_NO_DATABASE)
        return JSONResponse(answer, headers=_NOT_STORED)

    @routes.post("/auth/revoke", openapi_extra=_documented(_REVOKE_FORM))
    async def revocation(request: Request) -> Response:
        """Revoke one of the client's own access tokens (RFC 7009)."""
        try:
            form = await _form(request)
            await run_in_threadpool(revoke, server, form, address=address_of(request))
        except OAuthError as refused:
            return _refusal(refused)
        except UNAVAILABLE:
            return _refusal(_NO_DATABASE)
        return Response(headers=_NOT_STORED)

    @routes.get("/.well-known/smart-configuration")
    @routes.get("/fhir/.well-known/smart-configuration")
    def discovery() -> Response:
        """What this authorization server supports (SMART App Launch)."""
        return JSONResponse(smart_configuration(server.settings), headers=_PUBLIC)

    return routes


async def _form(request: Request) -> dict[str, str]:
    """The form's fields, each given once. OAuthError (invalid_request) for anything else."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise OAuthError("invalid_request", f"the content type is {_FORM}")
    if "authorization" in request.headers:
        raise OAuthError("invalid_request", "a client authenticates by client_assertion only")
    try:
        text = (await _body(request)).decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise OAuthError("invalid_request", "the form cannot be read") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "every parameter is given once")
    return form


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_BODY:
            raise OAuthError("invalid_request", "the form is too long")
    return bytes(body)


def _refusal(refused: OAuthError) -> Response:
    headers = dict(_NOT_STORED)
    if refused.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="backbridge"'
    if refused.retry_after_s is not None:
        headers["Retry-After"] = str(refused.retry_after_s)
    content = {"error": refused.error, "error_description": refused.description}
    return JSONResponse(content, status_code=refused.status, headers=headers)


def _documented(fields: dict[str, dict[str, str]]) -> dict[str, object]:
    schema = {"type": "object", "properties": fields}
    return {"requestBody": {"required": True, "content": {_FORM: {"schema": schema}}}}
