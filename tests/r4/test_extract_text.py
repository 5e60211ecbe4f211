"""Text as it is compared."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.r4.extract_text import MAX_CHARS, normalised


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@given(st.text())
def test_case_does_not_matter(text: str) -> None:
    folded = text.casefold()
    assert normalised(folded) == normalised(text)


@given(st.text(max_size=60), st.text(max_size=60))
def test_normal_form_has_no_runs_of_whitespace_and_bounded_length(first: str, second: str) -> None:
    normal = normalised(f"{first} \t\n {second}")
    assert "  " not in normal
    assert normal == normal.strip()
    assert len(normalised(first * 100)) <= MAX_CHARS


def test_accents_ligatures_and_sharp_s_are_folded() -> None:
    assert normalised("Łódź ÉCOLE Straße İ ﬁn") == "lodz ecole strasse i fin"
