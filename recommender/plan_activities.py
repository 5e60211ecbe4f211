"""The lines of a weekly plan in plain words: steps, exercises, education, advice and goals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from recommender import knowledge
from recommender.canonical import EDUCATION_SYSTEM, EXERCISE_SYSTEM
from recommender.education import signals, week_of_messages
from recommender.evidence import Answers, PlanEvidence
from recommender.exercise_catalogue import Exercise
from recommender.exercises import Chosen
from recommender.explanations import Explanation, explain
from recommender.plan_resources import Activity, GoalPart
from recommender.policy import Policy
from recommender.safety import low_mood
from recommender.step_goal import StepGoal
from recommender.suggest import Suggest

STEPS_GOAL, SESSIONS_GOAL, PERSONAL_GOAL = "goal-steps", "goal-sessions", "goal-personal"


def walk(goal: StepGoal, days: int) -> Activity:
    """The step goal; the starting level travels with it to the next week."""
    return Activity(
        kind="steps",
        title=knowledge.text("step.item", steps=goal.steps),
        description=knowledge.text("step.description", steps=goal.steps),
        reasons=goal.explanations,
        days_a_week=days,
        steps=goal.steps,
        baseline=goal.baseline,
        goal=STEPS_GOAL,
    )


def exercise_lines(chosen: Sequence[Chosen], evidence: PlanEvidence, policy: Policy) -> tuple[Activity, ...]:
    """The three exercises with their dose for the time the person has."""
    answers = next(iter(evidence.goals), None)
    minutes = _minutes(answers, policy)
    return tuple(_exercise(item, answers, sessions_a_week(evidence, policy), minutes, policy) for item in chosen)


def sessions_a_week(evidence: PlanEvidence, policy: Policy) -> int:
    """Days with exercises: the person's choice within the policy's limits, else the default."""
    answers = next(iter(evidence.goals), None)
    chosen = answers.first("sessions-per-week") if answers is not None else None
    wanted = chosen if isinstance(chosen, int) else policy.whole("exercise.sessions", "default")
    return min(max(wanted, policy.whole("exercise.sessions", "min")), policy.whole("exercise.sessions", "max"))


def lessons(evidence: PlanEvidence, start: date, suggest: Suggest, policy: Policy) -> tuple[Activity, ...]:
    """One message a day from the first day on, matched to the latest check-in."""
    past = [plan for plan in evidence.plans if plan.start < start]
    memory = start - timedelta(weeks=policy.whole("education.weekly", "memory_weeks"))
    recent = {message for plan in past if plan.end >= memory for message in plan.messages}
    check_in = next(iter(evidence.check_ins), None)
    chosen = week_of_messages(
        signals(check_in.values) if check_in is not None else {},
        recent,
        is_first_plan=not past,
        inputs=(check_in.reference,) if check_in is not None else (),
        suggest=suggest,
        policy=policy,
    )
    return tuple(
        Activity(
            kind="education",
            title=lesson.message.title,
            description=lesson.message.text,
            reasons=(lesson.explanation,),
            coding=(EDUCATION_SYSTEM, lesson.message.id),
            day=start + timedelta(days=number),
        )
        for number, lesson in enumerate(chosen)
    )


def mood_advice(evidence: PlanEvidence, policy: Policy) -> tuple[Activity, ...]:
    """Advice beside the plan, not instead of it."""
    reason = low_mood(evidence, policy)
    if reason is None:
        return ()
    return (Activity("advice", knowledge.text("safety.mood-title"), reason.text, (reason,)),)


def goal_parts(
    evidence: PlanEvidence, steps: StepGoal, sessions: int
) -> tuple[tuple[GoalPart, ...], tuple[Explanation, ...]]:
    """The goals of the week, and why the two that no activity explains are there."""
    sessions_text = knowledge.text("goal.sessions", sessions=sessions)
    parts = [
        GoalPart(STEPS_GOAL, knowledge.text("step.goal", steps=steps.steps), steps.steps),
        GoalPart(SESSIONS_GOAL, sessions_text),
    ]
    reasons = [explain("goal.sessions", f"goal:{SESSIONS_GOAL}", sessions=sessions)]
    answers = next(iter(evidence.goals), None)
    named = str(answers.first("goal-text") or "").strip() if answers is not None else ""
    if answers is not None and named:
        parts.append(GoalPart(PERSONAL_GOAL, named))
        reasons.append(explain("goal.personal", f"goal:{PERSONAL_GOAL}", (answers.reference,)))
    return tuple(parts), tuple(reasons)


def _minutes(answers: Answers | None, policy: Policy) -> int:
    chosen = answers.first("minutes-per-session") if answers is not None else None
    return int(chosen) if chosen is not None else policy.whole("exercise.dose", "default_minutes")


def _exercise(item: Chosen, answers: Answers | None, sessions: int, minutes: int, policy: Policy) -> Activity:
    exercise = item.exercise
    line = f"exercise:{exercise.id}"
    inputs = (answers.reference,) if answers is not None else ()
    sets = min(exercise.sets, policy.whole("exercise.dose", f"sets_{minutes}"))
    return Activity(
        kind="exercise",
        title=exercise.name,
        description=_how(exercise, sets, sessions),
        reasons=(
            *item.explanations,
            explain("exercise.sessions", line, inputs, sessions=sessions),
            explain("exercise.dose", line, inputs, key="exercise.dose-reason", minutes=minutes),
        ),
        coding=(EXERCISE_SYSTEM, exercise.id),
        days_a_week=sessions,
        goal=SESSIONS_GOAL,
    )


def _how(exercise: Exercise, sets: int, sessions: int) -> str:
    key = "exercise.dose-hold" if exercise.hold_s else "exercise.dose"
    dose = knowledge.text(key, sets=sets, reps=exercise.reps, hold_s=exercise.hold_s)
    return knowledge.text(
        "exercise.description", how_to=exercise.how_to, dose=dose, sessions=sessions, caution=exercise.caution
    )
