"""The answers of the invented people, as QuestionnaireResponses to our own instruments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from gateway.demo.cast import Person
from gateway.work.records import SYNTHETIC
from recommender import knowledge
from recommender.answers import items_by_link_id

JSON = dict[str, Any]
Given = Mapping[str, object]
"""Answers by link id: a number, truth, text, or the code of an option; a list for a question that repeats."""

PROMS = ("pain-nrs", "rmdq-24", "psfs", "phq-8")
CHECK_IN = "weekly-check-in"
_STATEMENTS = 24


def baseline(person: Person) -> list[tuple[str, Given]]:
    """Everything that is asked before the first plan."""
    goals: Given = {
        "goal-text": person.goal,
        "goal-areas": ["less-pain"],
        "sessions-per-week": 3,
        "minutes-per-session": person.chance("minutes").choice(("15", "30")),
    }
    return [("red-flag-screen", _screen(person)), *proms(person, 0), ("goals", goals)]


def proms(person: Person, week: int) -> list[tuple[str, Given]]:
    """The outcome measures of a week."""
    return [(name, _PROMS[name](person, week)) for name in PROMS]


def check_in(person: Person, week: int) -> Given:
    """The report of a week: the course with its ups and downs."""
    dice = person.chance("week", week)
    pain = _within(person.at("pain", week) + dice.gauss(0, 0.8), 10)
    mood = person.at("phq", week)
    sessions = dice.choice((1, 2, 3, 3, 4) if mood < 10 else (0, 1, 2, 2, 3))
    answers: dict[str, object] = {
        "week-pain": pain,
        "week-function": _within(person.at("psfs", week) + dice.gauss(0, 0.7), 10),
        "week-confidence": _within(person.at("psfs", week) + 1 + dice.gauss(0, 0.7), 10),
        "week-sleep": _rating(mood + dice.gauss(0, 2)),
        "week-mood": _rating(mood + dice.gauss(0, 2)),
        "week-barriers": [dice.choice(("time", "pain", "tired"))] if sessions < 3 else [],
        "week-sessions": sessions,
    }
    if sessions:
        answers["week-exercise-feedback"] = dice.choice(("easy", "right", "right", "right", "hard"))
    return {**answers, "week-flare-up": pain >= person.at("pain", week) + 2, "week-warning-signs": False}


def response(name: str, given: Given, *, patient: str, authored: datetime) -> JSON:
    """A completed response, marked as synthetic."""
    questionnaire = _instrument(name)
    items = items_by_link_id(questionnaire)
    return {
        "resourceType": "QuestionnaireResponse",
        "meta": {"tag": [SYNTHETIC]},
        "questionnaire": f"{questionnaire['url']}|{questionnaire['version']}",
        "status": "completed",
        "subject": {"reference": patient},
        "authored": authored.isoformat(timespec="seconds"),
        "author": {"reference": patient},
        "source": {"reference": patient},
        "item": [
            {"linkId": link, "text": items[link]["text"], **_answered(items[link], value)}
            for link, value in given.items()
        ],
    }


@cache
def _instrument(name: str) -> JSON:
    return knowledge.instrument(name)


def _answered(item: JSON, value: object) -> JSON:
    values = value if isinstance(value, list) else [value]
    return {"answer": [_answer(item, each) for each in values]} if values else {}


def _answer(item: JSON, value: object) -> JSON:
    if item["type"] == "choice":
        codings = (option["valueCoding"] for option in item["answerOption"])
        return {"valueCoding": next(coding for coding in codings if coding["code"] == value)}
    return {{"boolean": "valueBoolean", "integer": "valueInteger"}.get(item["type"], "valueString"): value}


def _screen(person: Person) -> Given:
    asked = [item["linkId"] for item in _instrument("red-flag-screen")["item"] if item["type"] == "choice"]
    return {link: "yes" if link == person.red_flag else "no" for link in asked}


def _pain(person: Person, week: int) -> Given:
    average = _within(person.at("pain", week), 10)
    return {"pain-average": average, "pain-worst": min(10, average + 2)}


def _disability(person: Person, week: int) -> Given:
    """The same statements first to be true and last to stop being so, in an order of one's own."""
    order = list(range(1, _STATEMENTS + 1))
    person.chance("statements").shuffle(order)
    true = set(order[: _within(person.at("rmdq", week), _STATEMENTS)])
    return {f"rmdq-{number:02d}": number in true for number in range(1, _STATEMENTS + 1)}


def _function(person: Person, week: int) -> Given:
    rating = _within(person.at("psfs", week), 10)
    other = _within(person.at("psfs", week) + 1, 10)
    return {
        "psfs-1-activity": person.activity,
        "psfs-1-rating": rating,
        "psfs-2-activity": "Sleeping",
        "psfs-2-rating": other,
    }


def _mood(person: Person, week: int) -> Given:
    """The total spread over eight questions, none of them above three."""
    frequencies = ("not-at-all", "several-days", "more-than-half", "nearly-every-day")
    total, dice = _within(person.at("phq", week), 24), person.chance("mood", week)
    points = [0] * 8
    for _ in range(total):
        points[dice.choice([at for at, value in enumerate(points) if value < 3])] += 1
    return {f"phq-{at + 1}": frequencies[value] for at, value in enumerate(points)}


_PROMS = {"pain-nrs": _pain, "rmdq-24": _disability, "psfs": _function, "phq-8": _mood}


def _within(value: float, most: int) -> int:
    return min(most, max(0, round(value)))


def _rating(mood: float) -> str:
    ratings: Sequence[str] = ("good", "fair", "poor")
    return ratings[0 if mood < 6 else 1 if mood < 12 else 2]
