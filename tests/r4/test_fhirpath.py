"""The FHIRPath subset: answers, order of dates, and what it refuses to compile."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.r4.fhirpath import Unsupported, compile_truth
from gateway.r4.fhirpath_logic import Surroundings
from gateway.r4.fhirpath_syntax import SyntaxProblem
from gateway.r4.fhirpath_values import compare

NODE: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "valueQuantity": {"value": 3, "code": "kg"},
    "code": {"coding": [{"code": "a"}, {"code": "b"}]},
    "note": [{"text": "x"}, {"text": "x"}],
    "name": ["A", None],
    "_name": [None, {"extension": [{"url": "http://example.org/x", "valueCode": "masked"}]}],
    "_issued": {"extension": [{"url": "http://example.org/x", "valueCode": "unknown"}]},
}


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("value.exists()", True),
        ("value.code = 'kg'", True),
        ("value.value > 2 and value.value <= 3", True),
        ("value.value = 3.0", True),
        ("code.coding.code = 'a'", False),
        ("code.coding.where(code = 'b').exists()", True),
        ("code.coding.exists(code = 'c')", False),
        ("code.coding.all(code.exists())", True),
        ("status in ('final' | 'amended')", True),
        ("('final' | 'amended') contains status", True),
        ("note.text.isDistinct()", False),
        ("note.select(text).count() = 2", True),
        ("name.count() = 2", True),
        ("issued.exists()", True),
        ("issued.hasValue()", False),
        ("issued > '2024'", None),
        ("missing = 1", None),
        ("missing = 1 or true", True),
        ("missing = 1 and false", False),
        ("missing = 1 or false", None),
        ("missing.exists() implies missing = 1", True),
        ("false or true implies false", False),
        ("missing.empty() xor status.empty()", True),
        ("$this is Observation", True),
        ("status is Boolean", False),
        ("Observation.status.startsWith('fin')", True),
        ("status.matches('fin')", False),
        ("status.substring(2) & '!' = 'nal!'", True),
        ("iif(status.exists(), value.value, missing) = 3", True),
        ("descendants().code.count() = 3", True),
        ("%resource.status = status", True),
        ("%context.status = status", True),
        ("value.code != 'g' and %ucum = 'http://unitsofmeasure.org'", True),
    ],
)
def test_an_expression_answers(expression: str, answer: bool | None) -> None:
    assert compile_truth(expression)([NODE], Surroundings(NODE, NODE)) is answer


@pytest.mark.parametrize("expression", ["", "a.", "a b", "(a", "a = ", "a ! b", "'open"])
def test_what_is_not_fhirpath_is_refused(expression: str) -> None:
    with pytest.raises(SyntaxProblem):
        compile_truth(expression)


@pytest.mark.parametrize("expression", ["a.memberOf('x')", "a is Coding", "%vs.exists()", "a.as(uri).exists()"])
def test_what_the_subset_lacks_is_refused_when_compiling(expression: str) -> None:
    with pytest.raises(Unsupported):
        compile_truth(expression)


MOMENTS = st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1))  # noqa: DTZ001
ZONES = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))


@given(MOMENTS, MOMENTS, ZONES, ZONES)
def test_moments_are_ordered_as_the_standard_library_orders_them(
    first: datetime, second: datetime, here: timezone, there: timezone
) -> None:
    left, right = first.replace(tzinfo=here), second.replace(tzinfo=there)
    assert compare(left.isoformat(), right.isoformat()) == (left > right) - (left < right)


@pytest.mark.parametrize(
    ("left", "right", "sign"),
    [
        ("2024", "2025-03", -1),
        ("2024", "2024-03", None),
        ("2024-02-28", "2024-02-28", 0),
        ("2024-02-28", "2024-02-28T10:00:00Z", None),
        ("2024-02-27", "2024-02-28T10:00:00Z", -1),
        ("2024-02-28T10:00:00Z", "2024-02-28T11:00:00+01:00", 0),
        ("2024-02-28T10:00:00.1Z", "2024-02-28T10:00:00.09Z", 1),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", -1),
        ({"value": 1, "code": "g", "system": "u"}, {"value": 2, "code": "g", "system": "u"}, -1),
        ({"value": 1, "code": "kg", "system": "u"}, {"value": 2, "code": "g", "system": "u"}, None),
        (1, "1", None),
    ],
)
def test_order_is_unknown_where_it_cannot_be_told(left: Any, right: Any, sign: int | None) -> None:
    assert compare(left, right) == sign
