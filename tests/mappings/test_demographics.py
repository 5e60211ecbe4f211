"""NHS numbers: published examples, and properties of modulus 11 that any implementation must have."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.demographics import NotAnNHSNumber, check_digit, is_synthetic, masked, nhs_number, written

# Test patients of the NHS Personal Demographics Service sandbox, and a passing BaRS booking example.
VALID = ("9000000009", "9000000025", "9000000033", "9111231130", "9693632109", "9733162043", "9476719931")
# Numbers in official referral examples that fail the check, and the sandbox's own invalid ones.
INVALID = ("3478526985", "7778521234", "4857773456", "9000000000", "9000000001")
PDS_EXAMPLES = Path(__file__).parents[3] / "shared" / "data" / "nhs" / "pds-examples-shared.tar.xz"

nine_digits = st.text("0123456789", min_size=9, max_size=9)


@pytest.mark.parametrize("number", VALID)
def test_published_nhs_numbers_are_accepted(number: str) -> None:
    assert nhs_number(number) == number


@pytest.mark.parametrize("number", INVALID)
def test_published_counterexamples_are_refused_for_their_check_digit(number: str) -> None:
    with pytest.raises(NotAnNHSNumber) as refusal:
        nhs_number(number)
    assert refusal.value.code == "check-digit"


@pytest.mark.parametrize("text", ["900 000 0009", " 900-000-0009 ", "900\u2011000\u20110009"])
def test_spaces_and_hyphens_do_not_matter(text: str) -> None:
    assert nhs_number(text) == "9000000009"


@pytest.mark.parametrize("text", ["", "900000000", "90000000091", "900000000X", "٩٠٠٠٠٠٠٠٠٩"])
def test_anything_but_ten_digits_is_refused_for_its_length(text: str) -> None:
    with pytest.raises(NotAnNHSNumber) as refusal:
        nhs_number(text)
    assert refusal.value.code == "length"


def test_a_number_of_a_reserved_range_is_refused() -> None:
    reserved = "500000000" + str(check_digit("500000000"))
    with pytest.raises(NotAnNHSNumber) as refusal:
        nhs_number(reserved)
    assert refusal.value.code == "not-issued"


@given(nine_digits)
def test_the_weighted_sum_of_a_number_with_its_check_digit_is_divisible_by_11(nine: str) -> None:
    """The published rule says it with a subtraction; divisibility is the same fact computed differently."""
    digit = check_digit(nine)
    sums = [sum((10 - at) * int(d) for at, d in enumerate(nine)) + last for last in range(10)]
    fitting = [last for last, total in enumerate(sums) if total % 11 == 0]
    assert fitting == ([] if digit is None else [digit])


@given(nine_digits, st.integers(0, 9), st.integers(1, 9))
def test_one_mistyped_digit_is_always_noticed(nine: str, place: int, shift: int) -> None:
    digit = check_digit(nine)
    if digit is None:
        return
    number = nine + str(digit)
    wrong = number[:place] + str((int(number[place]) + shift) % 10) + number[place + 1 :]
    assert check_digit(wrong[:9]) != int(wrong[9])


@given(nine_digits, st.integers(0, 8))
def test_two_neighbours_in_the_wrong_order_are_always_noticed(nine: str, place: int) -> None:
    digit = check_digit(nine)
    if digit is None:
        return
    number = nine + str(digit)
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    if swapped != number:
        assert check_digit(swapped[:9]) != int(swapped[9])


@given(st.sampled_from(VALID))
def test_a_written_number_reads_back_and_a_masked_one_does_not(number: str) -> None:
    assert nhs_number(written(number)) == number
    assert number[:6] not in masked(number)
    assert masked(number).endswith(number[-4:])


def test_the_error_never_holds_the_number() -> None:
    with pytest.raises(NotAnNHSNumber) as refusal:
        nhs_number("3478526985")
    assert "3478526985" not in str(refusal.value)


def test_test_numbers_are_known_as_synthetic_and_real_ranges_are_not() -> None:
    assert is_synthetic("9000000009")
    assert not is_synthetic("4857773457")


def test_every_nhs_number_in_the_pds_examples_is_synthetic_and_passes_the_check() -> None:
    if not PDS_EXAMPLES.exists():
        pytest.skip("the shared NHS examples are not here")
    with tarfile.open(PDS_EXAMPLES) as archive:
        texts = [archive.extractfile(m).read().decode() for m in archive if m.isfile() and m.name.endswith(".json")]
    found = {value for text in texts for value in _nhs_numbers(json.loads(text))}
    assert found
    for number in found:
        assert nhs_number(number) == number
        assert is_synthetic(number)


def _nhs_numbers(node: object) -> list[str]:
    if isinstance(node, list):
        return [value for each in node for value in _nhs_numbers(each)]
    if not isinstance(node, dict):
        return []
    own = [str(node["value"])] if node.get("system") == "https://fhir.nhs.uk/Id/nhs-number" and "value" in node else []
    return own + [value for each in node.values() for value in _nhs_numbers(each)]
