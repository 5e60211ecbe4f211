"""What an operation is given: the query of a GET or the Parameters of a POST, as one form (R4 section 3.2.0.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.fhir.errors import BadRequest
from gateway.fhir.exchange import Request, Service
from gateway.fhir.operations import BY_CODE, Operation
from gateway.fhir.parameters import refuse_unknown
from gateway.r4.definitions import is_resource_type
from gateway.r4.parse import parse

_WHOLE = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input: its value[x] (a query's are text), its resource, or its parts."""

    name: str
    value: Any = None
    resource: Mapping[str, Any] | None = None
    parts: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of one call. Every reader raises BadRequest for what is given twice or is of another kind."""

    parameters: tuple[Parameter, ...]

    def texts(self, name: str) -> list[str]:
        """Each value of a primitive parameter, as text."""
        return [_text(name, found.value) for found in self._all(name)]

    def text(self, name: str) -> str | None:
        found = self._only(name)
        return None if found is None else _text(name, found.value)

    def flag(self, name: str) -> bool | None:
        text = self.text(name)
        if text not in (None, "true", "false"):
            raise BadRequest("This is true or false.", expression=name)
        return None if text is None else text == "true"

    def whole(self, name: str) -> int | None:
        """A whole number from 0."""
        text = self.text(name)
        if text is not None and not _WHOLE.fullmatch(text):
            raise BadRequest("This is a whole number from 0.", expression=name)
        return None if text is None else int(text)

    def value(self, name: str) -> Any:
        """The value[x], whatever its type; None where it is not given."""
        found = self._only(name)
        return None if found is None else found.value

    def object(self, name: str) -> dict[str, Any] | None:
        """The value of a complex type, such as a Coding or a Meta."""
        found = self.value(name)
        if found is not None and not isinstance(found, dict):
            raise BadRequest("This is an object: send it in a Parameters resource.", expression=name)
        return found

    def resource(self, name: str) -> dict[str, Any] | None:
        found = self._only(name)
        if found is not None and found.resource is None:
            raise BadRequest("This is a resource: send it in a Parameters resource.", expression=name)
        return None if found is None or found.resource is None else dict(found.resource)

    def _all(self, name: str) -> Iterator[Parameter]:
        return (parameter for parameter in self.parameters if parameter.name == name)

    def _only(self, name: str) -> Parameter | None:
        found = list(self._all(name))
        if len(found) > 1:
            raise BadRequest("This parameter may be given once.", expression=name)
        return found[0] if found else None


def inputs_of(service: Service, request: Request, known: frozenset[str] | None = None) -> Inputs:
    """
    The inputs of an operation, those of the URL and those of the body alike.

    known   the names that are understood; those of the operation's row where not given
    raises  Unreadable, BadRequest; for an unknown name under strict handling only
    """
    operation = BY_CODE[request.route.interaction.code]
    names = frozenset(operation.parameters) if known is None else known
    given = [*(Parameter(name, value) for name, value in request.pairs), *_sent(service, request, operation)]
    kept = {name for name, _ in refuse_unknown(_names(given), names, strict=service.is_strict(request))}
    return Inputs(tuple(parameter for parameter in given if parameter.name in kept))


def _names(given: list[Parameter]) -> Iterator[tuple[str, str]]:
    return ((parameter.name, "") for parameter in given)


def _sent(service: Service, request: Request, operation: Operation) -> list[Parameter]:
    if not request.body:
        return []
    settings = service.settings
    body = parse(request.body, max_bytes=settings.max_body_bytes, max_depth=settings.max_depth)
    if body.get("resourceType") == "Parameters":
        return list(_parameters(body.get("parameter", []), "Parameters.parameter"))
    if operation.bare and is_resource_type(body.get("resourceType")):
        return [Parameter(operation.bare, resource=body)]
    raise BadRequest("Send the input of an operation as a Parameters resource.", expression="Parameters")


def _parameters(listed: Any, place: str) -> Iterator[Parameter]:
    if not isinstance(listed, list):
        raise BadRequest("Parameters come in an array.", expression=place)
    for number, item in enumerate(listed):
        yield _parameter(item, f"{place}[{number}]")


def _parameter(item: Any, place: str) -> Parameter:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise BadRequest("A parameter is an object with a name.", expression=place)
    values = [value for key, value in item.items() if key.startswith("value")]
    resource = item.get("resource")
    if len(values) > 1 or not (resource is None or isinstance(resource, dict)):
        raise BadRequest("A parameter has one value or one resource.", expression=place)
    parts = tuple(_parameters(item.get("part", []), f"{place}.part"))
    return Parameter(item["name"], values[0] if values else None, resource, parts)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise BadRequest("This is a primitive value.", expression=name)
