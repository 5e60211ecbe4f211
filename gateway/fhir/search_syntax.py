"""The search syntax: name=value pairs of a request to the search tree (R4 section 3.1.1)."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.fhir import search_results
from gateway.fhir.search_conditions import Reading, clause_of, is_known, resource_type_of
from gateway.fhir.search_errors import SearchError as SearchError
from gateway.fhir.search_errors import not_supported, too_costly
from gateway.fhir.search_limits import SearchLimits as SearchLimits
from gateway.fhir.search_results import ResultOptions
from gateway.fhir.search_values import Surroundings, logical_id
from gateway.r4.search_parameters import COMPARTMENTS, PARAMETERS, compartment_parameters
from gateway.store.query import Clause, Compartment, Search

Pair = tuple[str, str]

_PRESENTATION = frozenset({"_format", "_pretty"})
# Ignoring one of these would silently widen the search: they are refused even where unknown names are not.
_REFUSED = frozenset({"_contained", "_containedType", "_content", "_filter", "_list", "_query", "_text"})
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ParsedSearch:
    """
    A search as understood.

    search      the tree for the store
    self_pairs  the pairs that were used, in order, for the self link; _cursor is among them
    ignored     names of parameters that were not understood (empty when strict)
    summary     None, true, false, text, data or count (also where _count is 0)
    elements    names of _elements
    total       none, accurate or estimate; an estimate is answered accurately
    """

    search: Search
    self_pairs: tuple[Pair, ...]
    ignored: tuple[str, ...] = ()
    summary: str | None = None
    elements: tuple[str, ...] = ()
    total: str = "none"


def parse_search(
    resource_type: str | None,
    pairs: Sequence[Pair],
    *,
    strict: bool,
    limits: SearchLimits | None = None,
    compartment: tuple[str, str] | None = None,
    base_url: str | None = None,
    now_us: int | None = None,
) -> ParsedSearch:
    """
    The search that a request asks for.

    resource_type  the type in the path; None where the system or a whole compartment is searched
    pairs          names and values, percent-decoded, in the order of the request
    strict         an unknown parameter is an error (Prefer: handling=strict), else it is listed as ignored
    compartment    (type, id) of the compartment in the path
    base_url       our FHIR base, so that absolute references to us are understood
    now_us         microseconds since 1970 UTC, for `ap` on dates; the clock's where not given
    raises         SearchError
    """
    limits = limits or SearchLimits()
    moment = time.time_ns() // 1000 if now_us is None else now_us
    reading = Reading(Surroundings(moment, base_url), limits)
    if len(pairs) > limits.pairs_max:
        raise too_costly(f"At most {limits.pairs_max} parameters are allowed in one search.")
    types = _types(resource_type, pairs, compartment)
    parser = _Parser(types, strict, reading, ResultOptions(types, limits))
    for name, value in pairs:
        try:
            parser.take(name, value, is_system=resource_type is None)
        except SearchError as error:
            raise error.of(name) from None
    parser.options.check()
    inside = [_inside(compartment, t) for t in types] if compartment else [()] * len(types)
    return parser.result(inside)


class _Parser:
    """Sorts the pairs of one request into conditions, result options, and what is not understood."""

    def __init__(self, types: tuple[str, ...], strict: bool, reading: Reading, options: ResultOptions) -> None:
        self.options = options
        self._types = types
        self._strict = strict
        self._reading = reading
        self._where: list[list[Clause]] = [[] for _ in types]
        self._used: list[Pair] = []
        self._ignored: list[str] = []

    def take(self, name: str, value: str, *, is_system: bool) -> None:
        if name in _PRESENTATION:
            return
        if _UNSTORABLE.search(value):
            raise SearchError("A value holds control characters.")
        if name.partition(":")[0] in _REFUSED:
            raise not_supported("This search parameter is not supported.")
        if is_system and name == "_type":
            self._used.append((name, value))
        elif not value:
            self._ignore(name, "A parameter without a value asks for nothing.")
        elif name in search_results.NAMES:
            self._used.append((name, self.options.read(name, value)))
        else:
            self._condition(name, value)

    def _condition(self, name: str, value: str) -> None:
        known = [is_known(resource_type, name) for resource_type in self._types]
        if not any(known):
            self._ignore(name, "There is no such search parameter here.")
            return
        if not all(known):
            raise not_supported("A search over several types takes only parameters that all of them have.")
        for resource_type, clauses in zip(self._types, self._where, strict=True):
            self._reading.clauses = 0
            clauses.append(clause_of(resource_type, name, value, self._reading))
        self._used.append((name, value))

    def _ignore(self, name: str, why: str) -> None:
        if self._strict:
            raise not_supported(why)
        self._ignored.append(name)

    def result(self, inside: Sequence[tuple[Clause, ...]]) -> ParsedSearch:
        options = self.options
        summary = "count" if options.count == 0 else options.summary
        search = Search(
            types=self._types,
            where=tuple((*first, *rest) for first, rest in zip(inside, self._where, strict=True)),
            sort=options.sort,
            count=0 if summary == "count" else options.count,
            total=options.total != "none" or summary == "count",
            cursor=options.cursor,
            includes=tuple(options.includes),
        )
        return ParsedSearch(
            search=search,
            self_pairs=tuple(self._used),
            ignored=tuple(self._ignored),
            summary=summary,
            elements=options.elements,
            total=options.total,
        )


def _types(resource_type: str | None, pairs: Sequence[Pair], compartment: tuple[str, str] | None) -> tuple[str, ...]:
    """The types searched: the one in the path, those of `_type`, else all (of the compartment)."""
    if resource_type is not None:
        return (resource_type_of(resource_type),)
    asked = [value for name, value in pairs if name == "_type"]
    try:
        named = [resource_type_of(part) for value in asked for part in value.split(",")]
        if len(asked) > 1:
            raise SearchError("This parameter may be given once.")
    except SearchError as error:
        raise error.of("_type") from None
    every = tuple(dict.fromkeys(named)) or tuple(PARAMETERS)
    return tuple(t for t in every if named or compartment is None or _belongs(compartment[0], t))


def _belongs(compartment: str, resource_type: str) -> bool:
    return resource_type == compartment or bool(compartment_parameters(compartment, resource_type))


def _inside(compartment: tuple[str, str], resource_type: str) -> tuple[Clause, ...]:
    kind, identifier = compartment
    if kind not in COMPARTMENTS:
        raise not_supported(f"There is no compartment of {resource_type_of(kind)}.")
    if not _belongs(kind, resource_type):
        raise not_supported(f"{resource_type} is never in the compartment of a {kind}.")
    parameters = compartment_parameters(kind, resource_type)
    return (Compartment(kind, logical_id(identifier), parameters, includes_self=resource_type == kind),)
