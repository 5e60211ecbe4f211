"""The red-flag screen sends people to the right place and never reads silence as no."""

from __future__ import annotations

import pytest
from evidence_builders import all_no, answered, check_in
from hypothesis import given
from hypothesis import strategies as st

from recommender import knowledge
from recommender.errors import UnansweredItem, UnfinishedResponse, UnknownInstrument
from recommender.red_flags import screen

RANK = {"emergency": 1, "urgent": 2, "soon": 3}
LINKS = list(all_no())


def test_all_no_has_no_flags() -> None:
    assert screen(answered("red-flag-screen", all_no())) == []


@pytest.mark.parametrize(
    ("item", "tier"),
    [
        ("bladder_bowel", "emergency"),
        ("saddle_numbness", "emergency"),
        ("progressive_weakness", "urgent"),
        ("fever_unwell", "urgent"),
        ("cancer_history", "soon"),
        ("morning_stiffness", "soon"),
    ],
)
def test_yes_leads_to_the_published_action_tier(item: str, tier: str) -> None:
    (flag,) = screen(answered("red-flag-screen", all_no(**{item: "yes"})))
    assert flag.tier == tier


def test_emergency_advice_says_now_and_where_to_go() -> None:
    (flag,) = screen(answered("red-flag-screen", all_no(saddle_numbness="yes")))
    assert "999" in flag.advice
    assert "112" in flag.advice


@pytest.mark.parametrize("link_id", LINKS)
def test_not_sure_is_never_taken_for_no(link_id: str) -> None:
    (flag,) = screen(answered("red-flag-screen", all_no() | {link_id: "unsure"}))
    assert flag.unsure
    assert flag.link_id == link_id


def test_not_sure_about_both_legs_is_urgent_where_yes_is_an_emergency() -> None:
    (sure,) = screen(answered("red-flag-screen", all_no(both_legs="yes")))
    (unsure,) = screen(answered("red-flag-screen", all_no(both_legs="unsure")))
    assert (sure.tier, unsure.tier) == ("emergency", "urgent")


@pytest.mark.parametrize("link_id", LINKS)
def test_question_without_an_answer_is_an_error(link_id: str) -> None:
    answers = all_no()
    del answers[link_id]
    with pytest.raises(UnansweredItem) as caught:
        screen(answered("red-flag-screen", answers))
    assert caught.value.link_id == link_id


@given(st.fixed_dictionaries({link: st.sampled_from(["yes", "no", "unsure"]) for link in LINKS}))
def test_every_answer_but_no_is_a_flag_and_the_most_pressing_comes_first(answers: dict[str, str]) -> None:
    flags = screen(answered("red-flag-screen", answers))
    assert {flag.link_id for flag in flags} == {link for link, answer in answers.items() if answer != "no"}
    assert [RANK[flag.tier] for flag in flags] == sorted(RANK[flag.tier] for flag in flags)


def test_warning_sign_in_the_weekly_questions_is_a_flag() -> None:
    (flag,) = screen(check_in(warning_signs=True))
    assert flag.tier == "urgent"
    assert screen(check_in()) == []


def test_advice_neither_diagnoses_nor_gives_an_all_clear() -> None:
    for row in knowledge.table("red_flag_tiers"):
        assert not any(word in row["advice"].lower() for word in ("you have", "diagnos", "all clear", "harmless"))


def test_unfinished_screen_is_refused() -> None:
    with pytest.raises(UnfinishedResponse):
        screen(answered("red-flag-screen", all_no()) | {"status": "in-progress"})


def test_response_to_a_foreign_questionnaire_is_refused() -> None:
    with pytest.raises(UnknownInstrument):
        screen(answered("red-flag-screen", all_no()) | {"questionnaire": "http://example.org/Questionnaire/x"})
