"""The index rows of a resource: search parameters compiled once to closures, one pass for each resource."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

from gateway.r4 import extract_dates, extract_text
from gateway.r4.definitions import TYPES, type_id
from gateway.r4.extract_numbers import NUMBER_CONVERTERS, QuantityConverters
from gateway.r4.extract_paths import TypedPath, Visit, steps, typed_paths, visitor
from gateway.r4.extract_references import ReferenceConverters
from gateway.r4.extract_text import normalised as normalised
from gateway.r4.extract_tokens import TokenConverters
from gateway.r4.search_parameters import DEFINITIONS, Definition

Convert = Callable[[Any], Sequence[tuple[Any, ...]]]


@dataclass(slots=True)
class Index:
    """
    The rows of one resource, by kind; every row starts with (param, item), and none is there twice.

    item is 0, or for components of a composite the ordinal (from 1) of the element that all parts come from.

    token      value, system               keyed hashes of "c" + code and "s" + system; 0 where there is none
    string     normalised, exact           at most 200 characters each
    date       low, high                   half-open, microseconds since 1970 UTC
    number     value
    quantity   value, unit, system         keyed hashes of "c" + code (or unit) and "s" + system, or 0
    reference  target, target type         key and type id; or the keyed hash of "u" + url, and 0
    uri        value
    """

    token: list[tuple[int, int, int, int]] = field(default_factory=list)
    string: list[tuple[int, int, str, str]] = field(default_factory=list)
    date: list[tuple[int, int, int, int]] = field(default_factory=list)
    number: list[tuple[int, int, float]] = field(default_factory=list)
    quantity: list[tuple[int, int, float, int, int]] = field(default_factory=list)
    reference: list[tuple[int, int, int, int]] = field(default_factory=list)
    uri: list[tuple[int, int, str]] = field(default_factory=list)


KINDS = tuple(kind.name for kind in fields(Index))


class Extractor:
    """
    Compiles the parameters of a type when the first resource of that type comes by.

    hash_token  keyed hash of a text to an integer: values that identify people are stored only so
    base_url    our own FHIR base: absolute references below it count as local
    """

    def __init__(self, hash_token: Callable[[str], int], base_url: str | None = None) -> None:
        self._tokens = TokenConverters(hash_token)
        self._quantities = QuantityConverters(hash_token)
        types = {name: type_id(name) for name in TYPES}
        self._references = ReferenceConverters(hash_token, types, base_url)
        self._visits: dict[str, Visit] = {}

    def rows(self, resource: dict[str, Any]) -> Index:
        """The index rows of a validated resource; raises KeyError when its type is not one of R4."""
        index = Index()
        self._visit_of(resource["resourceType"])(resource, index)
        for kind in KINDS:
            found = getattr(index, kind)
            if len(found) > 1:
                setattr(index, kind, list(dict.fromkeys(found)))
        return index

    def _visit_of(self, resource_type: str) -> Visit:
        visit = self._visits.get(resource_type)
        if visit is None:
            visit = self._visits[resource_type] = self._compiled(resource_type)
        return visit

    def _compiled(self, resource_type: str) -> Visit:
        definitions = DEFINITIONS[resource_type].values()
        plain = [
            (path.segments, _recorded(kind, self._convert(kind, path), tuple(ids)))
            for (kind, path), ids in _readers(definitions).items()
        ]
        composites = [((), self._composite(d)) for d in definitions if d.parameter.kind == "composite"]
        return visitor([*plain, *composites])

    def _convert(self, kind: str, path: TypedPath) -> Convert:
        match kind:
            case "token":
                return self._tokens.of(path.type, path.argument)
            case "reference":
                return self._references.of(path.type, path.argument)
            case "quantity":
                return self._quantities.of(path.type)
            case "string":
                return extract_text.STRING_CONVERTERS[path.type]
            case "uri":
                return extract_text.URI_CONVERTERS[path.type]
            case "date":
                return extract_dates.CONVERTERS[path.type]
            case _:
                return NUMBER_CONVERTERS[path.type]

    def _composite(self, definition: Definition) -> Visit:
        elements = visitor((steps(base), _collected) for base in definition.paths.split(" | "))
        # Nearly every element has the code that comes first: asking the last part first saves most visits.
        parts = [self._part(part) for part in reversed(definition.parts)]

        def visit(resource: Any, index: Index) -> None:
            found: list[Any] = []
            elements(resource, found)
            for ordinal, element in enumerate(found, 1):
                for rows_of, row in _complete(parts, element, resource, ordinal):
                    rows_of(index).append(row)

        return visit

    def _part(self, definition: Definition) -> Part:
        parameter = definition.parameter
        routes: dict[bool, list[Any]] = defaultdict(list)
        for path in typed_paths(definition.paths):
            converted = _converted(self._convert(parameter.kind, path))
            routes[path.from_resource].append((path.segments, converted))
        return Part(
            parameter.id,
            attrgetter(parameter.kind),
            from_element=visitor(routes[False]),
            from_resource=visitor(routes[True]),
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A compiled component of a composite: values below the element, and below the resource (`%resource`)."""

    id: int
    rows_of: Callable[[Index], list[Any]]
    from_element: Visit
    from_resource: Visit

    def values(self, element: Any, resource: Any) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        self.from_element(element, found)
        self.from_resource(resource, found)
        return found


def _complete(
    parts: Sequence[Part], element: Any, resource: Any, ordinal: int
) -> Iterator[tuple[Callable[[Index], list[Any]], tuple[Any, ...]]]:
    """The rows of an element that has a value for every part; nothing for any other."""
    values = []
    for part in parts:
        found = part.values(element, resource)
        if not found:
            return
        values.append((part, found))
    for part, found in values:
        for value in found:
            yield part.rows_of, (part.id, ordinal, *value)


def _readers(definitions: Any) -> dict[tuple[str, TypedPath], list[int]]:
    """The ids of the parameters that read a path as a kind: `code` and `combo-code` share one conversion."""
    readers: dict[tuple[str, TypedPath], list[int]] = defaultdict(list)
    for definition in definitions:
        if definition.parameter.kind != "composite":
            for path in typed_paths(definition.paths):
                readers[definition.parameter.kind, path].append(definition.parameter.id)
    return readers


def _recorded(kind: str, convert: Convert, ids: tuple[int, ...]) -> Visit:
    rows_of = attrgetter(kind)

    def record(value: Any, index: Index) -> None:
        append = rows_of(index).append
        for row in convert(value):
            for parameter in ids:
                append((parameter, 0, *row))

    return record


def _converted(convert: Convert) -> Visit:
    def collect(value: Any, sink: list[Any]) -> None:
        sink.extend(convert(value))

    return collect


def _collected(value: Any, sink: list[Any]) -> None:
    sink.append(value)
