"""The step goal follows the person's own week and never leaves its guard rails."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from statistics import median

import pytest
from evidence_builders import MONDAY
from hypothesis import given
from hypothesis import strategies as st

from recommender.burden import Burden
from recommender.evidence import StepDay
from recommender.policy import plan_policy
from recommender.step_goal import StepGoal, is_valid, step_goal

POLICY = plan_policy()
CALM, MORE_PAIN, FLARE_UP = Burden(), Burden(pain_rise=2), Burden(flare_up=True)


def days(*steps: int, wear_h: float | None = None) -> list[StepDay]:
    """Days before MONDAY; the last number is yesterday."""
    return [
        StepDay(MONDAY - timedelta(days=len(steps) - i), count, wear_h, f"Observation/{i}")
        for i, count in enumerate(steps)
    ]


def goal(
    week: list[StepDay], *, previous: int | None = None, baseline: int | None = None, burden: Burden = CALM
) -> StepGoal:
    return step_goal(week, start=MONDAY, previous=previous, baseline=baseline, burden=burden, policy=POLICY)


def rules(result: StepGoal) -> list[str]:
    return [explanation.rule for explanation in result.explanations]


def test_goal_met_on_five_days_goes_up_by_a_tenth() -> None:
    result = goal(days(6000, 6000, 6000, 6000, 6000, 4000, 4000), previous=6000, baseline=4000)
    assert (result.steps, rules(result)) == (5950, ["step.raise"])  # mean 5428.57 x 1.1 = 5971.4


def test_goal_met_on_four_days_becomes_the_own_average() -> None:
    result = goal(days(6000, 6000, 6000, 6000, 5000, 4000, 4000), previous=6000, baseline=4000)
    assert (result.steps, rules(result)) == (5300, ["step.hold"])  # mean 5285.7


def test_more_pain_lowers_the_goal_a_little() -> None:
    result = goal(days(*[6000] * 7), previous=6000, baseline=4000, burden=MORE_PAIN)
    assert (result.steps, rules(result)) == (5700, ["step.ease"])


def test_one_point_more_pain_changes_nothing() -> None:
    assert goal(days(*[6000] * 7), previous=6000, burden=Burden(pain_rise=1)).steps == 6600


def test_three_days_of_data_keep_the_old_goal() -> None:
    result = goal(days(9000, 9000, 9000), previous=6000)
    assert (result.steps, rules(result)) == (6000, ["step.keep"])


def test_first_week_without_data_starts_carefully_and_says_so() -> None:
    result = goal([])
    assert (result.steps, rules(result)) == (4000, ["step.first-week"])
    assert "do not know your usual steps" in result.explanations[0].text


def test_goal_stops_at_ten_thousand() -> None:
    result = goal(days(*[9900] * 7), previous=9000, baseline=5000)
    assert (result.steps, rules(result)) == (10000, ["step.raise", "step.limits"])


def test_goal_does_not_fall_below_the_floor() -> None:
    assert goal(days(*[600] * 7), previous=700).steps == 2000


def test_goal_is_not_set_below_the_own_starting_level() -> None:
    result = goal(days(*[3000] * 7), previous=5000, baseline=4980)
    assert (result.steps, rules(result)) == (5000, ["step.hold", "step.baseline"])


def test_named_flare_up_may_go_below_the_starting_level() -> None:
    assert goal(days(*[3000] * 7), previous=5000, baseline=4980, burden=FLARE_UP).steps == 2850


def test_somebody_who_always_walked_more_than_the_ceiling_keeps_their_level() -> None:
    assert goal(days(*[12010] * 14), previous=11000).steps == 12050


def test_starting_level_is_the_median_of_two_weeks() -> None:
    assert goal(days(1000, *[4000] * 8, *[7000] * 5)).baseline == 4000


def test_starting_level_of_an_earlier_plan_is_carried_on() -> None:
    assert goal(days(*[7000] * 14), baseline=3000).baseline == 3000


@pytest.mark.parametrize(
    ("steps", "wear_h", "valid"),
    [(499, None, False), (500, None, True), (200, 10.0, True), (9000, 9.9, False)],
)
def test_day_counts_when_worn_ten_hours_or_by_five_hundred_steps_of_a_phone(
    steps: int, wear_h: float | None, valid: bool
) -> None:
    assert is_valid(days(steps, wear_h=wear_h)[0], POLICY) is valid


def test_explanation_names_the_days_it_used() -> None:
    assert goal(days(*[5000] * 4)).explanations[0].inputs == tuple(f"Observation/{i}" for i in range(4))


counts = st.lists(st.integers(0, 40000), max_size=20)
burdens = st.builds(Burden, st.integers(-10, 10), st.booleans())
maybe_steps = st.one_of(st.none(), st.integers(0, 30000))


@given(counts, maybe_steps, maybe_steps, burdens)
def test_goal_never_leaves_its_guard_rails(
    steps: list[int], previous: int | None, baseline: int | None, burden: Burden
) -> None:
    result = goal(days(*steps), previous=previous, baseline=baseline, burden=burden)
    own = result.baseline or 0
    assert result.steps % 50 == 0 or result.steps == previous
    assert 2000 <= result.steps <= max(10000, own + 49)
    if not burden.flare_up:
        assert result.steps >= own


@given(st.lists(st.integers(500, 20000), min_size=4, max_size=7), st.data())
def test_walking_more_never_lowers_the_goal(steps: list[int], data: st.DataObject) -> None:
    """For days that counted already: a new counted day may of course lower an average."""
    more = [count + data.draw(st.integers(0, 5000)) for count in steps]
    previous = data.draw(maybe_steps)
    burden = data.draw(burdens)
    assert goal(days(*steps), previous=previous, burden=burden).steps <= (
        goal(days(*more), previous=previous, burden=burden).steps
    )


@given(st.lists(st.integers(500, 9000), min_size=7, max_size=7), st.integers(1000, 9000))
def test_more_pain_never_asks_for_more(steps: list[int], previous: int) -> None:
    calm, heavy = goal(days(*steps), previous=previous), goal(days(*steps), previous=previous, burden=MORE_PAIN)
    assert heavy.steps <= calm.steps


@given(st.lists(st.integers(500, 9000), min_size=7, max_size=7), st.integers(1000, 9000), burdens)
def test_goal_is_the_published_formula_between_the_limits(steps: list[int], previous: int, burden: Burden) -> None:
    """Computed a second way, in the words of the policy page."""
    met = sum(count >= previous for count in steps)
    eased = burden.flare_up or burden.pain_rise >= 2
    factor = Fraction(95, 100) if eased else Fraction(11, 10) if met >= 5 else Fraction(1)
    exact = Fraction(sum(steps), 7) * factor
    nearest = min(range(0, 12050, 50), key=lambda candidate: (abs(candidate - exact), -candidate))
    own = 0 if burden.flare_up else median(steps)
    expected = max(min(max(nearest, 2000), 10000), -(-int(own) // 50) * 50)
    assert goal(days(*steps), previous=previous, burden=burden).steps == expected


@given(counts)
def test_order_of_the_days_does_not_matter(steps: list[int]) -> None:
    week = days(*steps)
    assert goal(week).steps == goal(week[::-1]).steps


def test_today_and_days_long_ago_do_not_count() -> None:
    today = StepDay(MONDAY, 30000, None, "Observation/today")
    assert goal([*days(*[5000] * 7), today]).steps == goal(days(*[20000] * 7, *[5000] * 7), baseline=5000).steps
