"""The search parameters of every resource type, read from a table (R4 section 3.1.1 and its registry).

`facts/search-parameters.csv` has one row for each type and code, `facts/search-parameter-components.csv` one
for each component of a composite, `facts/compartments.csv` one for each parameter that makes a member of a
resource. Ids are for ever: index rows carry them. See docs/how-to/add-a-search-parameter.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.r4.definitions import TYPES, rows

_BY_URL = frozenset({"canonical", "uri"})
CANONICAL_BASE = "http://hl7.org/fhir/"
# Parameters is an envelope of operations and cannot be stored, so nothing can refer to one.
ANY_TARGET = tuple(sorted(set(TYPES) - {"Parameters"}))


@dataclass(frozen=True, slots=True)
class Parameter:
    """A row of the search-parameter table as the store needs it.

    id        the stable number that the index rows carry (one per type and code)
    kind      token, string, date, number, quantity, reference, uri or composite
    targets   for references: the types it may point at
    parts     for composites: the parameters of the components, with ids of their own
    """

    id: int
    type: str
    code: str
    kind: str
    # The id says it all where a search is printed or fingerprinted.
    targets: tuple[str, ...] = field(default=(), repr=False)
    parts: tuple[Parameter, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Definition:
    """A parameter with where its values are: what extraction and the published SearchParameter need.

    expression  FHIRPath of the specification, cut down to this type
    paths       the same as typed paths (see extract_paths): what is compiled; for a composite, its elements
    url         canonical URL of the SearchParameter that defines it
    parts       for composites: the definitions of the components, in order
    """

    parameter: Parameter
    expression: str
    paths: str
    url: str
    parts: tuple[Definition, ...] = ()


def _targets(written: str) -> tuple[str, ...]:
    return ANY_TARGET if written == "*" else tuple(filter(None, written.split("|")))


def _definition(row: Mapping[str, str], code: str, parts: tuple[Definition, ...] = ()) -> Definition:
    return Definition(
        parameter=Parameter(
            id=int(row["id"]),
            type=row["type"],
            code=code,
            kind=row["kind"],
            targets=_targets(row["targets"]),
            parts=tuple(part.parameter for part in parts),
        ),
        expression=row["expression"],
        paths=row["paths"],
        url=CANONICAL_BASE + row["source"],
        parts=parts,
    )


def _components() -> dict[tuple[str, str], tuple[Definition, ...]]:
    found: dict[tuple[str, str], list[tuple[int, Definition]]] = defaultdict(list)
    for row in rows("search-parameter-components.csv"):
        definition = _definition(row, row["component"])
        found[row["type"], row["code"]].append((int(row["index"]), definition))
    return {
        key: tuple(part for _, part in sorted(parts, key=lambda numbered: numbered[0])) for key, parts in found.items()
    }


def _load() -> dict[str, dict[str, Definition]]:
    components = _components()
    definitions: dict[str, dict[str, Definition]] = defaultdict(dict)
    for row in rows("search-parameters.csv"):
        parts = components.get((row["type"], row["code"]), ())
        definitions[row["type"]][row["code"]] = _definition(row, row["code"], parts)
    return dict(definitions)


DEFINITIONS: dict[str, dict[str, Definition]] = _load()
PARAMETERS: dict[str, dict[str, Parameter]] = {
    resource_type: {code: definition.parameter for code, definition in by_code.items()}
    for resource_type, by_code in DEFINITIONS.items()
}


def _load_compartments() -> dict[tuple[str, str], tuple[Parameter, ...]]:
    members: dict[tuple[str, str], list[Parameter]] = defaultdict(list)
    for row in rows("compartments.csv"):
        members[row["compartment"], row["type"]].append(PARAMETERS[row["type"]][row["parameter"]])
    return {key: tuple(parameters) for key, parameters in members.items()}


_COMPARTMENTS = _load_compartments()
COMPARTMENTS = frozenset(compartment for compartment, _ in _COMPARTMENTS)


def compartment_parameters(compartment: str, resource_type: str) -> tuple[Parameter, ...]:
    """The references by which a resource of a type belongs to a compartment; none where it never does."""
    return _COMPARTMENTS.get((compartment, resource_type), ())


def is_by_url(parameter: Parameter) -> bool:
    """Whether a reference parameter names its target by canonical URL: no key leads from row to target."""
    paths = DEFINITIONS[parameter.type][parameter.code].paths.split(" | ")
    return all(path.partition(":")[2] in _BY_URL for path in paths)
