"""NHS numbers: check, write, mask (NHS Data Dictionary, NHS NUMBER: modulus 11; ranges in nhs_number_ranges.csv)."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

NHS_NUMBER_SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015]+")
_DIGITS = re.compile(r"[0-9]{10}\Z")
_WEIGHTS = range(10, 1, -1)


class NotAnNHSNumber(ValueError):
    """
    Not a valid NHS number; the number itself is never in the message.

    code  `length` (not ten digits), `check-digit`, or `not-issued` (a range that is never given to a person)
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"not an NHS number: {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class NumberRange:
    """A row of nhs_number_ranges.csv; both ends belong to it."""

    first: int
    last: int
    issuer: str
    is_issued: bool


def nhs_number(text: str) -> str:
    """
    The ten digits of an NHS number as somebody wrote it, with or without spaces and hyphens.

    Numbers of the synthetic range (999 and other 9...) are valid: fixtures and demonstrations use them.
    raises  NotAnNHSNumber
    """
    digits = _SEPARATORS.sub("", text)
    if not _DIGITS.match(digits):
        raise NotAnNHSNumber("length")
    if check_digit(digits[:9]) != int(digits[9]):
        raise NotAnNHSNumber("check-digit")
    found = range_of(digits)
    if found is None or not found.is_issued:
        raise NotAnNHSNumber("not-issued")
    return digits


def check_digit(nine_digits: str) -> int | None:
    """The tenth digit that belongs to nine; None where there is none, so that no such number exists."""
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, nine_digits, strict=True))
    digit = (11 - total % 11) % 11
    return None if digit == 10 else digit


def range_of(digits: str) -> NumberRange | None:
    """The range that ten digits lie in, or None."""
    number = int(digits)
    return next((each for each in _ranges() if each.first <= number <= each.last), None)


def is_synthetic(digits: str) -> bool:
    """Whether the number is of the range that is never given to a person and serves for tests."""
    found = range_of(digits)
    return found is not None and found.issuer == "synthetic"


def written(digits: str) -> str:
    """As it is shown to people: 3 3 4."""
    return f"{digits[:3]} {digits[3:6]} {digits[6:]}"


def masked(digits: str) -> str:
    """For places where a person only has to recognise the number: the last four digits."""
    return f"••• ••• {digits[6:]}"


@cache
def _ranges() -> tuple[NumberRange, ...]:
    with (Path(__file__).parent / "nhs_number_ranges.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        NumberRange(int(row["first"]), int(row["last"]), row["issuer"], row["issued"] == "yes") for row in rows
    )
