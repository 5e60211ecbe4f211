"""Typed paths, the language of the `paths` column, compiled to closures.

A path is FHIRPath with nothing left to look up: `component[].valueQuantity:Quantity`. A segment is a JSON
key, with `[]` where it repeats, `[0]` for one position, `[system=phone]` for the entries with that value. The
type read there comes after the colon, with its argument if it takes one: `subject:Reference(Patient)`.
`$this` is the resource itself and `%resource.` starts a component's path at the resource. Alternatives are
separated by ` | `.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

# Visits the value found at a path; what it finds goes to the sink, which only the last visit knows.
Visit = Callable[[Any, Any], None]

_SEGMENT = re.compile(r"(?P<key>[A-Za-z]+)(?:\[(?P<inside>[A-Za-z0-9=-]*)\])?\Z")
_TYPE = re.compile(r"(?P<name>[A-Za-z]+)(?:\((?P<argument>[^()]+)\))?\Z")


class BadPath(ValueError):
    """A path in the table is not of the form described at the top of gateway.r4.extract_paths."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One step: `inside` is None for a single value, "" for all entries, a position, or key=value."""

    key: str
    inside: str | None = None


@dataclass(frozen=True, slots=True)
class TypedPath:
    """Steps from the resource (or a composite's element) to values of a type."""

    segments: tuple[Segment, ...]
    type: str
    argument: str = ""
    from_resource: bool = False


def typed_paths(written: str) -> tuple[TypedPath, ...]:
    """The paths of a table cell; raises BadPath."""
    return tuple(_typed_path(part) for part in written.split(" | "))


def steps(written: str) -> tuple[Segment, ...]:
    """The segments of a path without a type; `$this` has none. Raises BadPath."""
    return () if written == "$this" else tuple(_segment(part) for part in written.split("."))


def _typed_path(written: str) -> TypedPath:
    path, colon, type_written = written.partition(":")
    type_match = _TYPE.match(type_written)
    if not colon or type_match is None:
        raise BadPath(written)
    from_resource = path.startswith("%resource.")
    return TypedPath(
        steps(path.removeprefix("%resource.")),
        type_match["name"],
        type_match["argument"] or "",
        from_resource,
    )


def _segment(written: str) -> Segment:
    match = _SEGMENT.match(written)
    if match is None:
        raise BadPath(written)
    return Segment(match["key"], match["inside"])


def visitor(routes: Iterable[tuple[tuple[Segment, ...], Visit]]) -> Visit:
    """One visit that walks every route at once: a shared first step is taken once."""
    ends: list[Visit] = []
    branches: dict[Segment, list[tuple[tuple[Segment, ...], Visit]]] = defaultdict(list)
    for segments, visit in routes:
        if segments:
            branches[segments[0]].append((segments[1:], visit))
        else:
            ends.append(visit)
    if branches:
        ends.append(_branch([(first.key, _entered(first, visitor(rest))) for first, rest in branches.items()]))
    return ends[0] if len(ends) == 1 else _all(tuple(ends))


def _all(visits: tuple[Visit, ...]) -> Visit:
    def visit_all(value: Any, sink: Any) -> None:
        for visit in visits:
            visit(value, sink)

    return visit_all


def _branch(children: list[tuple[str, Visit]]) -> Visit:
    def visit_children(value: Any, sink: Any) -> None:
        get = value.get
        for key, visit in children:
            child = get(key)
            if child is not None:
                visit(child, sink)

    return visit_children


def _entered(segment: Segment, visit: Visit) -> Visit:
    if segment.inside is None:
        return visit
    if segment.inside == "":
        return _each(visit)
    if segment.inside.isdigit():
        return _at(int(segment.inside), visit)
    key, _, wanted = segment.inside.partition("=")
    return _where(key, wanted, visit)


def _each(visit: Visit) -> Visit:
    def visit_each(values: Any, sink: Any) -> None:
        for value in values:
            # A repeating primitive may hold null where an entry has only extensions.
            if value is not None:
                visit(value, sink)

    return visit_each


def _at(position: int, visit: Visit) -> Visit:
    def visit_at(values: Any, sink: Any) -> None:
        for value in values[position : position + 1]:
            visit(value, sink)

    return visit_at


def _where(key: str, wanted: str, visit: Visit) -> Visit:
    def visit_where(values: Any, sink: Any) -> None:
        for value in values:
            if value.get(key) == wanted:
                visit(value, sink)

    return visit_where
