"""What the terminology operations answer with (R4 section 4.6, the out parameters of their definitions)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.fhir.exchange import Answer
from gateway.fhir.operation_output import Row, parameters_answer
from gateway.r4.code_systems import CodeSystem, Concept
from gateway.r4.code_validation import Verdict
from gateway.r4.concept_maps import Match
from gateway.r4.expansion import named
from gateway.r4.terminology import Resource


def verdict_answer(verdict: Verdict) -> Answer:
    """result, with message and display where there are such."""
    rows: list[Row] = [("result", "valueBoolean", verdict.result)]
    if verdict.message:
        rows.append(("message", "valueString", verdict.message))
    if verdict.display:
        rows.append(("display", "valueString", verdict.display))
    return parameters_answer(rows)


def lookup_answer(system: CodeSystem, concept: Concept, language: str, asked: frozenset[str]) -> Answer:
    """
    What a system says of a code.

    asked  the properties to tell; empty: all
    """
    return parameters_answer(_found(system, concept, language, asked))


def _found(system: CodeSystem, concept: Concept, language: str, asked: frozenset[str]) -> Iterator[Row]:
    yield "name", "valueString", system.name or system.url
    if system.version:
        yield "version", "valueString", system.version
    yield "display", "valueString", named(concept.display or concept.code, concept.designations, language)
    if not asked or "designation" in asked:
        for each in concept.designations:
            yield "designation", "part", list(_designation(each))
    for code, key, value in _properties(system, concept):
        if not asked or code in asked:
            yield "property", "part", [("code", "valueCode", code), ("value", key, value)]


def _designation(designation: Resource) -> Iterator[Row]:
    for name, key in (("language", "valueCode"), ("use", "valueCoding"), ("value", "valueString")):
        if name in designation:
            yield name, key, designation[name]


def _properties(system: CodeSystem, concept: Concept) -> Iterator[tuple[str, str, Any]]:
    yield "inactive", "valueBoolean", concept.is_inactive
    if concept.definition:
        yield "definition", "valueString", concept.definition
    for parent in concept.parents:
        yield "parent", "valueCode", parent
    for child in system.children.get(concept.code, ()):
        yield "child", "valueCode", child
    for each in concept.properties:
        key = next((key for key in each if key.startswith("value")), None)
        if key is not None and each["code"] not in ("inactive", "parent", "child"):
            yield each["code"], key, each[key]


def translation_answer(matches: list[Match]) -> Answer:
    """result is true where one match says more than that there is none."""
    rows: list[Row] = [("result", "valueBoolean", any(match.is_match for match in matches))]
    if not matches:
        rows.append(("message", "valueString", "The concept map has no translation of this code."))
    return parameters_answer([*rows, *(("match", "part", list(_match(match))) for match in matches)])


def _match(match: Match) -> Iterator[Row]:
    yield "equivalence", "valueCode", match.equivalence
    coding = {"system": match.system, "code": match.code, "display": match.display}
    if match.code:
        yield "concept", "valueCoding", {key: value for key, value in coding.items() if value}
    if match.source:
        yield "source", "valueUri", match.source
