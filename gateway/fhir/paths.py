"""Every endpoint, in one table: it drives the router, the Allow header and the CapabilityStatement (R4 section 3.1.0).

A template is also the key of the look-up: `route` turns a path into the template it has and finds its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from gateway.fhir.errors import MethodNotAllowed, UnknownPath, UnknownType
from gateway.fhir.operations import OPERATIONS, Operation
from gateway.r4.definitions import TYPES
from gateway.r4.identity import LOGICAL_ID
from gateway.r4.search_parameters import COMPARTMENTS


@dataclass(frozen=True, slots=True)
class Interaction:
    """
    code      the interaction's code in the CapabilityStatement, and the key of its handler
    level     where the CapabilityStatement lists it: resource or system; empty for what it does not list there
    letter    the letter of `cruds` that a scope must have; empty where the handler itself asks, or none is needed
    body      what the request carries: nothing, a resource, a form, a patch, or the parameters of an operation
    """

    code: str
    method: str
    template: str
    level: str
    letter: str
    body: str = ""


_LEVELS = {"system": "", "type": "{type}/", "instance": "{type}/{id}/"}


def _operation_rows(operation: Operation) -> Iterator[Interaction]:
    """The endpoints of an operation: at each of its levels, for each of its types, POST and where it may be GET."""
    for level, letter in operation.letters.items():
        for resource_type in operation.types or ("{type}",):
            template = _LEVELS[level].replace("{type}", resource_type) + f"${operation.name}"
            if not operation.affects_state:
                yield Interaction(operation.code, "GET", template, "", letter)
            yield Interaction(operation.code, "POST", template, "", letter, body="parameters")


# SMART App Launch 2.2, scopes: r covers read, vread and the history of an instance, s every other history, u a patch.
INTERACTIONS: tuple[Interaction, ...] = (
    Interaction("read", "GET", "{type}/{id}", "resource", "r"),
    Interaction("vread", "GET", "{type}/{id}/_history/{version}", "resource", "r"),
    Interaction("history-instance", "GET", "{type}/{id}/_history", "resource", "r"),
    Interaction("history-type", "GET", "{type}/_history", "resource", "s"),
    Interaction("history-system", "GET", "_history", "system", "s"),
    Interaction("create", "POST", "{type}", "resource", "c", body="resource"),
    Interaction("update", "PUT", "{type}/{id}", "resource", "u", body="resource"),
    Interaction("update", "PUT", "{type}", "resource", "u", body="resource"),
    Interaction("patch", "PATCH", "{type}/{id}", "resource", "u", body="patch"),
    Interaction("patch", "PATCH", "{type}", "resource", "u", body="patch"),
    Interaction("delete", "DELETE", "{type}/{id}", "resource", "d"),
    Interaction("delete", "DELETE", "{type}", "resource", "d"),
    Interaction("search-type", "GET", "{type}", "resource", "s"),
    Interaction("search-type", "POST", "{type}/_search", "resource", "s", body="form"),
    Interaction("search-compartment", "GET", "{type}/{id}/{member}", "", ""),
    Interaction("search-compartment", "POST", "{type}/{id}/{member}/_search", "", "", body="form"),
    Interaction("search-system", "GET", "", "system", ""),
    Interaction("search-system", "POST", "_search", "system", "", body="form"),
    Interaction("batch", "POST", "", "system", "", body="resource"),
    Interaction("transaction", "POST", "", "system", "", body="resource"),
    Interaction("capabilities", "GET", "metadata", "", ""),
    *(row for operation in OPERATIONS for row in _operation_rows(operation)),
)

READ_ONLY = {"AuditEvent": "AuditEvents are written by this server alone."}
"""Types that no client may write, and why; the default for every other type is what its scopes and the store say."""
WRITES = frozenset("cud")

WHOLE_COMPARTMENT = "*"
"""Stands for every type in `Patient/123/*`."""

_LITERALS = frozenset(("_history", "_search", "metadata"))
_TYPES = frozenset(TYPES)
_PLACES = ("{type}", "{id}", "{member}", "{version}")
# Batch and transaction share one endpoint; the Bundle's type decides, so the first row of the two is the route.
_ROWS: dict[str, dict[str, Interaction]] = {}
for _row in INTERACTIONS:
    _ROWS.setdefault(_row.template, {}).setdefault(_row.method, _row)
    if _row.method == "GET":
        _ROWS[_row.template].setdefault("HEAD", _row)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes. `member` is the type searched inside the compartment `type/id`."""

    interaction: Interaction
    type: str = ""
    id: str = ""
    member: str = ""
    version: str = ""

    @property
    def subject(self) -> str:
        """The resource type that the scope must cover; `*` for the whole system."""
        return self.member or self.type or "*"


def route(method: str, path: str) -> Route:
    """
    The route of a path below the base, without query.

    path      `Patient/123`; slashes at either end do not matter; may be percent-encoded
    raises    UnknownPath, UnknownType, MethodNotAllowed
    """
    segments = _segments(path)
    is_operation = bool(segments) and segments[-1][:1] == "$"
    rows = _rows_of_operation(segments) if is_operation else _ROWS.get(_template(segments))
    if rows is None:
        raise UnknownPath
    interaction = rows.get(method)
    if interaction is None:
        raise MethodNotAllowed(allow=", ".join(sorted(rows)))
    return Route(interaction, *segments[:-1]) if is_operation else _route(interaction, segments)


def _rows_of_operation(segments: Sequence[str]) -> dict[str, Interaction] | None:
    """The rows of `[[type]/[[id]/]]$name`: those of the type's own operation, else of one for every type."""
    *place, name = segments
    if len(place) > 2:
        raise UnknownPath
    if place and place[0] not in _TYPES:
        raise UnknownType
    rest = ["{id}", name] if len(place) == 2 else [name]
    own = _ROWS.get("/".join([*place[:1], *rest]))
    return own or _ROWS.get("/".join(["{type}", *rest] if place else rest))


def _segments(path: str) -> list[str]:
    path = path.strip("/")
    if not path:
        return []
    segments = path.split("/")
    return [unquote(segment) for segment in segments] if "%" in path else segments


def _template(segments: Sequence[str]) -> str:
    if len(segments) == 2 and segments[0] in _TYPES and segments[1] not in _LITERALS:
        return "{type}/{id}"
    if len(segments) > len(_PLACES):
        raise UnknownPath
    return "/".join(_kind(place, segment) for place, segment in zip(_PLACES, segments, strict=False))


def _kind(place: str, segment: str) -> str:
    if segment in _LITERALS:
        return segment
    if place in ("{type}", "{member}") and segment not in _TYPES:
        if place == "{member}" and segment == WHOLE_COMPARTMENT:
            return place
        raise UnknownType
    return place


def _route(interaction: Interaction, segments: Sequence[str]) -> Route:
    template = interaction.template
    if template == "{type}/{id}":
        return Route(interaction, segments[0], segments[1])
    if "{member}" in template and segments[0] not in COMPARTMENTS:
        raise UnknownPath("There is no such compartment.")
    named = {
        place.strip("{}"): segment
        for place, segment in zip(template.split("/"), segments, strict=False)
        if place.startswith("{")
    }
    return Route(interaction, **named)


def is_logical_id(text: str) -> bool:
    return LOGICAL_ID.match(text) is not None
