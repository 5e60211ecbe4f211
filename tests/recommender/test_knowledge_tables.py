"""The reviewed tables hold what the published programme asks for, each row with its source."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import pytest

from recommender import knowledge
from recommender.exercise_catalogue import catalogue, group_titles
from recommender.policy import plan_policy

SOURCED = [
    "instruments",
    "scores",
    "exercises",
    "exercise_groups",
    "education",
    "education_themes",
    "education_triggers",
    "red_flags",
    "red_flag_tiers",
    "pain_first_aid",
]


@pytest.mark.parametrize("name", SOURCED)
def test_every_row_names_its_source_and_how_certain_it_is(name: str) -> None:
    rows = knowledge.table(name)
    assert rows
    assert all(row["source"].strip() and row["certainty"].strip() for row in rows)


@pytest.mark.parametrize("name", [*SOURCED, "plan_texts"])
def test_first_columns_identify_a_row(name: str) -> None:
    key = {"scores": "code", "education_triggers": "signal"}.get(name)
    ids = [row[key] if key else next(iter(row.values())) for row in knowledge.table(name)]
    assert len(ids) == len(set(ids))


def test_every_plan_rule_names_its_source_and_certainty() -> None:
    assert all(rule["source"] and rule["certainty"] for rule in plan_policy().rules.values())


def test_exercises_cover_the_six_published_groups() -> None:
    assert set(group_titles()) == {
        "abdominals",
        "back-extensors",
        "core-stability",
        "gluteal-hip",
        "flexibility",
        "pain-relief",
    }
    assert {exercise.group for exercise in catalogue().values()} == set(group_titles())


def test_every_group_has_two_exercises_on_each_of_three_levels_and_no_gap() -> None:
    """Two, so that one that cannot be done has a stand-in."""
    levels: dict[str, Counter[int]] = defaultdict(Counter)
    for exercise in catalogue().values():
        levels[exercise.group][exercise.level] += 1
    for group, counts in levels.items():
        assert set(counts) == set(range(1, max(counts) + 1)), group
        assert max(counts) >= 3
        assert all(counts[level] >= 2 for level in (1, 2, 3)), group


def test_instructions_are_two_to_four_short_sentences() -> None:
    for exercise in catalogue().values():
        sentences = re.findall(r"[^.!?]+[.!?]", exercise.how_to)
        assert 2 <= len(sentences) <= 4, exercise.id
        assert all(len(sentence.split()) <= 20 for sentence in sentences), exercise.id
        assert exercise.caution


def test_education_covers_the_fourteen_published_themes() -> None:
    themes = {row["theme"] for row in knowledge.table("education_themes")}
    assert len(themes) == 14
    assert {row["theme"] for row in knowledge.table("education")} == themes
    assert {row["theme"] for row in knowledge.table("education_triggers")} <= themes


def test_education_lasts_for_the_weeks_without_repeats() -> None:
    """The week itself and the weeks remembered must find seven messages each."""
    policy = plan_policy()
    weeks = 1 + policy.whole("education.weekly", "memory_weeks")
    assert len(knowledge.table("education")) >= weeks * policy.whole("education.weekly", "messages")


def test_quiz_has_an_answer_and_says_why() -> None:
    for row in knowledge.table("education"):
        assert bool(row["quiz"]) == bool(row["quiz_answer"]) == bool(row["quiz_explanation"]), row["message"]
        assert row["quiz_answer"] in ("", "true", "false")


def test_trigger_reads_an_item_and_an_answer_of_the_weekly_check_in() -> None:
    items = {item["linkId"]: item for item in knowledge.instrument("weekly-check-in")["item"]}
    for row in knowledge.table("education_triggers"):
        options = [o["valueCoding"]["code"] for o in items[row["item"]].get("answerOption", ())]
        assert not options or row["answer"] in options
        assert knowledge.text(f"signal.{row['signal']}")


def test_every_safety_question_has_a_row_and_every_row_a_question() -> None:
    asked = {
        ("red-flag-screen", i["linkId"])
        for i in knowledge.instrument("red-flag-screen")["item"]
        if i["type"] == "choice"
    }
    rows = {(row["instrument"], row["link_id"]) for row in knowledge.table("red_flags")}
    assert rows == asked | {("weekly-check-in", "week-warning-signs")}


def test_tiers_used_are_tiers_with_advice() -> None:
    tiers = {row["tier"] for row in knowledge.table("red_flag_tiers")}
    for row in knowledge.table("red_flags"):
        assert {row["tier"], row["tier_if_unsure"]} <= tiers


def test_exercise_times_offered_have_a_number_of_sets() -> None:
    item = next(i for i in knowledge.instrument("goals")["item"] if i["linkId"] == "minutes-per-session")
    for option in item["answerOption"]:
        assert plan_policy().whole("exercise.dose", f"sets_{option['valueCoding']['code']}") >= 1


def test_unknown_instrument_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        knowledge.instrument("../plan_rules")
