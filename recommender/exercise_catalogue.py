"""The exercises of knowledge/exercises.csv and their six groups (Sandal 2019, Table 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from recommender import knowledge


@dataclass(frozen=True)
class Exercise:
    """A row of exercises.csv; hold_s is 0 when nothing is held."""

    id: str
    group: str
    level: int
    name: str
    how_to: str
    sets: int
    reps: int
    hold_s: int
    caution: str


@cache
def catalogue() -> Mapping[str, Exercise]:
    """All exercises by id."""
    return {row["exercise"]: _exercise(row) for row in knowledge.table("exercises")}


def group_titles() -> Mapping[str, str]:
    """The six groups and their names."""
    return {row["group"]: row["title"] for row in knowledge.table("exercise_groups")}


def _exercise(row: knowledge.Row) -> Exercise:
    return Exercise(
        id=row["exercise"],
        group=row["group"],
        level=int(row["level"]),
        name=row["name"],
        how_to=row["how_to"],
        sets=int(row["sets"]),
        reps=int(row["reps"]),
        hold_s=int(row["hold_s"]),
        caution=row["caution"],
    )
