"""Rules that FHIRPath cannot ask, because they need the tables or a grammar (named in facts/added-rules.csv)."""

import base64
import hashlib
from collections import Counter
from functools import cache
from typing import Any

from gateway.r4.codes import is_possible_code
from gateway.r4.fhirpath_grammar import is_expression, variables_of
from gateway.r4.fhirpath_logic import Surroundings, Truth
from gateway.r4.fhirpath_values import Items
from gateway.r4.search_parameters import DEFINITIONS

_PROPERTIES = "http://hl7.org/fhir/concept-properties#"
# http://hl7.org/fhir/concept-properties, R4 section 4.8.11.
_STANDARD_PROPERTIES = {
    "inactive": "boolean",
    "deprecated": "dateTime",
    "deprecationDate": "dateTime",
    "retirementDate": "dateTime",
    "notSelectable": "boolean",
    "parent": "code",
    "child": "code",
    "status": "code",
}
_BOOLEANS = frozenset(name for name, type in _STANDARD_PROPERTIES.items() if type == "boolean")
_OF_HIERARCHY = frozenset({"is-a", "descendent-of", "is-not-a", "generalizes"})
_FHIRPATH = "text/fhirpath"
_EXPRESSION = "http://hl7.org/fhir/StructureDefinition/cqf-expression"
_PARAMETER = "http://hl7.org/fhir/tools/StructureDefinition/valueset-parameter"
_ALWAYS_THERE = frozenset({"context", "resource", "rootResource", "ucum", "sct", "loinc"})


@cache
def _search_types() -> dict[str, str]:
    """The type of each search parameter of the specification, by its URL."""
    return {row.url: row.parameter.kind for each in DEFINITIONS.values() for row in each.values()}


def _has_type_of_definition(focus: Items, around: Surroundings) -> bool:
    """CapabilityStatement.rest.resource.searchParam: the type is that of the definition."""
    defined = _search_types().get(focus[0].get("definition", "").partition("|")[0])
    return defined is None or focus[0].get("type") == defined


def _has_type_of_origin(focus: Items, around: Surroundings) -> bool:
    """SearchParameter: what it is derived from has the same type."""
    origin = _search_types().get(focus[0].get("derivedFrom", "").partition("|")[0])
    return origin is None or focus[0].get("type") == origin


def _has_standard_types(focus: Items, around: Surroundings) -> bool:
    """CodeSystem.property: a property of the specification has the type that it gives it."""
    uri = focus[0].get("uri", "")
    if not uri.startswith(_PROPERTIES):
        return True
    standard = _STANDARD_PROPERTIES.get(uri.removeprefix(_PROPERTIES))
    return standard is None or focus[0].get("type") == standard


def _fits_declaration(focus: Items, around: Surroundings) -> bool:
    """CodeSystem.concept.property: the value has the type that CodeSystem.property declares."""
    declared = {each.get("code"): each.get("type") for each in around.resource.get("property", ())}
    expected = declared.get(focus[0].get("code"))
    given = next((key for key in focus[0] if key.startswith("value")), None)
    return expected is None or given is None or given == "value" + expected[0].upper() + expected[1:]


def _has_possible_value(focus: Items, around: Surroundings) -> bool:
    """ValueSet.compose.include: the values of its filters are of the kind that the property takes."""
    system = focus[0].get("system")
    return all(_is_possible_filter(system, each) for each in focus[0].get("filter", ()))


def _is_possible_filter(system: object, filter: dict[str, Any]) -> bool:
    value = filter.get("value")
    if value is None:
        return True
    if filter.get("property") in _BOOLEANS and filter.get("op") in ("=", "exists"):
        return value in ("true", "false")
    if filter.get("property") == "concept" and filter.get("op") in _OF_HIERARCHY:
        return is_possible_code(system, value)
    return True


def _has_declared_parameters(focus: Items, around: Surroundings) -> bool:
    """ValueSet.compose.include.filter: a value that is computed uses parameters that the value set declares."""
    extensions = focus[0].get("_value", {}).get("extension", ())
    texts = [e["valueExpression"].get("expression", "") for e in extensions if e.get("url") == _EXPRESSION]
    used = {name for text in texts for name in variables_of(text)}
    return used <= _ALWAYS_THERE | _declared(around.resource)


def _declared(value_set: dict[str, Any]) -> set[str]:
    parameters = (each for each in value_set.get("extension", ()) if each.get("url") == _PARAMETER)
    names = (part for each in parameters for part in each.get("extension", ()) if part.get("url") == "name")
    return {value for part in names for key, value in part.items() if key.startswith("value")}


def _is_fhirpath(focus: Items, around: Surroundings) -> bool:
    """Expression: what says that it is FHIRPath can be read as such."""
    text = focus[0].get("expression")
    return focus[0].get("language") != _FHIRPATH or text is None or is_expression(text)


def _holds_fhirpath(focus: Items, around: Surroundings) -> bool:
    """SearchParameter and ElementDefinition.constraint: expression is FHIRPath."""
    text = focus[0].get("expression")
    return text is None or is_expression(text)


def _has_hash_of_data(focus: Items, around: Surroundings) -> bool:
    """Attachment: hash is the SHA-1 of data, in base64."""
    data, stated = focus[0].get("data"), focus[0].get("hash")
    if data is None or stated is None:
        return True
    digest = hashlib.sha1(base64.b64decode(data), usedforsecurity=False).digest()
    return base64.b64decode(stated) == digest


def _has_distinct_properties(focus: Items, around: Surroundings) -> bool:
    """CodeSystem: each property is defined once, by code and by uri."""
    properties = focus[0].get("property", ())
    counts = Counter((key, each[key]) for each in properties for key in ("code", "uri") if key in each)
    return all(count == 1 for count in counts.values())


def _is_coded_possibly(focus: Items, around: Surroundings) -> bool:
    return is_possible_code(focus[0].get("system"), focus[0].get("code"))


BY_HAND: dict[str, Truth] = {
    "bb-code": _is_coded_possibly,
    "bb-declared": _fits_declaration,
    "bb-derived": _has_type_of_origin,
    "bb-fhirpath": _is_fhirpath,
    "bb-filter": _has_possible_value,
    "bb-hash": _has_hash_of_data,
    "bb-parameter": _has_declared_parameters,
    "bb-path": _holds_fhirpath,
    "bb-properties": _has_distinct_properties,
    "bb-property": _has_standard_types,
    "bb-search-type": _has_type_of_definition,
}
