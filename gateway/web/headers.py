"""Headers of every page (OWASP ASVS 5, V3.4): nothing from elsewhere, nothing inline, nothing kept."""

from __future__ import annotations

from starlette.responses import Response

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_ALWAYS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_TWO_YEARS = "max-age=63072000; includeSubDomains"


def protect(response: Response, *, is_https: bool) -> Response:
    """The response with the headers; it may say itself how long it is kept."""
    for name, value in _ALWAYS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    if is_https:
        response.headers["Strict-Transport-Security"] = _TWO_YEARS
    return response
