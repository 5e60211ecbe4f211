"""The education messages of the week: rules education.* of the plan policy (docs/plan-policy.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from recommender import knowledge
from recommender.answers import Answer
from recommender.explanations import Explanation, explain
from recommender.policy import Policy
from recommender.suggest import Suggest, ordered

FIRST_THEME = "information-about-lbp"


@dataclass(frozen=True)
class Message:
    """A row of education.csv; quiz is empty when there is no question."""

    id: str
    theme: str
    title: str
    text: str
    quiz: str
    quiz_answer: str
    quiz_explanation: str


@dataclass(frozen=True)
class Lesson:
    """A message of the plan and why it was chosen."""

    message: Message
    explanation: Explanation


@cache
def messages() -> Mapping[str, Message]:
    """All messages by id."""
    return {row["message"]: _message(row) for row in knowledge.table("education")}


def signals(answers: Mapping[str, tuple[Answer, ...]]) -> dict[str, str]:
    """What the weekly answers ask for: theme by signal, in the order of education_triggers.csv."""
    rows = knowledge.table("education_triggers")
    return {
        row["signal"]: row["theme"]
        for row in rows
        if any(_matches(row["answer"], answer) for answer in answers.get(row["item"], ()))
    }


def week_of_messages(
    wanted: Mapping[str, str],
    recent: Collection[str],
    *,
    is_first_plan: bool,
    inputs: tuple[str, ...],
    suggest: Suggest,
    policy: Policy,
) -> tuple[Lesson, ...]:
    """
    Up to seven messages, none of them in `recent`.

    Fewer when the catalogue has no more unread ones: a repeat breaks the promise, a quiet day breaks none.
    wanted  theme by signal
    """
    fresh = ordered(suggest, "education", [message for message in messages() if message not in recent])
    reasons = {FIRST_THEME: ("education.first", "")} if is_first_plan else {}
    matched = list(wanted.items())[: policy.whole("education.match", "messages")]
    reasons |= {theme: ("education.match", signal) for signal, theme in matched if theme not in reasons}
    picked: dict[str, tuple[str, str]] = {}
    for theme, reason in reasons.items():
        first = next((m for m in fresh if messages()[m].theme == theme and m not in picked), None)
        if first is not None:
            picked[first] = reason
    for message in _spread(fresh, picked, policy):
        picked[message] = ("education.weekly", "")
    return tuple(_lesson(message, reason, inputs, policy) for message, reason in picked.items())


def _spread(fresh: Sequence[str], picked: Collection[str], policy: Policy) -> Iterable[str]:
    """Messages that fill the week, at first with few of one theme, then with what is left."""
    room = policy.whole("education.weekly", "messages") - len(picked)
    themes = Counter(messages()[message].theme for message in picked)
    rest = [message for message in fresh if message not in picked]
    chosen: list[str] = []
    for message in rest:
        if themes[messages()[message].theme] < policy.whole("education.weekly", "per_theme"):
            themes[messages()[message].theme] += 1
            chosen.append(message)
    return [*chosen, *(message for message in rest if message not in chosen)][:room]


def _lesson(message: str, reason: tuple[str, str], inputs: tuple[str, ...], policy: Policy) -> Lesson:
    rule, signal = reason
    item = f"education:{message}"
    if rule == "education.match":
        why = explain(rule, item, inputs, signal=knowledge.text(f"signal.{signal}"))
    elif rule == "education.first":
        why = explain(rule, item)
    else:
        why = explain(rule, item, weeks=policy.whole(rule, "memory_weeks"))
    return Lesson(messages()[message], why)


def _matches(wanted: str, answer: Answer) -> bool:
    if wanted.startswith("<="):
        return isinstance(answer, int) and answer <= int(wanted.removeprefix("<="))
    return str(answer).lower() == wanted


def _message(row: knowledge.Row) -> Message:
    return Message(
        id=row["message"],
        theme=row["theme"],
        title=row["title"],
        text=row["text"],
        quiz=row["quiz"],
        quiz_answer=row["quiz_answer"],
        quiz_explanation=row["quiz_explanation"],
    )
