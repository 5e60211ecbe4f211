"""The search tree: what a FHIR search asks, typed and free of syntax (R4 section 3.1.1).

The parser in `gateway.fhir.search_syntax` builds it, the query builder in `gateway.store.search` runs it. A
Clause is one AND-ed condition; the values inside a clause are OR-ed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from gateway.r4.search_parameters import Parameter as Parameter


class Prefix(Enum):
    """Comparison prefixes of R4 section 3.1.1.4.3."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    LT = "lt"
    GE = "ge"
    LE = "le"
    SA = "sa"
    EB = "eb"
    AP = "ap"


@dataclass(frozen=True, slots=True)
class Token:
    """`code`, `system|code`, `|code` (system == "") or `system|` (code is None). system None means any."""

    code: str | None
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A string value as the client wrote it; the builder normalises it unless the mode is exact."""

    value: str
    mode: str = "starts"  # starts | exact | contains


@dataclass(frozen=True, slots=True)
class Period:
    """A date value: half-open [low, high) in microseconds since 1970 UTC, from the precision given."""

    prefix: Prefix
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number: value and the implicit range [low, high) of its written precision."""

    prefix: Prefix
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with an optional unit: system None means any; code None means no unit was asked for."""

    number: Number
    code: str | None = None
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to `type/id` (type may be several where the client wrote only an id), or to a url."""

    id: str | None
    types: tuple[str, ...] = ()
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Uri:
    """A uri or canonical, compared exactly."""

    value: str


@dataclass(frozen=True, slots=True)
class Composite:
    """One `a$b` value: a value for each component, in the order of the definition."""

    parts: tuple[Value, ...]


Value = Token | Text | Period | Number | Quantity | Reference | Uri | Composite


@dataclass(frozen=True, slots=True)
class Match:
    """Resources with an index row of this parameter that fits one of the values."""

    parameter: Parameter
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """Resources without (missing) or with any index row of this parameter: the `:missing` modifier."""

    parameter: Parameter
    missing: bool


@dataclass(frozen=True, slots=True)
class Not:
    """Resources that do not fit the clause, among them those with no value at all: the `:not` modifier."""

    clause: Clause


@dataclass(frozen=True, slots=True)
class Ids:
    """`_id`: one of these logical ids."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LastUpdated:
    """`_lastUpdated`: one of these ranges."""

    values: tuple[Period, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """`parameter:target.…`: the resource referred to is of one of the targets and fits its clause.

    alternatives  one (target type, clause) for each type the chain may run through; any may fit.
    """

    parameter: Parameter
    alternatives: tuple[tuple[str, Clause], ...]


@dataclass(frozen=True, slots=True)
class Has:
    """`_has:Type:parameter:…`: a resource of that type refers here by the parameter and fits the clause."""

    parameter: Parameter
    clause: Clause


@dataclass(frozen=True, slots=True)
class Compartment:
    """Membership of a compartment: any of these references points at `type/id`; or it is that resource."""

    type: str
    id: str
    parameters: tuple[Parameter, ...]
    includes_self: bool


Clause = Match | Missing | Not | Ids | LastUpdated | Chain | Has | Compartment


@dataclass(frozen=True, slots=True)
class Sort:
    """One `_sort` key: `_id`, `_lastUpdated` (parameter None) or an indexed parameter."""

    key: str
    descending: bool
    parameter: Parameter | None = None


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` or `_revinclude`; target None means every type; iterate follows what was included."""

    source_type: str
    parameter: Parameter | None
    target: str | None = None
    reverse: bool = False
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """A whole search, for one type, or several (`types`) where the system is searched.

    For a search over several types `where` holds one clause tuple for each of them, in the same order.
    """

    types: tuple[str, ...]
    where: tuple[tuple[Clause, ...], ...]
    sort: tuple[Sort, ...] = ()
    count: int = 20
    total: bool = False
    cursor: str | None = None
    includes: tuple[Include, ...] = ()

    def of_type(self, resource_type: str) -> tuple[Clause, ...]:
        return self.where[self.types.index(resource_type)]


def by_id(resource_type: str, ids: Sequence[str]) -> Search:
    """The search for some ids of one type."""
    return Search(types=(resource_type,), where=((Ids(tuple(ids)),),), count=len(ids))
