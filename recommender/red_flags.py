"""
The red-flag screen: answers that need a clinician before self-management (NICE HTE16 3.2; Verhagen 2016).

A flag is a reason to be seen, not a diagnosis. An unanswered question is not a no.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from recommender import knowledge
from recommender.answers import Answer, read_answers
from recommender.errors import UnansweredItem
from recommender.score import instrument_name

JSON = dict[str, Any]


@dataclass(frozen=True)
class RedFlag:
    """tier is emergency, urgent or soon; advice is plain text for the person; unsure: said "Not sure"."""

    code: str
    link_id: str
    label: str
    category: str
    tier: str
    title: str
    advice: str
    unsure: bool
    source: str


def screen(response: JSON) -> list[RedFlag]:
    """
    The flags of a completed red-flag screen or weekly check-in, most pressing first.

    raises  UnansweredItem when a safety item has no answer, UnknownInstrument, and what read_answers raises
    """
    name = instrument_name(str(response.get("questionnaire")))
    answers = read_answers(knowledge.instrument(name), response)
    rows = [row for row in knowledge.table("red_flags") if row["instrument"] == name]
    flags = [flag for row in rows if (flag := _flag(row, answers)) is not None]
    return sorted(flags, key=lambda flag: int(_tiers()[flag.tier]["rank"]))


@cache
def _tiers() -> Mapping[str, knowledge.Row]:
    return {row["tier"]: row for row in knowledge.table("red_flag_tiers")}


def _flag(row: knowledge.Row, answers: Mapping[str, tuple[Answer, ...]]) -> RedFlag | None:
    if row["link_id"] not in answers:
        raise UnansweredItem(row["link_id"])
    answer = answers[row["link_id"]][0]
    if answer in (False, "no"):
        return None
    unsure = answer == "unsure"
    tier = _tiers()[row["tier_if_unsure"] if unsure else row["tier"]]
    return RedFlag(
        code=row["flag"],
        link_id=row["link_id"],
        label=row["label"],
        category=row["category"],
        tier=tier["tier"],
        title=tier["title"],
        advice=tier["advice"],
        unsure=unsure,
        source=row["source"],
    )
