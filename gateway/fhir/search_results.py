"""What a search asks of its result: page, order, totals, parts and companions (R4 section 3.1.1.5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.fhir.search_conditions import link_of, parameter_of, resource_type_of
from gateway.fhir.search_errors import SearchError, not_supported
from gateway.fhir.search_limits import SearchLimits
from gateway.store.query import Include, Sort

_SUMMARIES = frozenset({"true", "false", "text", "data", "count"})
_TOTALS = frozenset({"none", "accurate", "estimate"})
_SORTABLE = frozenset({"date", "string", "number", "quantity", "uri"})
_ELEMENT = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}(?:\.[A-Za-z][A-Za-z0-9]{0,63}){0,9}\Z", re.ASCII)
_INCLUDES = frozenset(
    base + modifier for base in ("_include", "_revinclude") for modifier in ("", ":iterate", ":recurse")
)


@dataclass(slots=True)
class ResultOptions:
    """The result parameters read so far."""

    types: tuple[str, ...]
    limits: SearchLimits
    count: int = 0
    sort: tuple[Sort, ...] = ()
    total: str = "none"
    summary: str | None = None
    elements: tuple[str, ...] = ()
    cursor: str | None = None
    includes: list[Include] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.count = self.limits.count_default

    def read(self, name: str, value: str) -> str:
        """Takes one result parameter in; returns its value as the self link says it; raises SearchError."""
        if name in _INCLUDES:
            self.includes.append(_include(name, value, self.types))
            return value
        if name in self.seen:
            raise SearchError("This parameter may be given once.")
        self.seen.add(name)
        return _READERS[name](self, value) or value

    def check(self) -> None:
        """Raises SearchError where the parameters contradict each other."""
        if self.summary == "text" and self.includes:
            raise SearchError("_summary=text cannot be combined with _include or _revinclude.").of("_summary")

    def _read_count(self, value: str) -> str:
        if not (value.isascii() and value.isdigit() and len(value) <= 9):
            raise SearchError("_count is a whole number, 0 or more.")
        self.count = min(int(value), self.limits.count_max)
        return str(self.count)

    def _read_sort(self, value: str) -> None:
        self.sort = tuple(_sort(part, self.types) for part in value.split(","))

    def _read_total(self, value: str) -> None:
        self.total = _one_of(value, _TOTALS)

    def _read_summary(self, value: str) -> None:
        self.summary = _one_of(value, _SUMMARIES)

    def _read_elements(self, value: str) -> None:
        self.elements = tuple(part.strip() for part in value.split(","))
        if not all(map(_ELEMENT.match, self.elements)):
            raise SearchError("_elements is a list of element names with commas between them.")

    def _read_cursor(self, value: str) -> None:
        self.cursor = value


_READERS: dict[str, Callable[[ResultOptions, str], str | None]] = {
    "_count": ResultOptions._read_count,
    "_cursor": ResultOptions._read_cursor,
    "_elements": ResultOptions._read_elements,
    "_sort": ResultOptions._read_sort,
    "_summary": ResultOptions._read_summary,
    "_total": ResultOptions._read_total,
}

NAMES = frozenset(_READERS) | _INCLUDES


def _one_of(value: str, allowed: frozenset[str]) -> str:
    if value not in allowed:
        raise SearchError(f"This parameter takes one of: {', '.join(sorted(allowed))}.")
    return value


def _sort(written: str, types: Sequence[str]) -> Sort:
    descending = written.startswith("-")
    key = written.removeprefix("-")
    if key in ("_id", "_lastUpdated"):
        return Sort(key, descending)
    if len(types) != 1:
        raise not_supported("A search over several types can be sorted by _id and _lastUpdated only.")
    parameter = parameter_of(types[0], key)
    if parameter.kind not in _SORTABLE:
        raise not_supported(f"Sorting by a {parameter.kind} parameter is not supported.")
    return Sort(key, descending, parameter)


def _include(name: str, value: str, types: Sequence[str]) -> Include:
    """`Type:reference[:Target]`; `Type:*` for all references of a type, `*` for all of the type searched."""
    base, _, modifier = name.partition(":")
    reverse, iterate = base == "_revinclude", bool(modifier)
    if value == "*":
        if reverse or len(types) != 1:
            raise not_supported("Only _include of a search for one type takes *.")
        return Include(types[0], None, iterate=iterate)
    parts = value.split(":")
    if not 2 <= len(parts) <= 3:
        raise SearchError("An include is written Type:reference or Type:reference:Target.")
    source = resource_type_of(parts[0])
    target = resource_type_of(parts[2]) if len(parts) == 3 else None
    if parts[1] == "*":
        return Include(source, None, target, reverse, iterate)
    parameter = link_of(source, parts[1])
    if target is not None and target not in parameter.targets:
        raise SearchError("That reference never points at the type that the include names.")
    return Include(source, parameter, target, reverse, iterate)
