"""Our typed paths against FHIRPath itself: the official expressions, run by fhirpathpy on the official examples."""

from __future__ import annotations

import copy
import csv
import json
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from gateway.r4.definitions import TYPES, type_id
from gateway.r4.extract import Extractor
from gateway.r4.extract_paths import TypedPath, Visit, typed_paths, visitor
from gateway.r4.extract_references import ReferenceConverters
from gateway.r4.search_parameters import COMPARTMENTS, DEFINITIONS, PARAMETERS, compartment_parameters

R4 = Path(__file__).parents[3] / "shared" / "data" / "fhir-r4"
pytestmark = pytest.mark.skipif(not R4.exists(), reason="the R4 facts and examples are not beside the repository")

EXAMPLES_OF_A_TYPE = 20

# Official parameters that the table leaves out, and why.
LEFT_OUT = {
    "_content": "full-text search is not offered",
    "_filter": "the filter language is not offered",
    "_id": "answered from the resource's own row",
    "_lastUpdated": "answered from the resource's own row",
    "_query": "named queries are not offered",
    "_text": "full-text search is not offered",
    "age": "an example without an expression",
    "amino-acid-change": "on an extension whose value the expression does not reach",
    "assessed-condition": "on an extension whose value the expression does not reach",
    "birthOrderBoolean": "an example without an expression",
    "din": "on an extension whose value the expression does not reach",
    "dna-variant": "on an extension whose value the expression does not reach",
    "gene-amino-acid-change": "on an extension whose value the expression does not reach",
    "gene-dnavariant": "on an extension whose value the expression does not reach",
    "gene-identifier": "on an extension whose value the expression does not reach",
    "item-subject": "on an extension",
    "mothersMaidenName": "on an extension whose value the expression does not reach",
    "near": "distance search is not offered",
    "phonetic": "sound-alike search is not offered",
}

# Where we read other values than the oracle does: mostly fewer, as they have no meaning for the kind of parameter.
DELIBERATE = {
    ("CarePlan", "activity-date"): "scheduledString is free text, not a date",
    ("ConceptMap", "source-uri"): "a canonical is a uri for `as`, not for the `ofType` that the oracle is given",
    ("ConceptMap", "target-uri"): "a canonical is a uri for `as`, not for the `ofType` that the oracle is given",
    ("Consent", "source-reference"): "sourceAttachment is not a reference",
    ("Group", "value"): "valueQuantity, valueRange and valueReference are not tokens",
    ("Immunization", "date"): "occurrenceString is free text, not a date",
    ("Patient", "deceased"): "a comparison, not a path: tested below",
    ("Procedure", "date"): "performedString, performedAge and performedRange are not dates",
}


def _official() -> dict[tuple[str, str], dict[str, str]]:
    with (R4 / "facts" / "search-parameters.csv").open(encoding="utf-8", newline="") as table:
        return {(row["base"], row["code"]): row for row in csv.DictReader(table)}


def _examples() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with tarfile.open(R4 / "examples-shared.tar.xz") as archive:
        for member in archive:
            resource_type = member.name.split("/")[0]
            if resource_type in DEFINITIONS and len(found[resource_type]) < EXAMPLES_OF_A_TYPE:
                content = archive.extractfile(member)
                assert content is not None
                found[resource_type].append(json.load(content))
    return found


@pytest.fixture(scope="module")
def examples() -> dict[str, list[dict[str, Any]]]:
    return _examples()


def _for_oracle(resource_type: str, expression: str) -> str:
    """The official expression in the part of FHIRPath that the oracle can run on many values."""
    parts = [part for part in re.split(r"\s+\|\s+", expression) if re.match(rf"\(*{resource_type}\b", part)]
    text = " | ".join(parts) or expression
    text = re.sub(r"\bResource\.", resource_type + ".", text)
    text = re.sub(r"\(([\w.]+) as (\w+)\)", r"\1.ofType(\2)", text)
    text = re.sub(r"\.as\((\w+)\)", r".ofType(\1)", text)
    shown = r"(reference.startsWith('\1/') or reference.contains('/\1/') or type = '\1')"
    return re.sub(r"\(resolve\(\) is (\w+)\)", shown, text)


def _comparable(value: Any) -> str:
    """JSON with numbers as text: the oracle prints decimals as text."""
    return json.dumps(json.loads(json.dumps(value, default=str), parse_float=str, parse_int=str), sort_keys=True)


