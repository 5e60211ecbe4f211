"""What a search asks of resources: names with modifiers, chains and _has, to clauses (R4 section 3.1.1.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.fhir.search_errors import SearchError, not_supported, too_costly
from gateway.fhir.search_limits import SearchLimits
from gateway.fhir.search_values import (
    Surroundings,
    logical_id,
    period,
    reference,
    split,
    string_of,
    unescaped,
    value_of,
)
from gateway.r4.search_parameters import PARAMETERS, Parameter, is_by_url
from gateway.store.query import Chain, Clause, Has, Ids, LastUpdated, Match, Missing, Not, Value

_HAS = "_has:"
_NATIVE = frozenset({"_id", "_lastUpdated"})
_STRING_MODES = {"": "starts", "exact": "exact", "contains": "contains"}


@dataclass(slots=True)
class Reading:
    """What values depend on, the limits, and how many clauses the parameter at hand has grown to."""

    surroundings: Surroundings
    limits: SearchLimits
    clauses: int = field(default=0)

    def count_clause(self) -> None:
        self.clauses += 1
        if self.clauses > self.limits.clauses_max:
            raise too_costly("The chain can mean too much: name the types in it, as in subject:Patient.name.")


def is_known(resource_type: str, name: str) -> bool:
    """Whether the first word of a parameter's name means something for the type."""
    if name.startswith(_HAS):
        return True
    code = name.partition(".")[0].partition(":")[0]
    return code in _NATIVE or code in PARAMETERS[resource_type]


def clause_of(resource_type: str, name: str, value: str, reading: Reading, depth: int = 0) -> Clause:
    """The clause of one name=value for resources of a type; raises SearchError."""
    if name.startswith(_HAS):
        return _has(resource_type, name, value, reading, depth)
    link, dot, rest = name.partition(".")
    if dot:
        return _chain(resource_type, link, rest, value, reading, depth)
    reading.count_clause()
    code, colon, modifier = name.partition(":")
    if colon and not modifier:
        raise SearchError("After the colon of a parameter comes a modifier.")
    if code in _NATIVE:
        return _native(code, modifier, value, reading)
    return _condition(parameter_of(resource_type, code), modifier, value, reading)


def parameter_of(resource_type: str, code: str) -> Parameter:
    """The parameter of a type; raises SearchError."""
    parameter = PARAMETERS[resource_type].get(code)
    if parameter is None:
        raise not_supported(f"{resource_type} has no such search parameter here.")
    return parameter


def link_of(resource_type: str, code: str) -> Parameter:
    """A reference parameter that can be followed from resource to resource; raises SearchError."""
    parameter = parameter_of(resource_type, code)
    if parameter.kind != "reference":
        raise SearchError("Only a reference parameter leads to another resource.")
    if is_by_url(parameter):
        raise not_supported("A reference by canonical URL cannot be followed here.")
    return parameter


def resource_type_of(name: str) -> str:
    """A name that must be one of a resource type; raises SearchError."""
    if name not in PARAMETERS:
        raise SearchError("That is not a resource type of FHIR R4.")
    return name


def _hop(reading: Reading, depth: int) -> int:
    if depth >= reading.limits.chain_depth:
        raise too_costly(f"At most {reading.limits.chain_depth} hops to other resources are allowed.")
    return depth + 1


def _has(resource_type: str, name: str, value: str, reading: Reading, depth: int) -> Has:
    parts = name.split(":", 3)
    if len(parts) != 4:
        raise SearchError("Reverse chaining is written _has:Type:reference:parameter.")
    source = resource_type_of(parts[1])
    parameter = link_of(source, parts[2])
    if resource_type not in parameter.targets:
        raise SearchError(f"That reference never points at {resource_type}.")
    return Has(parameter, clause_of(source, parts[3], value, reading, _hop(reading, depth)))


def _chain(resource_type: str, link: str, rest: str, value: str, reading: Reading, depth: int) -> Chain:
    code, colon, wanted = link.partition(":")
    parameter = link_of(resource_type, code)
    depth = _hop(reading, depth)
    if colon:
        if resource_type_of(wanted) not in parameter.targets:
            raise SearchError(f"That reference never points at {wanted}.")
        return Chain(parameter, ((wanted, clause_of(wanted, rest, value, reading, depth)),))
    return Chain(parameter, _alternatives(parameter, rest, value, reading, depth))


def _alternatives(
    parameter: Parameter, rest: str, value: str, reading: Reading, depth: int
) -> tuple[tuple[str, Clause], ...]:
    """The rest of a chain for each type it makes sense for; an error only if it makes sense for none."""
    found: list[tuple[str, Clause]] = []
    refused: SearchError | None = None
    for target in parameter.targets:
        if not is_known(target, rest):
            continue
        try:
            found.append((target, clause_of(target, rest, value, reading, depth)))
        except SearchError as error:
            if error.code == "too-costly":
                raise
            refused = refused or error
    if not found:
        raise refused or not_supported("No type that the reference may point at has that search parameter.")
    return tuple(found)


def _native(code: str, modifier: str, value: str, reading: Reading) -> Clause:
    if modifier:
        raise not_supported(f"{code} takes no modifier.")
    parts = _values(value, reading)
    if code == "_id":
        return Ids(tuple(logical_id(unescaped(part)) for part in parts))
    return LastUpdated(tuple(period(part, reading.surroundings) for part in parts))


def _values(value: str, reading: Reading) -> list[str]:
    parts = split(value, ",")
    if len(parts) > reading.limits.values_max:
        raise too_costly(f"At most {reading.limits.values_max} values are allowed in one parameter.")
    return parts


def _condition(parameter: Parameter, modifier: str, value: str, reading: Reading) -> Clause:
    if modifier == "missing":
        return Missing(parameter, _boolean(value))
    parse = _parser(parameter, modifier, reading)
    match = Match(parameter, tuple(parse(part) for part in _values(value, reading)))
    return Not(match) if modifier == "not" else match


def _parser(parameter: Parameter, modifier: str, reading: Reading) -> Callable[[str], Value]:
    """How the values of a parameter are read under a modifier; raises SearchError where it does not apply."""
    surroundings = reading.surroundings
    match parameter.kind:
        case "string" if modifier in _STRING_MODES:
            return lambda text: string_of(text, _STRING_MODES[modifier])
        case "reference" if modifier in PARAMETERS:
            return lambda text: _typed_reference(parameter, modifier, text, surroundings)
        case kind if not modifier or (kind == "token" and modifier == "not"):
            return lambda text: value_of(parameter, text, surroundings)
    shown = modifier if modifier.replace("-", "").isalnum() and modifier.isascii() else ""
    raise not_supported(f"The modifier :{shown} is not supported for {parameter.kind} parameters.")


def _typed_reference(parameter: Parameter, wanted: str, text: str, surroundings: Surroundings) -> Value:
    if wanted not in parameter.targets:
        raise SearchError(f"That reference never points at {wanted}.")
    found = reference(text, (wanted,), surroundings)
    if found.url is not None or found.types != (wanted,):
        raise SearchError(f"The value does not refer to the type {wanted} that the modifier names.")
    return found


def _boolean(value: str) -> bool:
    if value not in ("true", "false"):
        raise SearchError("The modifier :missing takes true or false.")
    return value == "true"
