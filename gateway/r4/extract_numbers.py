"""Numbers and quantities as index values (R4 sections 3.1.1.4.6 and 3.1.1.4.11).

One row holds one number. A Range therefore gives its two ends and SampledData its smallest and largest
sample: greater than and less than are exact for them, equals finds the ends only. A value with a comparator
is moved to the next number on its side: `<5` is found by `lt5` and not by `ge5`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

Quantity = tuple[float, int, int]
Hash = Callable[[str], int]

_CURRENCIES = "urn:iso:std:iso:4217"
_UNITS = 1024
_BESIDE = {"<": -math.inf, ">": math.inf}


def _number(value: Any) -> Sequence[tuple[float]]:
    return ((float(value),),)


def _ends(value: Any) -> Sequence[tuple[float]]:
    ends = (value.get("low", {}).get("value"), value.get("high", {}).get("value"))
    return [(float(end),) for end in ends if end is not None]


NUMBER_CONVERTERS: dict[str, Callable[[Any], Sequence[tuple[float]]]] = {
    "decimal": _number,
    "integer": _number,
    "Range": _ends,
}


class QuantityConverters:
    """Converters to (value, unit, system) with one hash: by code, and by the unit's text where it differs."""

    def __init__(self, hash_token: Hash) -> None:
        self._unit: Hash = lru_cache(_UNITS)(lambda unit: hash_token("c" + unit))
        self._system: Hash = lru_cache(_UNITS)(lambda system: hash_token("s" + system))

    def of(self, type_name: str) -> Callable[[Any], Sequence[Quantity]]:
        """The converter of a type; raises KeyError when the type cannot be a quantity."""
        return {
            "Age": self._quantity,
            "Duration": self._quantity,
            "Money": self._money,
            "Quantity": self._quantity,
            "Range": self._range,
            "SampledData": self._samples,
        }[type_name]

    def _quantity(self, quantity: Any) -> Sequence[Quantity]:
        value = quantity.get("value")
        if value is None:
            return ()
        side = _BESIDE.get(quantity.get("comparator"))
        number = float(value) if side is None else math.nextafter(float(value), side)
        return [(number, unit, system) for unit, system in self._units(quantity)]

    def _units(self, quantity: Any) -> Sequence[tuple[int, int]]:
        code, unit, system = quantity.get("code"), quantity.get("unit"), quantity.get("system")
        found = []
        if code:
            found.append((self._unit(code), self._system(system) if system else 0))
        if unit and unit != code:
            found.append((self._unit(unit), 0))
        return found or ((0, 0),)

    def _money(self, money: Any) -> Sequence[Quantity]:
        value, currency = money.get("value"), money.get("currency")
        if value is None:
            return ()
        if not currency:
            return ((float(value), 0, 0),)
        return ((float(value), self._unit(currency), self._system(_CURRENCIES)),)

    def _range(self, value: Any) -> Sequence[Quantity]:
        ends = (value.get("low"), value.get("high"))
        return [row for end in ends if end is not None for row in self._quantity(end)]

    def _samples(self, sampled: Any) -> Sequence[Quantity]:
        numbers = list(_samples(sampled))
        if not numbers:
            return ()
        units = self._units(sampled["origin"])
        return [(number, *unit) for number in {min(numbers), max(numbers)} for unit in units]


def _samples(sampled: Any) -> Sequence[float]:
    """The values of the samples; E is a gap, U and L lie beyond the limits and count as the limits."""
    beyond = {"L": sampled.get("lowerLimit"), "U": sampled.get("upperLimit"), "E": None}
    raw = [beyond[word] if word in beyond else float(word) for word in sampled.get("data", "").split()]
    factor, origin = float(sampled.get("factor", 1)), float(sampled["origin"].get("value", 0))
    return [float(sample) * factor + origin for sample in raw if sample is not None]
