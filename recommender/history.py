"""How the past weeks went: the reports that belong to each earlier plan, by group of exercises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from recommender.evidence import Answers, PastPlan, PlanEvidence
from recommender.exercise_catalogue import catalogue
from recommender.exercises import GroupWeek

_WORST_FIRST = ("could-not", "hard", "right", "easy")


def group_weeks(evidence: PlanEvidence, start: date) -> Mapping[str, Sequence[GroupWeek]]:
    """
    For each group, the earlier weeks that had it, the latest first.

    Single exercises are judged by their own feedback; where there is none, by the weekly check-in.
    start  first day of the new plan; plans that start on it or later are not history
    """
    plans = [plan for plan in evidence.plans if plan.start < start]
    weeks: dict[str, list[GroupWeek]] = {}
    until = start
    for plan in plans:
        check_in = _check_in_of(plan, until, evidence.check_ins)
        feedback = [given for given in evidence.feedback if plan.start <= given.when.date() <= plan.end]
        for group in dict.fromkeys(catalogue()[exercise].group for exercise in plan.exercises):
            weeks.setdefault(group, []).append(_group_week(group, plan, check_in, feedback, start))
        until = plan.start
    return weeks


def _check_in_of(plan: PastPlan, until: date, check_ins: Sequence[Answers]) -> Answers | None:
    """The latest check-in after the plan began, up to the day the next one began."""
    return next((c for c in check_ins if plan.start < c.when.date() <= until), None)


def _group_week(
    group: str, plan: PastPlan, check_in: Answers | None, feedback: Sequence[Answers], start: date
) -> GroupWeek:
    exercises = tuple(e for e in plan.exercises if catalogue()[e].group == group)
    own = [given for given in feedback if given.first("exercise") in exercises]
    said = {str(given.first("feedback")) for given in own if given.first("feedback") is not None}
    if not said and check_in is not None and check_in.first("week-exercise-feedback") is not None:
        said = {str(check_in.first("week-exercise-feedback"))}
    failed = [str(g.first("exercise")) for g in own if g.first("feedback") == "could-not"]
    done = {given.when.date() for given in feedback if given.first("completed") is True}
    reported = check_in.first("week-sessions") if check_in is not None else None
    sessions = max(len(done), reported if isinstance(reported, int) else 0)
    sources = [
        plan.reference,
        *(given.reference for given in own),
        *([check_in.reference] if check_in else []),
    ]
    return GroupWeek(
        level=min(catalogue()[exercise].level for exercise in exercises),
        exercises=exercises,
        verdict=next((verdict for verdict in _WORST_FIRST if verdict in said), None),
        failed=tuple(dict.fromkeys(failed)),
        completed=sessions >= plan.sessions,
        gap_days=(start - plan.end).days,
        inputs=tuple(sources),
    )
