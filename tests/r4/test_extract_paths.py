"""The language of the `paths` column."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.r4.extract_paths import BadPath, Segment, TypedPath, steps, typed_paths, visitor


def _read(path: str, resource: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    visitor([(steps(path), lambda value, sink: sink.append(value))])(resource, found)
    return found


def test_path_walks_lists_positions_and_conditions() -> None:
    resource = {"a": [{"k": "x", "b": [1, None, 2]}, {"k": "y", "b": [3]}]}
    assert _read("a[].b[]", resource) == [1, 2, 3]
    assert _read("a[0].b[]", resource) == [1, 2]
    assert _read("a[k=y].b[]", resource) == [3]
    assert _read("a[7].b[]", resource) == []
    assert _read("$this", resource) == [resource]
    assert _read("absent.b", resource) == []


def test_typed_path_says_type_argument_and_origin() -> None:
    assert typed_paths("subject:Reference(Patient) | %resource.a.b:string") == (
        TypedPath((Segment("subject"),), "Reference", "Patient"),
        TypedPath((Segment("a"), Segment("b")), "string", from_resource=True),
    )


@pytest.mark.parametrize("written", ["", "a", "a:", "a..b:string", "a[:string", "a[]b:string", "a:x(", "a b:string"])
def test_path_of_another_form_is_refused(written: str) -> None:
    with pytest.raises(BadPath):
        typed_paths(written)
