"""Values as PostgreSQL's binary protocol carries them: four kinds, and arrays of them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal

INT8, TEXT, BYTEA, FLOAT8 = 20, 25, 17, 701

Kind = Literal["bigint", "text", "bytea", "double precision"]

_ELEMENTS: dict[Kind, int] = {"bigint": INT8, "text": TEXT, "bytea": BYTEA, "double precision": FLOAT8}
_ARRAYS: dict[Kind, int] = {"bigint": 1016, "text": 1009, "bytea": 1001, "double precision": 1022}
_pack_int = struct.Struct(">q").pack
_pack_float = struct.Struct(">d").pack
_pack_int_element = struct.Struct(">iq").pack
_pack_float_element = struct.Struct(">id").pack
_pack_length = struct.Struct(">i").pack
_pack_header = struct.Struct(">iiIii").pack
_ABSENT = _pack_length(-1)


@dataclass(frozen=True, slots=True)
class Array:
    """One column of many rows; `None` among texts and bytes is NULL."""

    kind: Kind
    values: Sequence[Any]


def type_of(value: Any) -> int:
    """The type that a statement is prepared for; 0 leaves it to the statement, for a None."""
    if isinstance(value, Array):
        return _ARRAYS[value.kind]
    return next((oid for kind, oid in _TYPES.items() if isinstance(value, kind)), 0)


def encoded(values: Sequence[Any]) -> list[bytes | None]:
    """The bytes of each value."""
    return [_ENCODERS[type(value)](value) for value in values]


def _array(array: Array) -> bytes:
    header = _pack_header(1, int(None in array.values), _ELEMENTS[array.kind], len(array.values), 1)
    if not array.values:
        return _pack_header(0, 0, _ELEMENTS[array.kind], 0, 0)[:12]
    match array.kind:
        case "bigint":
            elements: Iterable[bytes] = map(_pack_int_element, repeat(8), array.values)
        case "double precision":
            elements = map(_pack_float_element, repeat(8), array.values)
        case "text":
            elements = (_element(None if value is None else _text(value)) for value in array.values)
        case "bytea":
            elements = map(_element, array.values)
    return header + b"".join(elements)


def _element(value: bytes | None) -> bytes:
    return _ABSENT if value is None else _pack_length(len(value)) + value


def _text(value: str) -> bytes:
    # PostgreSQL has no text with a zero byte; stored bodies are bytes and keep theirs.
    return value.replace("\0", "\ufffd").encode()


class _Encoders(dict[type, Callable[[Any], bytes | None]]):
    """How each type is encoded; a subclass, such as an enumeration, as what it is."""

    def __missing__(self, kind: type) -> Callable[[Any], bytes | None]:
        self[kind] = next(encoder for base, encoder in self.items() if issubclass(kind, base))
        return self[kind]


_TYPES: dict[type, int] = {int: INT8, str: TEXT, bytes: BYTEA, float: FLOAT8}
_ENCODERS = _Encoders(
    {
        int: _pack_int,
        str: _text,
        bytes: bytes,
        float: _pack_float,
        type(None): lambda _: None,
        Array: _array,
    }
)
