"""The validator against 2,537 official examples and 217 public validator cases that we did not write."""

from collections import Counter

import orjson
import pytest
from official import SYNTHEA, example_texts, fixture_rows, needs_r4, synthea_bundles, validator_cases

from gateway.r4.parse import Unreadable, parse
from gateway.r4.schema import compile_schema
from gateway.r4.structure import Walk, check_structure
from gateway.r4.validate import Validator

pytestmark = needs_r4

EXPECTED = {row["file"]: row["expression"] for row in fixture_rows("expected_rejections.csv")}
# Valid for the reference validator and not for us; each with its reason.
NOT_FHIR_JSON = {
    "cases/json-comments-1.json": "JSON with comments, which RFC 8259 does not have",
    "cases/json-comments-2.json": "JSON with comments, which RFC 8259 does not have",
    "cases/matchetype/matchetype-pattern.json": "a template with $placeholders in place of values",
}
MISSED = {row["name"]: row["reason"] for row in fixture_rows("missed_cases.csv")}


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator()


def test_every_official_example_is_accepted_but_those_that_break_the_specification(validator: Validator) -> None:
    refused = {}
    for name, text in example_texts().items():
        if issues := validator.validate(parse(text)):
            refused[name] = issues[0].expression
    assert refused == EXPECTED


def test_what_the_quick_schema_accepts_the_walk_finds_right() -> None:
    schema, accepted = compile_schema(), 0
    for text in example_texts().values():
        resource = orjson.loads(text)
        name = resource["resourceType"]
        if schema.is_valid({name: resource}):
            walk = Walk()
            check_structure(resource, name, name, walk)
            assert walk.issues == []
            accepted += 1
    assert accepted > 2_000


def _verdict(validator: Validator, text: bytes) -> bool:
    try:
        return not validator.validate(parse(text))
    except Unreadable:
        return False


def test_public_validator_cases_of_base_r4(validator: Validator) -> None:
    """Prints the figures: pytest -s."""
    found: Counter[tuple[str, str]] = Counter()
    wrongly_refused, missed = set(), set()
    for case in validator_cases():
        accepted = _verdict(validator, case["text"])
        if case["base_only"]:
            found["invalid" if case["invalid"] else "valid", "accepted" if accepted else "refused"] += 1
            if case["invalid"] and accepted:
                missed.add(case["name"])
        if not case["invalid"] and not accepted:
            wrongly_refused.add(case["file"])
    print({" ".join(key): count for key, count in sorted(found.items())})
    assert wrongly_refused == set(NOT_FHIR_JSON)
    assert missed == set(MISSED)
    assert found["invalid", "refused"] >= 0.8 * (found["invalid", "refused"] + found["invalid", "accepted"])


@pytest.mark.skipif(not SYNTHEA.exists(), reason="the Synthea bundles are not beside the repository")
def test_synthetic_records_of_another_program_are_accepted(validator: Validator) -> None:
    for text in synthea_bundles(4):
        bundle = parse(text)
        assert len(bundle["entry"]) > 20
        assert validator.validate(bundle) == []
