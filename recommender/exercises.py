"""The three exercises of the week and their levels: rules exercise.* of docs/plan-policy.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recommender.burden import Burden
from recommender.exercise_catalogue import Exercise, catalogue, group_titles
from recommender.explanations import Explanation, explain
from recommender.policy import Policy
from recommender.suggest import Suggest, ordered

ABDOMINALS, BACK_EXTENSORS, CORE = "abdominals", "back-extensors", "core-stability"
PAIN_RELIEF = "pain-relief"
PAIR, SINGLE = f"{ABDOMINALS}+{BACK_EXTENSORS}", CORE


@dataclass(frozen=True)
class GroupWeek:
    """
    How a group of exercises went in one past week.

    level      the lowest level of the group in that plan
    exercises  ids in that plan
    verdict    easy, right, hard, could-not, or None when nothing was said
    failed     ids that could not be done
    completed  whether the planned number of sessions was done
    gap_days   days from the end of that plan to the start of the new one
    """

    level: int
    exercises: tuple[str, ...]
    verdict: str | None
    failed: tuple[str, ...]
    completed: bool
    gap_days: int
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chosen:
    """An exercise of the plan with the reasons for its group, level and choice."""

    exercise: Exercise
    explanations: tuple[Explanation, ...]


def three_exercises(
    history: Mapping[str, Sequence[GroupWeek]],
    *,
    burden: Burden,
    suggest: Suggest,
    policy: Policy,
) -> tuple[Chosen, ...]:
    """
    Three exercises of three groups: one abdominal and one back extensor, or one core stability, and fillers.

    history  by group, the latest week first
    """
    structure = ordered(suggest, "exercise-structure", (PAIR, SINGLE))[0]
    required = structure.split("+")
    others = ordered(suggest, "exercise-group", [group for group in group_titles() if group not in required])
    if burden.flare_up:
        others.sort(key=lambda group: group != PAIN_RELIEF)
    groups = [*required, *others][: policy.whole("exercise.composition", "count")]
    return tuple(_choose(group, history.get(group, ()), burden, group in required, suggest, policy) for group in groups)


def next_level(weeks: Sequence[GroupWeek], top: int, burden: Burden, policy: Policy) -> tuple[str, int]:
    """The rule that fires and the level from 1 to `top`: at most one away from the last one."""
    if not weeks:
        return "exercise.start-level", policy.whole("exercise.start-level", "level")
    last = weeks[0]
    more_pain = burden.is_heavy(policy.whole("exercise.level-down", "pain_rise"))
    if last.level > 1 and (more_pain or last.verdict in ("hard", "could-not")):
        return "exercise.level-down", last.level - 1
    if not more_pain and last.level < top and _found_easy(weeks, policy):
        return "exercise.level-up", last.level + 1
    return "exercise.level-hold", last.level


def _found_easy(weeks: Sequence[GroupWeek], policy: Policy) -> bool:
    """Two weeks at this level, so that after a step up the count starts again."""
    needed = policy.whole("exercise.level-up", "weeks")
    latest = weeks[:needed]
    return (
        len(latest) == needed
        and all(week.completed and week.verdict == "easy" for week in latest)
        and len({week.level for week in latest}) == 1
        and latest[0].gap_days <= policy.whole("exercise.level-up", "gap_days")
    )


def _choose(
    group: str,
    weeks: Sequence[GroupWeek],
    burden: Burden,
    is_required: bool,
    suggest: Suggest,
    policy: Policy,
) -> Chosen:
    offered = [exercise for exercise in catalogue().values() if exercise.group == group]
    rule, level = next_level(weeks, max(exercise.level for exercise in offered), burden, policy)
    candidates = ordered(suggest, f"exercise:{group}", [e.id for e in offered if e.level == level])
    failed = set(weeks[0].failed) if weeks else set()
    candidates.sort(key=lambda candidate: candidate in failed)
    exercise = catalogue()[candidates[0]]
    item = f"exercise:{exercise.id}"
    inputs = tuple(reference for week in weeks[:2] for reference in week.inputs)
    inputs += burden.inputs if rule == "exercise.level-down" else ()
    title = group_titles()[group]
    why = [
        _place(group, item, is_required, burden.flare_up),
        explain(rule, item, inputs, group=title, level=level),
    ]
    if failed and exercise.id not in failed:
        why.append(explain("exercise.swap", item, inputs, group=title))
    return Chosen(exercise, tuple(why))


def _place(group: str, item: str, is_required: bool, flare_up: bool) -> Explanation:
    if is_required:
        key = "exercise.composition-core" if group == CORE else "exercise.composition-pair"
        return explain("exercise.composition", item, key=key)
    if flare_up and group == PAIN_RELIEF:
        return explain("exercise.flare-up", item)
    title = group_titles()[group]
    return explain("exercise.composition", item, key="exercise.composition-filler", group=title)
