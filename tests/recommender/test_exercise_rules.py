"""Three exercises by the published rule, and levels that move one step at a time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.burden import Burden
from recommender.exercise_catalogue import catalogue, group_titles
from recommender.exercises import Chosen, GroupWeek, next_level, three_exercises
from recommender.policy import plan_policy
from recommender.suggest import by_lot

POLICY = plan_policy()
CALM = Burden()


def week(level: int, verdict: str | None, *, completed: bool = True, gap_days: int = 1) -> GroupWeek:
    return GroupWeek(level, (), verdict, (), completed, gap_days)


def level_after(weeks: Sequence[GroupWeek], burden: Burden = CALM) -> tuple[str, int]:
    return next_level(weeks, 4, burden, POLICY)


def test_first_time_starts_at_level_one() -> None:
    assert level_after([]) == ("exercise.start-level", 1)


def test_two_completed_easy_weeks_move_up() -> None:
    assert level_after([week(1, "easy"), week(1, "easy")]) == ("exercise.level-up", 2)


@pytest.mark.parametrize(
    "weeks",
    [
        [week(1, "easy")],
        [week(1, "easy"), week(1, "right")],
        [week(1, "easy"), week(1, "easy", completed=False)],
        [week(2, "easy"), week(1, "easy")],
        [week(1, "easy", gap_days=40), week(1, "easy", gap_days=47)],
        [week(1, None), week(1, None)],
        [week(4, "easy"), week(4, "easy")],
    ],
    ids=["one week", "one only right", "not completed", "just moved up", "long ago", "nothing said", "at the top"],
)
def test_level_stays(weeks: list[GroupWeek]) -> None:
    assert level_after(weeks) == ("exercise.level-hold", weeks[0].level)


@pytest.mark.parametrize("verdict", ["hard", "could-not"])
def test_one_week_too_hard_moves_down(verdict: str) -> None:
    assert level_after([week(3, verdict)]) == ("exercise.level-down", 2)


@pytest.mark.parametrize("burden", [Burden(pain_rise=2), Burden(flare_up=True)])
def test_more_pain_moves_down_even_after_easy_weeks(burden: Burden) -> None:
    assert level_after([week(2, "easy"), week(2, "easy")], burden) == ("exercise.level-down", 1)


def test_level_one_has_nothing_below() -> None:
    assert level_after([week(1, "could-not")]) == ("exercise.level-hold", 1)


weeks = st.builds(
    GroupWeek,
    level=st.integers(1, 3),
    exercises=st.just(()),
    verdict=st.sampled_from([None, "easy", "right", "hard", "could-not"]),
    failed=st.lists(st.sampled_from(sorted(catalogue())), max_size=8).map(tuple),
    completed=st.booleans(),
    gap_days=st.integers(0, 60),
)
histories = st.dictionaries(st.sampled_from(sorted(group_titles())), st.lists(weeks, max_size=4))
burdens = st.builds(Burden, st.integers(-10, 10), st.booleans())


def choose(history: dict[str, list[GroupWeek]], burden: Burden, seed: int) -> tuple[Chosen, ...]:
    suggest = by_lot("Patient/anna", "2026-11-23", seed)
    return three_exercises(history, burden=burden, suggest=suggest, policy=POLICY)


def keeps_the_published_rule(groups: list[str]) -> bool:
    """Sandal 2019, Table 1, as a predicate of its own."""
    pair = "abdominals" in groups and "back-extensors" in groups
    return len(groups) == len(set(groups)) == 3 and (pair or "core-stability" in groups)


@given(histories, burdens, st.integers(0, 10_000))
def test_any_history_gives_three_exercises_by_the_published_rule(
    history: dict[str, list[GroupWeek]], burden: Burden, seed: int
) -> None:
    assert keeps_the_published_rule([item.exercise.group for item in choose(history, burden, seed)])


@given(histories, burdens, st.integers(0, 10_000))
def test_level_moves_at_most_one_from_the_last_time(
    history: dict[str, list[GroupWeek]], burden: Burden, seed: int
) -> None:
    for item in choose(history, burden, seed):
        past = history.get(item.exercise.group) or []
        last = past[0].level if past else 1
        assert abs(item.exercise.level - last) <= (1 if past else 0)


@given(histories, st.integers(0, 10_000))
def test_more_pain_never_asks_for_a_higher_level(history: dict[str, list[GroupWeek]], seed: int) -> None:
    calm = {c.exercise.group: c.exercise.level for c in choose(history, CALM, seed)}
    heavy = {c.exercise.group: c.exercise.level for c in choose(history, Burden(pain_rise=3), seed)}
    assert calm.keys() == heavy.keys()
    assert all(heavy[group] <= calm[group] for group in calm)


@given(histories, st.integers(0, 10_000))
def test_every_exercise_explains_its_place_and_its_level(history: dict[str, list[GroupWeek]], seed: int) -> None:
    for item in choose(history, CALM, seed):
        rules = {explanation.rule for explanation in item.explanations}
        assert rules & {"exercise.composition", "exercise.flare-up"}
        assert any(rule.startswith(("exercise.level-", "exercise.start-level")) for rule in rules)


@given(st.integers(0, 10_000))
def test_flare_up_brings_pain_relief(seed: int) -> None:
    groups = [item.exercise.group for item in choose({}, Burden(flare_up=True), seed)]
    assert "pain-relief" in groups
    assert keeps_the_published_rule(groups)


@given(st.integers(0, 10_000), st.sampled_from(sorted(catalogue())))
def test_exercise_that_could_not_be_done_is_swapped(seed: int, failed: str) -> None:
    group, level = catalogue()[failed].group, min(catalogue()[failed].level, 3)
    past = GroupWeek(level, (failed,), "right", (failed,), True, 1)
    for item in choose({group: [past]}, CALM, seed):
        assert item.exercise.id != failed


def test_draw_reaches_every_exercise_of_level_one_and_both_structures() -> None:
    """The lot is fair enough to reach everything; a fixed choice would not be 'at random'."""
    seen = {item.exercise for seed in range(300) for item in choose({}, CALM, seed)}
    assert seen == {exercise for exercise in catalogue().values() if exercise.level == 1}
    firsts = {choose({}, CALM, seed)[0].exercise.group for seed in range(50)}
    assert firsts == {"abdominals", "core-stability"}


def test_new_row_in_the_catalogue_does_not_redraw_the_others() -> None:
    draw = by_lot("Patient/anna", "2026-11-23", 1)
    shorter = [c for c in draw("education", ["a", "b", "c", "d"]) if c != "b"]
    assert list(draw("education", ["a", "c", "d"])) == shorter
