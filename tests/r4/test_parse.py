"""Bodies that can be read, and those that cannot."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.r4.parse import Unreadable, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.sampled_from([":", '"a":1', "\\"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(max_size=4), JSON, max_size=5)


def refusal(raw: bytes, **limits: int) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        parse(raw, **limits)
    return caught.value


@given(OBJECTS)
def test_any_json_object_is_read_as_it_is(tree: dict[str, object]) -> None:
    assert parse(orjson.dumps(tree)) == tree


@given(OBJECTS)
def test_escapes_and_layout_make_no_difference(tree: dict[str, object]) -> None:
    assert parse(json.dumps(tree, indent=1, ensure_ascii=True, separators=(" ,", " : ")).encode()) == tree


@given(OBJECTS, st.text(max_size=4), JSON, JSON)
def test_a_key_that_occurs_twice_is_refused(tree: dict[str, object], key: str, first: object, second: object) -> None:
    rest = "".join(f",{json.dumps(k)}:{json.dumps(v)}" for k, v in tree.items() if k != key)
    name = json.dumps(key)
    text = f"{{{name}:{json.dumps(first)},{name} :{json.dumps(second)}{rest}}}"
    assert refusal(text.encode()).status == 400


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ('{"resourceType":"Patient","name":[{"a":1},{"use":"x","use":"y"}]}', ["Patient.name[1].use"]),
        ('{"a":{"b":1,"c":{"d":1,"d":1}},"x":[{"y":1,"y":2}]}', ["a.c.d", "x[0].y"]),
        ('{"a":1,"a":"\\u003a"}', ["a"]),
        ('{"a":1,"\\u0061":2}', ["a"]),
        ('{"John Smith":1,"John Smith":2}', ["(other)"]),
    ],
)
def test_the_refusal_says_where_the_key_is(text: str, paths: list[str]) -> None:
    assert [issue.expression for issue in refusal(text.encode()).issues] == paths


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e400}',
        b'{"a":' + b"9" * 400 + b"}",
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":1,}',
        b'{"a":1} x',
        b"[]",
        b'"text"',
        b"null",
    ],
)
def test_what_is_not_a_json_object_in_utf8_is_refused(raw: bytes) -> None:
    assert refusal(raw).status == 400


def test_a_syntax_error_tells_the_place_and_not_the_content() -> None:
    text = refusal(b'{"name":\n "Jane Doe" oops}').issues[0].diagnostics
    assert "line 2" in text
    assert "Jane" not in text
    assert "oops" not in text


def test_too_long_a_body_is_413() -> None:
    assert refusal(b'{"a":"' + b"x" * 100 + b'"}', max_bytes=50).status == 413


@pytest.mark.parametrize("levels", [65, 300, 5_000])
def test_too_deep_nesting_is_refused(levels: int) -> None:
    assert refusal(b'{"a":' * levels + b"1" + b"}" * levels).status == 400
    assert refusal(b'{"a":' + b"[" * levels + b"1" + b"]" * levels + b"}").status == 400


def test_the_depth_limit_itself_is_accepted() -> None:
    assert parse(b'{"a":' * 64 + b"1" + b"}" * 64)
    assert parse(b'{"a":' * 3 + b"1" + b"}" * 3, max_depth=3)
    assert refusal(b'{"a":' * 4 + b"1" + b"}" * 4, max_depth=3).status == 400


def test_text_that_looks_like_an_indent_is_not_depth() -> None:
    assert parse(orjson.dumps({"a": "\n" + " " * 1000}))
