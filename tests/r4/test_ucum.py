"""Units by the grammar of UCUM, beside the codes that the specification itself uses."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import example_texts, needs_r4

from gateway.r4.ucum import MAX_LENGTH, SYSTEM, is_unit

# Codes in official examples that are not UCUM: a tablet, a drop and an "each".
NOT_UCUM = {"tbl", "drop", "ea"}


@pytest.mark.parametrize(
    "unit",
    [
        "kg", "mm[Hg]", "cm[H2O]", "10*3/uL", "10*-3", "10^9/L", "{steps}/d", "{steps}", "/min", "m/s2", "%", "[degF]",
        "ug/(24.h)", "kg/m2", "mL/min/{1.73_m2}", "1/m", "1", "cal_[15]", "kcal_[15]", "B[10.nV]", "[IU]/L", "k[IU]/L",
        "s-1", "mo", "a_j", "mol/(kg.s)", "kat/kg{wet}", "m[iU]/mL", "dB[SPL]", "g%", "[in_i'H2O]", "'", "''",
        "MiBy", "2.m", "((m))", "/(m.s)", "%{saturation}", "daL",
    ],
)  # fmt: skip
def test_a_unit(unit: str) -> None:
    assert is_unit(unit)


@pytest.mark.parametrize(
    "text",
    ["", "Kg", "steps", "beats/min", "celsius", " kg", "kg ", "(kg", "kg)", "kg//m", "kg.", "m^2", "°C", "µg", "{a}{b}",
     "k[in_i]", "kmin", "{", "}", "()", "m+", "mm Hg", "k", "hg[", "[foo]", "1e3", "Ki"],
)  # fmt: skip
def test_no_unit(text: str) -> None:
    assert not is_unit(text)


def test_a_very_long_text_is_no_unit() -> None:
    assert is_unit(".".join(["m"] * (MAX_LENGTH // 2)))
    assert not is_unit(".".join(["m"] * MAX_LENGTH))


UNITS = st.recursive(
    st.sampled_from(["m", "kg", "mm[Hg]", "10*", "{dose}", "7", "s-2", "[IU]", "L{plasma}"]),
    lambda inner: st.tuples(inner, st.sampled_from("./"), inner).map("".join) | inner.map(lambda unit: f"({unit})"),
    max_leaves=12,
)


@given(UNITS)
def test_products_quotients_and_brackets_of_units_are_units(unit: str) -> None:
    assert is_unit(unit)
    assert is_unit("/" + unit)
    assert not is_unit(unit + ".")
    assert not is_unit(unit + ")")


@given(st.text(max_size=40))
def test_any_text_gets_an_answer(text: str) -> None:
    assert is_unit(text) in (True, False)


@needs_r4
def test_the_units_of_the_official_examples_are_units() -> None:
    found: set[str] = set()
    for text in example_texts().values():
        _collect(orjson.loads(text), found)
    assert len(found) > 40
    assert {code for code in found if not is_unit(code)} == NOT_UCUM


def _collect(node: Any, found: set[str]) -> None:
    if isinstance(node, dict):
        if node.get("system") == SYSTEM and isinstance(node.get("code"), str):
            found.add(node["code"])
        if node.get("system") == SYSTEM:
            found.update(each["code"] for each in node.get("concept", ()) if "code" in each)
        for value in node.values():
            _collect(value, found)
    elif isinstance(node, list):
        for item in node:
            _collect(item, found)
