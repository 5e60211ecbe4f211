"""The daily step goal: rules step.* of the plan policy (docs/plan-policy.md, Steps)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from statistics import median

from recommender.burden import Burden
from recommender.evidence import StepDay
from recommender.explanations import Explanation, explain
from recommender.policy import Policy


@dataclass(frozen=True)
class StepGoal:
    """steps a day, the person's own starting level where known, and why."""

    steps: int
    baseline: int | None
    explanations: tuple[Explanation, ...]


def is_valid(day: StepDay, policy: Policy) -> bool:
    """Whether the day tells how much the person walked."""
    if day.wear_h is not None:
        return day.wear_h >= policy.whole("step.valid-day", "wear_hours")
    return day.steps >= policy.whole("step.valid-day", "phone_steps")


def own_baseline(days: Sequence[StepDay], start: date, policy: Policy) -> int | None:
    """The median of the valid days in the two weeks before `start`; None when there are too few."""
    window = _valid_between(days, start, policy.whole("step.baseline", "window_days"), policy)
    if len(window) < policy.whole("step.baseline", "min_valid_days"):
        return None
    return int(median(day.steps for day in window))


def step_goal(
    days: Sequence[StepDay],
    *,
    start: date,
    previous: int | None,
    baseline: int | None,
    burden: Burden,
    policy: Policy,
) -> StepGoal:
    """
    The goal for the week from `start`.

    days       in any order, of any time; only the seven before start count, and one entry a day
    previous   the goal of the plan before, steps a day
    baseline   the starting level carried from an earlier plan; computed from days when None
    burden     only with a flare-up that the person named may the goal fall below the baseline
    """
    baseline = own_baseline(days, start, policy) if baseline is None else baseline
    week = _valid_between(days, start, policy.whole("plan.week", "days"), policy)
    wanted, why = _wanted(week, previous, burden, policy)
    steps, limits = _within_limits(wanted, None if burden.flare_up else baseline, baseline, policy)
    return StepGoal(steps, baseline, (why, *limits))


def _valid_between(days: Sequence[StepDay], start: date, length: int, policy: Policy) -> list[StepDay]:
    first = start - timedelta(days=length)
    return [day for day in days if first <= day.day < start and is_valid(day, policy)]


def _wanted(week: Sequence[StepDay], previous: int | None, burden: Burden, policy: Policy) -> tuple[int, Explanation]:
    inputs = tuple(day.reference for day in week)
    min_days = policy.whole("step.keep", "min_valid_days")
    if len(week) < min_days:
        if previous is None:
            first = policy.whole("step.first-week", "steps")
            return first, explain("step.first-week", "steps", inputs, min_days=min_days)
        return previous, explain("step.keep", "steps", inputs, min_days=min_days)
    met = sum(day.steps >= previous for day in week) if previous is not None else 0
    rule = _rule(met, burden, policy)
    inputs += burden.inputs if rule == "step.ease" else ()
    mean = Fraction(sum(day.steps for day in week), len(week))
    wanted = _nearest(mean * policy.exact(rule, "factor"), policy)
    return wanted, explain(rule, "steps", inputs, mean=round(mean), met=met, days=len(week))


def _rule(met: int, burden: Burden, policy: Policy) -> str:
    if burden.is_heavy(policy.whole("step.ease", "pain_rise")):
        return "step.ease"
    return "step.raise" if met >= policy.whole("step.raise", "met_days") else "step.hold"


def _within_limits(
    wanted: int, lowest_own: int | None, baseline: int | None, policy: Policy
) -> tuple[int, list[Explanation]]:
    """Somebody who walked more than the ceiling before keeps their level; the ceiling only stops raising."""
    floor, ceiling = policy.whole("step.limits", "floor"), policy.whole("step.limits", "ceiling")
    upper = max(ceiling, _up(baseline or 0, policy))
    steps = min(max(wanted, floor), upper)
    notes = [explain("step.limits", "steps", floor=floor, ceiling=upper)] if steps != wanted else []
    if lowest_own is not None and steps < (own := _up(lowest_own, policy)):
        steps = own
        notes.append(explain("step.baseline", "steps", baseline=lowest_own))
    return steps, notes


def _nearest(value: Fraction, policy: Policy) -> int:
    """Half up to the nearest multiple."""
    unit = policy.whole("step.limits", "round_to")
    return int((value + Fraction(unit, 2)) // unit) * unit


def _up(value: int, policy: Policy) -> int:
    unit = policy.whole("step.limits", "round_to")
    return -(-value // unit) * unit
