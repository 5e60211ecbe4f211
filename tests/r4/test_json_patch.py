"""JSON Patch does what RFC 6902 says, and never prints a number anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.r4 import json_patch
from gateway.r4.json_tree import NotJSON, Number, plain, printed, read
from gateway.r4.patching import PatchFailed, PatchMalformed, PatchProblem

VECTORS = json.loads((Path(__file__).parent / "json_patch_cases.json").read_text(encoding="utf-8"))


def tree(value: Any) -> Any:
    return read(json.dumps(value).encode())


def patched(document: Any, patch: Any) -> Any:
    return plain(json_patch.applied(tree(document), json_patch.operations(tree(patch))))


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["says"])
def test_a_patch_gives_what_the_rfc_says(case: dict[str, Any]) -> None:
    if "fails" in case:
        with pytest.raises(PatchFailed) as refused:
            patched(case["doc"], case["patch"])
        assert refused.value.operation == case["fails"]
    else:
        found = patched(case["doc"], case["patch"])
        assert json.dumps(found, sort_keys=True) == json.dumps(case["expected"], sort_keys=True)


@pytest.mark.parametrize("case", VECTORS["malformed"], ids=lambda case: case["says"])
def test_what_is_no_patch_is_refused_before_anything_is_done(case: dict[str, Any]) -> None:
    with pytest.raises(PatchMalformed) as refused:
        json_patch.operations(tree(case["patch"]))
    assert refused.value.operation == case["at"]


def test_an_operation_that_names_op_twice_is_refused() -> None:
    with pytest.raises(NotJSON):
        read(b'[{"op": "add", "path": "/a", "value": 1, "op": "remove"}]')


def test_number_tokens_leave_as_they_came() -> None:
    document = read(b'{"a": 105.00, "b": [1e2, -0.0, 12345678901234567890123], "c": 1E+2}')
    patch = json_patch.operations(read(b'[{"op": "move", "from": "/b/0", "path": "/d"},'
                                       b' {"op": "add", "path": "/e", "value": 0.10}]'))  # fmt: skip
    assert printed(json_patch.applied(document, patch)) == (
        '{"a":105.00,"b":[-0.0,12345678901234567890123],"c":1E+2,"d":1e2,"e":0.10}'
    )


def test_numbers_of_any_exponent_can_be_compared() -> None:
    document = read(b'{"a": 1e-99999999999999999999}')
    same = json_patch.operations(read(b'[{"op": "test", "path": "/a", "value": 1e-99999999999999999999}]'))
    assert json_patch.applied(document, same) == document
    with pytest.raises(PatchFailed):
        json_patch.applied(document, json_patch.operations(read(b'[{"op": "test", "path": "/a", "value": 1}]')))


def test_copies_of_copies_do_not_fill_the_memory() -> None:
    doubling = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 60
    with pytest.raises(PatchFailed):
        patched({"a": [1]}, doubling)


def test_a_patch_cannot_nest_without_end() -> None:
    deep: Any = "x"
    for _ in range(60):
        deep = [deep]
    into = [{"op": "add", "path": "/a" + "/0" * 60 * n, "value": deep} for n in range(20)]
    with pytest.raises(PatchFailed) as refused:
        patched({}, into)
    assert refused.value.operation == 1
    around = [{"op": "add", "path": "/b", "value": {}}, {"op": "move", "from": "/a", "path": "/b/a"},
              {"op": "move", "from": "/b", "path": "/a"}] * 70  # fmt: skip
    with pytest.raises(PatchFailed):
        patched({"a": 1}, around)


def test_a_patch_has_at_most_so_many_operations_and_carries_so_many_values() -> None:
    test = {"op": "test", "path": "/a", "value": 1}
    assert patched({"a": 1}, [test] * 1_000) == {"a": 1}
    with pytest.raises(PatchMalformed):
        patched({"a": 1}, [test] * 1_001)
    to_and_fro = [{"op": "move", "from": "/a", "path": "/b"}, {"op": "move", "from": "/b", "path": "/a"}] * 500
    with pytest.raises(PatchFailed):
        patched({"a": list(range(1_000))}, to_and_fro)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"NaN", b"[Infinity]", b"1e999", b'"\\ud800"', b"\xff", b"[" * 65 + b"]" * 65, b"[" * 99999]
)
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(NotJSON):
        read(text)


NUMBERS = st.sampled_from(["0", "-0", "1", "1.0", "1.00", "1e2", "1E+2", "-3.50", "12345678901234567890", "1e-7"])
SCALARS = st.one_of(NUMBERS.map(Number), st.booleans(), st.none(), st.sampled_from(["", "a", "/", "~", "ø"]))
NAMES = st.sampled_from(["a", "b", "~", "/", "", "0", "-"])
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
POINTERS = st.lists(st.sampled_from(["a", "b", "~0", "~1", "", "0", "1", "-"]), max_size=3).map(
    lambda parts: "".join("/" + part for part in parts)
)
OPERATIONS = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
        "path": POINTERS,
        "from": POINTERS,
        "value": TREES,
    }
)


def tokens(node: Any) -> set[str]:
    if isinstance(node, Number):
        return {node.token}
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return set().union(*map(tokens, inner))


@given(TREES, st.lists(OPERATIONS, max_size=4))
def test_any_patch_keeps_the_document_it_was_given_and_invents_no_number(document: Any, patch: list[Any]) -> None:
    before = printed(document)
    try:
        found = json_patch.applied(document, json_patch.operations(patch))
    except PatchProblem:
        found = document
    assert printed(document) == before
    assert tokens(found) <= tokens(document) | tokens(patch)
    assert read(printed(found).encode()) == found


@given(TREES, NAMES, TREES)
def test_what_was_added_passes_its_test_and_is_gone_when_removed(document: Any, name: str, value: Any) -> None:
    path = "/" + name.replace("~", "~0").replace("/", "~1")
    holder = {"kept": document}
    patch = [{"op": "add", "path": path, "value": value}, {"op": "test", "path": path, "value": value}]
    assert json_patch.applied(holder, json_patch.operations(patch)) == {**holder, name: value}
    removing = [*patch, {"op": "remove", "path": path}]
    assert json_patch.applied(holder, json_patch.operations(removing)) == holder
