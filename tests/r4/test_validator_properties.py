"""Promises that hold for any resource."""

import copy
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from official import example, needs_r4

from gateway.r4.definitions import TYPES, structures, type_id, type_name
from gateway.r4.primitives import PRIMITIVES, has_format
from gateway.r4.schema import compile_schema
from gateway.r4.structure import Walk, check_structure
from gateway.r4.validate import Validator

VALIDATOR = Validator()
SCHEMA = compile_schema()
NAMES = ["Patient-mom", "Observation-f005", "CarePlan-preg", "Questionnaire-f201", "Bundle-father", "Task-example1"]
KEYS = sorted({key for structure in structures().values() for key in structure.slots})[::7]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["2024-02-30", "#a", "Patient/1", "<div/>", "final", "http://example.org"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


def objects(node: Any, path: str) -> list[tuple[dict[str, Any], str]]:
    """Every object below a resource that is made of FHIR elements, with its path."""
    found = [(node, path)]
    for key, value in node.items():
        label = _label(key)
        if isinstance(value, dict):
            found += objects(value, f"{path}.{label}")
        elif isinstance(value, list):
            found += [
                pair
                for index, item in enumerate(value)
                if isinstance(item, dict)
                for pair in objects(item, f"{path}.{label}[{index}]")
            ]
    return found


_CHOICES = {
    key: element.label
    for structure in structures().values()
    for element in structure.elements
    if element.is_choice
    for key in element.keys
}


def _label(key: str) -> str:
    name = key.removeprefix("_")
    return _CHOICES.get(name, name)


@needs_r4
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_an_unknown_element_anywhere_is_refused_with_its_path(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    resource = example(name)
    places = objects(resource, resource["resourceType"])
    node, path = data.draw(st.sampled_from(places))
    node["notAnElement"] = data.draw(VALUES)
    assert f"{path}.notAnElement" in [issue.expression for issue in VALIDATOR.validate(resource)]


@needs_r4
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_value_in_any_place_gets_an_answer(data: st.DataObject) -> None:
    """And the quick schema never accepts what the walk refuses."""
    resource = example(data.draw(st.sampled_from(NAMES)))
    node, _ = data.draw(st.sampled_from(objects(resource, "")))
    node[data.draw(st.sampled_from([*node, *KEYS[:20]]))] = data.draw(VALUES)
    issues = VALIDATOR.validate(resource)
    assert all(issue.severity == "error" and issue.diagnostics for issue in issues)
    name = resource.get("resourceType")
    if name in TYPES and SCHEMA.is_valid({name: resource}):
        walk = Walk()
        check_structure(copy.deepcopy(resource), name, name, walk)
        assert walk.issues == []


SPOILS = {
    "system": ["http://hl7.org/fhir/administrative-gender", "http://loinc.org", "urn:ietf:rfc:3986"],
    "code": ["nothing", "male"],
    "id": ["twice", "n"],
    "url": ["relative", "http://example.org/x"],
    "language": ["xx", "en-GB"],
    "text": ["<script>", "a"],
    "reference": ["Patient/1", "#nowhere"],
    "fullUrl": ["http://example.org/Patient/other", "urn:oid:1.2"],
}


@needs_r4
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_quick_yes_is_never_said_of_what_the_walk_refuses(data: st.DataObject) -> None:
    """Spoilt where each quick check looks: codes, ids, addresses, markup, links."""
    resource = example(data.draw(st.sampled_from(NAMES)))
    places = objects(resource, "")
    for _ in range(data.draw(st.integers(1, 3))):
        key = data.draw(st.sampled_from(sorted(SPOILS)))
        node, _ = data.draw(st.sampled_from([pair for pair in places if key in pair[0]] or places))
        node[key] = data.draw(st.sampled_from(SPOILS[key]))
    if VALIDATOR._is_plainly_valid(resource):
        assert VALIDATOR._explain(resource) == []


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_arbitrary_json_of_any_type_gets_an_answer(name: str, members: dict[str, Any]) -> None:
    VALIDATOR.validate(members | {"resourceType": name})


@pytest.mark.parametrize("huge", [10**30, -(10**400)])
def test_a_number_beyond_64_bits_gets_an_answer(huge: int) -> None:
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "valueQuantity": {"value": huge},
        "contained": [{"resourceType": "Patient", "id": "p"}],
        "subject": {"reference": "#p"},
    }
    assert VALIDATOR.validate(observation) == []


@given(st.dates(), st.integers(1, 31), st.integers(1, 12))
def test_a_date_is_accepted_when_the_calendar_has_it(day: date, number: int, month: int) -> None:
    text = f"{day.year:04}-{month:02}-{number:02}"
    try:
        exists = bool(date.fromisoformat(text))
    except ValueError:
        exists = False
    assert has_format(PRIMITIVES["date"], text) == exists
    assert has_format(PRIMITIVES["date"], day.isoformat())


@given(st.datetimes(timezones=st.timezones()))
def test_a_moment_with_a_zone_is_a_datetime_and_an_instant(moment: datetime) -> None:
    text = moment.isoformat()
    offset = moment.utcoffset()
    expected = offset is not None and offset.seconds % 60 == 0 and abs(offset) <= timedelta(hours=14)
    for name in ("dateTime", "instant"):
        assert has_format(PRIMITIVES[name], text) == expected


@pytest.mark.parametrize("name", TYPES)
def test_a_type_keeps_its_number(name: str) -> None:
    assert type_name(type_id(name)) == name


def test_the_numbers_of_the_types_are_those_of_the_first_release() -> None:
    """They are stored in databases; a change here would need a migration."""
    assert len(TYPES) == 146
    assert [type_id(n) for n in ("Account", "CarePlan", "Observation", "Patient", "VisionPrescription")] == [
        1, TYPES.index("CarePlan") + 1, TYPES.index("Observation") + 1, TYPES.index("Patient") + 1, 146,
    ]  # fmt: skip
