"""Scores of questionnaires: published rules, ranges, and what happens to missing and wrong answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from evidence_builders import PATIENT, QUIET_WEEK, answered, check_in
from hypothesis import given
from hypothesis import strategies as st

from gateway.r4.validate import Validator
from recommender import knowledge
from recommender.errors import (
    AnswerError,
    InvalidAnswer,
    MissingElement,
    RepeatedAnswer,
    UnfinishedResponse,
    UnknownInstrument,
    UnknownItem,
    WrongQuestionnaire,
)
from recommender.score import Score, observations, score

FREQUENCIES = ("not-at-all", "several-days", "more-than-half", "nearly-every-day")
RMDQ = [f"rmdq-{number:02d}" for number in range(1, 25)]


def scores_of(name: str, answers: dict[str, Any]) -> dict[str, Score]:
    response = answered(name, answers)
    return {item.rule.code: item for item in score(knowledge.instrument(name), response)}


def roland(yes: Sequence[bool]) -> Decimal | None:
    return scores_of("rmdq-24", dict(zip(RMDQ, yes, strict=False)))["rmdq-24"].value


def phq(levels: Sequence[int | None]) -> Score:
    answers = {f"phq-{n}": FREQUENCIES[level] for n, level in enumerate(levels, 1) if level is not None}
    return scores_of("phq-8", answers)["phq-8"]


def test_twenty_four_yes_is_a_roland_morris_score_of_24() -> None:
    assert roland([True] * 24) == 24


def test_a_roland_morris_statement_left_blank_counts_as_no() -> None:
    assert roland([True] * 10) == 10


def test_a_roland_morris_form_left_blank_is_no_score_of_zero() -> None:
    assert roland([]) is None


@given(st.lists(st.booleans(), min_size=24, max_size=24), st.randoms(use_true_random=False))
def test_roland_morris_is_the_number_of_yes_in_any_order(yes: list[bool], random: Any) -> None:
    shuffled = random.sample(yes, len(yes))
    assert roland(yes) == roland(shuffled) == sum(yes)


@given(st.lists(st.booleans(), min_size=24, max_size=24), st.integers(0, 23))
def test_one_more_yes_never_lowers_the_roland_morris(yes: list[bool], item: int) -> None:
    before, after = roland(yes), roland([*yes[:item], True, *yes[item + 1 :]])
    assert before is not None
    assert after is not None
    assert before <= after <= before + 1


@pytest.mark.parametrize(
    ("levels", "value", "band"),
    [
        ([0] * 8, 0, "none or minimal"),
        ([1] * 4 + [0] * 4, 4, "none or minimal"),
        ([1] * 5 + [0] * 3, 5, "mild"),
        ([2] * 5 + [0] * 3, 10, "moderate"),
        ([2] * 7 + [1], 15, "moderately severe"),
        ([3] * 6 + [2, 0], 20, "severe"),
        ([3] * 8, 24, "severe"),
    ],
)
def test_phq_8_total_and_band_at_the_published_cut_offs(levels: list[int], value: int, band: str) -> None:
    result = phq(levels)
    assert (result.value, result.band) == (value, band)


def test_phq_8_with_two_missing_is_prorated_and_rounded_half_up() -> None:
    assert phq([2, 2, 2, 1, 1, 1, None, None]).value == 12  # 9 x 8 / 6
    assert phq([2, 2, 2, 2, 1, 1, None, None]).value == 13  # 10 x 8 / 6 = 13.33
    assert phq([1, 1, 1, 1, 0, 0, 0, None]).value == 5  # 4 x 8 / 7 = 4.57


def test_phq_8_with_three_missing_has_no_score() -> None:
    assert phq([3, 3, 3, 3, 3, None, None, None]).value is None


@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=8, max_size=8))
def test_phq_8_stays_in_its_range_and_ignores_the_order(levels: list[int | None]) -> None:
    value = phq(levels).value
    assert value == phq(levels[::-1]).value
    assert value is None or 0 <= value <= 24


@given(st.lists(st.integers(0, 3), min_size=8, max_size=8), st.integers(0, 7))
def test_a_worse_answer_never_lowers_the_phq_8(levels: list[int], item: int) -> None:
    worse = [*levels[:item], min(levels[item] + 1, 3), *levels[item + 1 :]]
    before, after = phq(levels).value, phq(worse).value
    assert before is not None
    assert after is not None
    assert before <= after


@pytest.mark.parametrize(
    ("ratings", "mean"), [([7], "7"), ([4, 5], "4.5"), ([3, 4, 6], "4.33"), ([5, 6, 6], "5.67"), ([0, 0, 0], "0")]
)
def test_psfs_is_the_mean_of_the_activities_that_were_rated(ratings: list[int], mean: str) -> None:
    answers: dict[str, Any] = {}
    for number, rating in enumerate(ratings, 1):
        answers |= {f"psfs-{number}-activity": "tying shoes", f"psfs-{number}-rating": rating}
    assert scores_of("psfs", answers)["psfs-mean"].value == Decimal(mean)


def test_pain_scores_are_the_answers_themselves() -> None:
    scores = scores_of("pain-nrs", {"pain-average": 6, "pain-worst": 9})
    assert (scores["pain-nrs-average"].value, scores["pain-nrs-worst"].value) == (6, 9)


def test_one_unanswered_pain_question_leaves_the_other_scored() -> None:
    scores = scores_of("pain-nrs", {"pain-worst": 9})
    assert (scores["pain-nrs-average"].value, scores["pain-nrs-worst"].value) == (None, 9)


def test_weekly_check_in_gives_five_scores() -> None:
    scores = scores_of("weekly-check-in", QUIET_WEEK)
    values = {code: item.value for code, item in scores.items()}
    assert values == {"week-pain": 4, "week-function": 6, "week-confidence": 7, "week-sleep": 2, "week-mood": 2}


def test_instrument_without_a_score_has_none() -> None:
    assert scores_of("goals", {"goal-text": "walk", "sessions-per-week": 3}) == {}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"valueInteger": 11}, InvalidAnswer),
        ({"valueInteger": -1}, InvalidAnswer),
        ({"valueInteger": True}, InvalidAnswer),
        ({"valueDecimal": 3.5}, InvalidAnswer),
        ({"valueString": "3"}, InvalidAnswer),
        ({}, InvalidAnswer),
    ],
)
def test_wrong_pain_answer_is_refused_by_its_link_id(answer: dict[str, Any], error: type[AnswerError]) -> None:
    response = answered("pain-nrs", {"pain-worst": 9})
    response["item"].append({"linkId": "pain-average", "answer": [answer]})
    with pytest.raises(error) as caught:
        score(knowledge.instrument("pain-nrs"), response)
    assert caught.value.link_id == "pain-average"


@pytest.mark.parametrize(
    "coding", [{"system": "http://example.org/other", "code": "not-at-all"}, {"code": "not-at-all"}, "not-at-all"]
)
def test_option_of_another_code_system_is_refused(coding: Any) -> None:
    response = answered("phq-8", {})
    response["item"].append({"linkId": "phq-1", "answer": [{"valueCoding": coding}]})
    with pytest.raises(InvalidAnswer):
        score(knowledge.instrument("phq-8"), response)


def test_unknown_item_is_named() -> None:
    response = answered("pain-nrs", {"pain-average": 3})
    response["item"][0]["linkId"] = "pain-tomorrow"
    with pytest.raises(UnknownItem, match="pain-tomorrow"):
        score(knowledge.instrument("pain-nrs"), response)


def test_instruction_takes_no_answer() -> None:
    response = answered("phq-8", {})
    response["item"].append({"linkId": "phq-intro", "answer": [{"valueString": "thanks"}]})
    with pytest.raises(InvalidAnswer):
        score(knowledge.instrument("phq-8"), response)


@pytest.mark.parametrize("twice", ["two answers", "two items"])
def test_answer_given_twice_is_refused(twice: str) -> None:
    response = answered("pain-nrs", {"pain-average": 3})
    if twice == "two answers":
        response["item"][0]["answer"].append({"valueInteger": 4})
    else:
        response["item"].append(response["item"][0])
    with pytest.raises(RepeatedAnswer):
        score(knowledge.instrument("pain-nrs"), response)


def test_errors_never_repeat_an_answer() -> None:
    """Errors reach logs; answers are health data."""
    response = answered("pain-nrs", {})
    response["item"].append({"linkId": "pain-average", "answer": [{"valueString": "my secret"}]})
    with pytest.raises(InvalidAnswer) as caught:
        score(knowledge.instrument("pain-nrs"), response)
    assert "secret" not in str(caught.value)


def test_unfinished_response_is_not_scored() -> None:
    response = answered("pain-nrs", {"pain-average": 3}) | {"status": "in-progress"}
    with pytest.raises(UnfinishedResponse):
        score(knowledge.instrument("pain-nrs"), response)


@pytest.mark.parametrize("version", ["|0.9.0", "|2.0.0"])
def test_response_to_another_version_is_not_scored(version: str) -> None:
    response = answered("pain-nrs", {"pain-average": 3})
    response["questionnaire"] = knowledge.instrument("pain-nrs")["url"] + version
    with pytest.raises(WrongQuestionnaire):
        score(knowledge.instrument("pain-nrs"), response)


def test_questionnaire_we_do_not_know_is_refused() -> None:
    foreign = knowledge.instrument("pain-nrs") | {"url": "http://example.org/Questionnaire/x"}
    with pytest.raises(UnknownInstrument):
        score(foreign, answered("pain-nrs", {}))


def made(response: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return observations(score(knowledge.instrument(name), response), response)


@pytest.mark.parametrize(
    "response",
    [
        check_in(),
        answered("rmdq-24", {"rmdq-01": True}),
        answered("psfs", {"psfs-1-activity": "run", "psfs-1-rating": 4}),
        answered("phq-8", {"phq-1": "several-days"}),
        answered("pain-nrs", {"pain-average": 6}),
    ],
    ids=lambda response: response["questionnaire"].rpartition("/")[2],
)
def test_score_observations_are_valid_r4_and_name_their_method(response: dict[str, Any]) -> None:
    name = response["questionnaire"].rpartition("/")[2].partition("|")[0]
    validator = Validator()
    for observation in made(response, name):
        assert validator.validate(observation, "Observation") == []
        assert observation["subject"] == {"reference": PATIENT}
        assert observation["effectiveDateTime"] == response["authored"]
        assert observation["derivedFrom"] == [{"reference": f"QuestionnaireResponse/{response['id']}"}]
        assert f"{name}|1.0.0" in observation["note"][0]["text"]
        assert "backbridge-score|1.0.0" in observation["note"][0]["text"]
        assert observation["method"]["text"]


def test_score_that_cannot_be_computed_says_so_and_has_no_value() -> None:
    (observation,) = made(answered("phq-8", {"phq-1": "several-days"}), "phq-8")
    assert "valueQuantity" not in observation
    assert observation["dataAbsentReason"]["coding"][0]["code"] == "asked-unknown"


def test_scoring_again_gives_the_same_observations_with_the_same_identifiers() -> None:
    first, second = made(check_in(), "weekly-check-in"), made(check_in(), "weekly-check-in")
    assert first == second
    assert len({observation["identifier"][0]["value"] for observation in first}) == len(first)


def test_pain_carries_the_loinc_code_beside_the_local_one() -> None:
    average, worst = made(answered("pain-nrs", {"pain-average": 6, "pain-worst": 8}), "pain-nrs")
    assert "72514-3" in {coding["code"] for coding in average["code"]["coding"]}
    assert len(worst["code"]["coding"]) == 1


def test_band_is_given_with_its_source() -> None:
    (observation,) = made(answered("rmdq-24", dict.fromkeys(RMDQ, True)), "rmdq-24")
    assert "NCT03798288" in observation["interpretation"][0]["text"]


@pytest.mark.parametrize("element", ["id", "subject", "authored"])
def test_response_must_say_what_it_is_whose_and_when(element: str) -> None:
    response = answered("pain-nrs", {"pain-average": 3})
    scores = score(knowledge.instrument("pain-nrs"), response)
    del response[element]
    with pytest.raises(MissingElement, match=element):
        observations(scores, response)


def test_scoring_loads_no_fhir_models_and_no_pandas() -> None:
    """Gateway processes import the scores; the models and data frames belong to the job child."""
    program = (
        "import sys, recommender.score, recommender.red_flags;"
        "print([m for m in ('fhir', 'pydantic', 'pandas', 'numpy', 'gateway') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
