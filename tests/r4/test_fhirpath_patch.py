"""FHIRPath Patch does what R4 says (fhirpatch.html), and keeps values and extensions of primitives together."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.r4 import fhirpath_patch
from gateway.r4.json_tree import plain, printed, read
from gateway.r4.patching import PatchFailed, PatchMalformed, PatchProblem

VECTORS = json.loads((Path(__file__).parent / "fhirpath_patch_cases.json").read_text(encoding="utf-8"))
_TYPES = {"type": "valueCode", "path": "valueString", "name": "valueString"}


def parameters(operations: list[dict[str, Any]]) -> dict[str, Any]:
    """The Parameters resource of operations written shortly."""
    return {"resourceType": "Parameters", "parameter": [
        {"name": "operation", "part": [_part(name, value) for name, value in operation.items()]}
        for operation in operations
    ]}  # fmt: skip


def _part(name: str, value: Any) -> dict[str, Any]:
    return {"name": name, **value} if name == "value" else {"name": name, _TYPES.get(name, "valueInteger"): value}


def tree(value: Any) -> Any:
    return read(json.dumps(value).encode())


def patched(resource: dict[str, Any], operations: list[dict[str, Any]]) -> Any:
    patch = fhirpath_patch.operations(tree(parameters(operations)))
    return plain(fhirpath_patch.applied(tree({"resourceType": "Patient", **resource}), patch))


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["says"])
def test_a_patch_gives_what_r4_says(case: dict[str, Any]) -> None:
    if "fails" in case:
        with pytest.raises(PatchFailed) as refused:
            patched(case["resource"], case["patch"])
        assert refused.value.operation == case["fails"]
    else:
        assert patched(case["resource"], case["patch"]) == {"resourceType": "Patient", **case["expected"]}


@pytest.mark.parametrize("case", VECTORS["malformed"], ids=lambda case: case["says"])
def test_what_is_no_patch_is_refused_before_anything_is_done(case: dict[str, Any]) -> None:
    with pytest.raises(PatchMalformed):
        fhirpath_patch.operations(tree(parameters(case["patch"])))


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Patient"},
        [],
        {"resourceType": "Parameters", "parameter": {}},
        {"resourceType": "Parameters", "parameter": [{"name": "other", "part": []}]},
        {"resourceType": "Parameters", "parameter": [{"name": "operation"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [{"valueCode": "add"}]}]},
    ],
)
def test_other_resources_and_parameters_are_no_patch(body: Any) -> None:
    with pytest.raises(PatchMalformed):
        fhirpath_patch.operations(tree(body))


def test_number_tokens_leave_as_they_came() -> None:
    resource = read(b'{"resourceType":"Observation","valueQuantity":{"value":105.00,"unit":"kg"}}')
    patch = read(
        b'{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"add"},'
        b'{"name":"path","valueString":"Observation"},{"name":"name","valueString":"component"},'
        b'{"name":"value","part":[{"name":"value","valueQuantity":{"value":1.50e1}}]}]}]}'
    )
    found = fhirpath_patch.applied(resource, fhirpath_patch.operations(patch))
    assert printed(found) == (
        '{"resourceType":"Observation","valueQuantity":{"value":105.00,"unit":"kg"},'
        '"component":[{"valueQuantity":{"value":1.50e1}}]}'
    )


def test_a_patch_that_would_take_long_is_refused() -> None:
    """A thousand criteria over a thousand names are a million questions."""
    names = {"name": [{"text": str(n)} for n in range(1_000)]}
    asking = {"type": "delete", "path": "Patient.name.where(text = 'nobody')"}
    assert patched(names, [asking] * 10) == {"resourceType": "Patient", **names}
    with pytest.raises(PatchFailed):
        patched(names, [asking] * 1_000)
    with pytest.raises(PatchMalformed):
        patched({}, [asking] * 1_001)


PATHS = st.lists(
    st.sampled_from(
        ["Patient", ".name", ".given", "[0]", "[1]", ".where(", ")", "use = 'usual'", "'a'", ".first()", ".last()", "(",
         ".exists()", " and ", "$this", "is(", "as ", ".extension('u')", ".value", "=", "1", ".all(", "%resource", "-1",
         ".contained", ".birthDate", " contains ", " in ", "[", "]", "true", ".count()", "|", "+", ".ofType(HumanName)"]
    ),
    max_size=8,
).map("".join)  # fmt: skip
PEOPLE = st.sampled_from(
    [
        {},
        {"name": [{"use": "usual", "given": ["a", None, "c"], "_given": [None, {"id": "b"}]}, {"text": "x"}]},
        {"birthDate": "2000-01-01", "_birthDate": {"extension": [{"url": "u", "valueInteger": 1}]}},
        {"contained": [{"resourceType": "Patient", "name": [{"text": "inner"}]}, {"resourceType": "Nothing"}]},
        {"name": "wrong", "contact": [1, None, []]},
    ]
)
VALUES = st.sampled_from(
    [{"valueString": "v"}, {"valueHumanName": {"text": "v"}}, {"part": []}, {"valueInteger": 3}, {"resource": {}},
     {"part": [{"name": "use", "valueCode": "usual"}]}, {"part": [{"name": "nothing"}]}, {"valueBoolean": None}]
)  # fmt: skip
OPERATIONS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["add", "insert", "delete", "replace", "move"]),
        "path": PATHS,
        "name": st.sampled_from(["name", "given", "birthDate", "extension", "deceased", "value", ""]),
        "index": st.integers(0, 3),
        "source": st.integers(0, 3),
        "destination": st.integers(0, 3),
        "value": VALUES,
    }
)


@given(PEOPLE, st.lists(OPERATIONS, max_size=3))
def test_any_patch_is_applied_or_refused(resource: dict[str, Any], operations: list[dict[str, Any]]) -> None:
    with contextlib.suppress(PatchProblem):
        assert patched(resource, operations)["resourceType"] == "Patient"
