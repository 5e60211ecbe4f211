"""Reading a Bundle entry by entry gives what parsing it whole gives, and the resources as they were written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.bundle_text import BundleReader
from gateway.fhir.errors import BadRequest

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
members = st.dictionaries(st.text().filter(lambda name: name not in ("entry", "resource")), values, max_size=3)
entries = st.lists(st.tuples(members, st.none() | values), max_size=4)


@given(members, entries, st.sampled_from([None, 1]), st.booleans())
def test_a_bundle_reads_as_the_json_it_is(own: Any, written: Any, indent: int | None, is_last: bool) -> None:
    listed = [{**rest, "resource": resource} if resource is not None else rest for rest, resource in written]
    tree = {**own, "entry": listed} if is_last else {"entry": listed, **own}
    reader = BundleReader(json.dumps(tree, indent=indent))
    read = list(reader)
    assert reader.members == own
    assert [entry.members for entry in read] == [rest for rest, _ in written]
    resources = [None if entry.resource is None else json.loads(entry.resource) for entry in read]
    assert resources == [resource for _, resource in written]


def test_a_resource_comes_out_as_it_was_written() -> None:
    resource = '{ "value" : 105.00 , "big":1e2 }'
    (entry,) = BundleReader(f'{{"entry":[{{"resource": {resource} }}]}}')
    assert entry.resource == resource


@given(st.text(alphabet='{}[]:,"entry \\u1resource'))
def test_text_that_is_no_bundle_is_refused_or_read_but_never_fails(text: str) -> None:
    try:
        list(BundleReader(text))
    except BadRequest:
        return
    assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"entry":[', '{"entry":[{}', '{"entry":[{}]', '{"entry":{}}', '{"entry":[1]}', "{} {}", "{'a':1}",
     '{"entry":[],"entry":[]}', '{"entry":[{"resource":{},"resource":{}}]}', '{"entry":[{},]}', '{"a":1,}', '{1:2}',
     '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"],
)  # fmt: skip
def test_anything_else_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest):
        list(BundleReader(text))