def _collected(path: TypedPath) -> Visit:
    references = ReferenceConverters(hash, {name: type_id(name) for name in TYPES}, None)
    fits = references.of("Reference", path.argument) if path.type == "Reference" and path.argument else None

    def collect(value: Any, sink: list[Any]) -> None:
        if fits is None or fits(value):
            sink.append(value)

    return collect


def _evaluations(resource_type: str, resources: list[dict[str, Any]]) -> Iterator[tuple[str, set[str], set[str]]]:
    official = _official()
    for code, definition in DEFINITIONS[resource_type].items():
        if definition.parameter.kind == "composite" or (resource_type, code) in DELIBERATE:
            continue
        row = official.get((resource_type, code)) or official["Resource", code]
        oracle = fhirpathpy.compile(_for_oracle(resource_type, row["expression"]), models["r4"])
        ours = visitor((path.segments, _collected(path)) for path in typed_paths(definition.paths))
        for resource in resources:
            read: list[Any] = []
            ours(resource, read)
            expected = oracle(copy.deepcopy(resource), {})
            yield code, set(map(_comparable, read)), set(map(_comparable, expected))


def test_typed_paths_read_what_the_official_expressions_read(examples: dict[str, list[dict[str, Any]]]) -> None:
    differences = []
    evaluations = values = 0
    for resource_type, resources in examples.items():
        for code, read, expected in _evaluations(resource_type, resources):
            evaluations += 1
            values += len(expected)
            if read != expected:
                differences.append((resource_type, code, read ^ expected))
    assert differences == []
    assert evaluations > 5_000
    assert values > 3_000


def test_deceased_is_what_its_expression_says() -> None:
    tokens = {1: "true", 2: "false"}
    extractor = Extractor(lambda text: {"ctrue": 1, "cfalse": 2}.get(text, 0))
    parameter = PARAMETERS["Patient"]["deceased"].id
    oracle = fhirpathpy.compile(_official()["Patient", "deceased"]["expression"], models["r4"])
    patients: list[dict[str, Any]] = [
        {"resourceType": "Patient"},
        {"resourceType": "Patient", "deceasedBoolean": False},
        {"resourceType": "Patient", "deceasedBoolean": True},
        {"resourceType": "Patient", "deceasedDateTime": "2020"},
    ]
    for patient in patients:
        rows = [tokens[value] for param, _, value, _ in extractor.rows(patient).token if param == parameter]
        assert rows == [str(value).lower() for value in oracle(copy.deepcopy(patient), {})]


def test_every_official_parameter_is_in_the_table_or_left_out_for_a_reason() -> None:
    official = set(_official())
    ours = {(resource_type, code) for resource_type, by_code in PARAMETERS.items() for code in by_code}
    everywhere = {code for base, code in official if base == "Resource"} - set(LEFT_OUT)
    absent = {(base, code) for base, code in official - ours if base not in ("Resource", "DomainResource")}
    assert {code for _, code in absent} <= set(LEFT_OUT)
    assert all(everywhere <= set(by_code) for by_code in PARAMETERS.values())
    assert {code for _, code in ours - official} == everywhere
    assert set(LEFT_OUT) <= {code for _, code in official} - {code for _, code in ours}


def test_kinds_and_definitions_are_the_official_ones() -> None:
    for (base, code), row in _official().items():
        if (definition := DEFINITIONS.get(base, {}).get(code)) is not None:
            assert definition.parameter.kind == row["type"]
            assert definition.url == row["url"]


def test_targets_never_exceed_the_official_ones() -> None:
    for (base, code), row in _official().items():
        if (parameter := PARAMETERS.get(base, {}).get(code)) is not None and row["type"] == "reference":
            assert set(parameter.targets) <= set(filter(None, row["target"].split("|")))


def test_compartments_are_the_official_ones() -> None:
    for compartment in COMPARTMENTS:
        with (R4 / "facts" / f"compartment-{compartment.lower()}.csv").open(encoding="utf-8") as table:
            official: dict[str, set[str]] = defaultdict(set)
            for row in csv.DictReader(table):
                if row["search_parameter"] not in ("", "{def}"):
                    official[row["resource"]].add(row["search_parameter"])
        ours = {
            resource_type: {parameter.code for parameter in compartment_parameters(compartment, resource_type)}
            for resource_type in TYPES
        }
        assert {name: codes for name, codes in ours.items() if codes} == official
