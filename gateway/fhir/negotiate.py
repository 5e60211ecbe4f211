"""Formats in and out (R4 section 3.1.0.1.8): JSON of FHIR 4.0 in UTF-8, and what the client calls it.

The answer bears the name that the client asked for (`application/json` gets `application/json`), otherwise
`application/fhir+json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from gateway.fhir.errors import NotAcceptable, UnsupportedMediaType

Header = tuple[bytes, bytes]

FHIR_JSON: Header = (b"content-type", b"application/fhir+json; charset=utf-8")
# Media ranges that JSON of FHIR satisfies, and the name that the answer then bears.
_NAMES: dict[str, Header] = {
    "application/fhir+json": FHIR_JSON,
    "application/json": (b"content-type", b"application/json; charset=utf-8"),
    "text/json": (b"content-type", b"text/json; charset=utf-8"),
    "application/*": FHIR_JSON,
    "*/*": FHIR_JSON,
    "*": FHIR_JSON,
}
# `_format` may be shortened; a plus that was not encoded arrives as a space.
_FORMATS: dict[str, Header] = {
    **{name.replace("+", plus): header for name, header in _NAMES.items() for plus in "+ "},
    "json": FHIR_JSON,
}
_VERSIONS = ("", "4.0", "4.0.1")
_QUOTED_COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
_FORM = "application/x-www-form-urlencoded"
JSON_PATCH = "application/json-patch+json"


def answer_type(accept: bytes | None, format_: str | None = None) -> Header:
    """
    The Content-Type of the answer.

    format_  the value of `_format`, which overrides Accept
    raises   NotAcceptable
    """
    if format_ is not None:
        return _formatted(format_)
    if accept is None:
        return FHIR_JSON
    found = _accepted(accept)
    if found is None:
        raise NotAcceptable
    return found


def check_resource_type(content_type: bytes | None, content_encoding: bytes | None) -> None:
    """Raises UnsupportedMediaType unless the body is declared as JSON of FHIR 4.0, in UTF-8, uncompressed."""
    _check_encoding(content_encoding)
    if not _is_resource(content_type or b""):
        raise UnsupportedMediaType


def check_patch_type(content_type: bytes | None, content_encoding: bytes | None) -> None:
    """Raises UnsupportedMediaType unless the body is declared as a JSON Patch, or as JSON of FHIR (FHIRPath Patch)."""
    _check_encoding(content_encoding)
    if not (is_json_patch(content_type) or _is_resource(content_type or b"")):
        raise UnsupportedMediaType(f"Send a patch as {JSON_PATCH}, or as application/fhir+json with Parameters.")


def check_parameters_type(content_type: bytes | None, content_encoding: bytes | None) -> None:
    """Raises UnsupportedMediaType unless the body is declared as JSON of FHIR, or nothing is declared (no body)."""
    if content_type is None:
        _check_encoding(content_encoding)
    else:
        check_resource_type(content_type, content_encoding)


@lru_cache(maxsize=64)
def is_json_patch(content_type: bytes | None) -> bool:
    """Whether a Content-Type is that of RFC 6902."""
    name, parameters = _parsed((content_type or b"").decode("latin-1"))
    return name == JSON_PATCH and parameters.get("charset", "utf-8").lower() in ("utf-8", "utf8")


def check_form_type(content_type: bytes | None, content_encoding: bytes | None) -> None:
    """Raises UnsupportedMediaType unless the body is declared as a form, or nothing is declared (an empty body)."""
    _check_encoding(content_encoding)
    if content_type is not None and _parsed(content_type.decode("latin-1"))[0] != _FORM:
        raise UnsupportedMediaType(f"Send the search parameters as {_FORM}.")


CHECKS = {
    "resource": check_resource_type,
    "form": check_form_type,
    "patch": check_patch_type,
    "parameters": check_parameters_type,
}
"""By what an interaction's body is: the check of the headers that declare it."""


@lru_cache(maxsize=256)
def _accepted(accept: bytes) -> Header | None:
    best: tuple[float, Header] | None = None
    for name, parameters in _ranges(accept.decode("latin-1")):
        weight = _weight(parameters.get("q", "1"))
        header = _NAMES.get(name)
        if header and weight > 0 and _speaks(parameters) and (best is None or weight > best[0]):
            best = weight, header
    return best[1] if best else None


@lru_cache(maxsize=64)
def _formatted(format_: str) -> Header:
    name, parameters = _parsed(format_)
    header = _FORMATS.get(name)
    if header is None or not _speaks(parameters):
        raise NotAcceptable
    return header


@lru_cache(maxsize=64)
def _is_resource(content_type: bytes) -> bool:
    name, parameters = _parsed(content_type.decode("latin-1"))
    charset = parameters.get("charset", "utf-8").lower()
    return name in ("application/fhir+json", "application/json", "text/json") and (
        charset in ("utf-8", "utf8") and _speaks(parameters)
    )


def _check_encoding(content_encoding: bytes | None) -> None:
    # A compressed body could unfold to any size; clients may send it plain.
    if content_encoding not in (None, b"", b"identity"):
        raise UnsupportedMediaType


def _ranges(accept: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    for part in _QUOTED_COMMA.split(accept):
        yield _parsed(part)


def _parsed(media_type: str) -> tuple[str, dict[str, str]]:
    name, *rest = media_type.split(";")
    parameters = {}
    for item in rest:
        key, _, value = item.partition("=")
        parameters[key.strip().lower()] = value.strip().strip('"')
    return name.strip().lower(), parameters


def _speaks(parameters: Mapping[str, str]) -> bool:
    return parameters.get("fhirversion", "") in _VERSIONS


def _weight(text: str) -> float:
    return float(text) if re.fullmatch(r"[01](\.[0-9]{0,3})?", text) else 0.0
