"""The invented people: who they are and how they fare (people.csv, shapes.csv), and chance that repeats itself.

Every figure of a person in a week follows from the two tables and the person's number, so that each install shows the
same clinic. Nothing here is modelled on real persons; the courses are drawn to show what pages can show.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources

from mappings.demographics import check_digit

_PROM_WEEKS = (0, 6, 13, 26)
# 999 is never given to a person (mappings/nhs_number_ranges.csv).
_NHS_PREFIX = 999_000_000


@dataclass(frozen=True, slots=True)
class Course:
    """A figure at the start and the end of the 26 weeks, and the shape between them."""

    start: float
    end: float
    shape: tuple[tuple[int, float], ...]

    def at(self, week: float) -> float:
        """The figure in a week, on straight lines between the points of the shape."""
        for (before, low), (after, high) in zip(self.shape, self.shape[1:], strict=False):
            if week <= after:
                share = low + (high - low) * (week - before) / (after - before)
                return self.start + (self.end - self.start) * share
        return self.start + (self.end - self.start) * self.shape[-1][1]


@dataclass(frozen=True, slots=True)
class Person:
    """
    A row of people.csv.

    weeks     how long ago the programme began; stops is the week of the last answers, None for whoever goes on
    shares    clinic, clinic-gp, none or withdrawn
    plan      what became of the latest plan: active, draft, or none where the person has stopped
    red_flag  link id of the screen's question answered with yes, or empty
    login     the name to sign in with, or empty
    """

    number: int
    given: str
    family: str
    gender: str
    born: date
    courses: dict[str, Course]
    weeks: int
    stops: int | None
    shares: str
    plan: str
    red_flag: str
    login: str
    goal: str
    activity: str

    @property
    def nhs_number(self) -> str:
        """The number of this person in the range for tests, with its check digit."""
        return _nhs_numbers()[self.number - 1]

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}"

    @property
    def last_week(self) -> int:
        """The week of the last answers."""
        return self.weeks if self.stops is None else self.stops

    @property
    def prom_weeks(self) -> tuple[int, ...]:
        """The weeks in which the longer questionnaires are answered: at the start, six weeks, three and six months."""
        return tuple(week for week in _PROM_WEEKS if week <= self.last_week)

    def at(self, figure: str, week: float) -> float:
        return self.courses[figure].at(week)

    def chance(self, *about: object) -> random.Random:
        """The dice for one thing, the same on every install."""
        return random.Random(f"{self.number}/{'/'.join(map(str, about))}")  # noqa: S311 - no secret


@cache
def people() -> tuple[Person, ...]:
    """Everybody, in the order of the table."""
    return tuple(map(_person, _rows("people")))


def _person(row: dict[str, str]) -> Person:
    figures = ("pain", "rmdq", "psfs", "phq", "steps")
    shape = _shapes()[row["shape"]]
    return Person(
        number=int(row["number"]),
        given=row["given"],
        family=row["family"],
        gender=row["gender"],
        born=date.fromisoformat(row["born"]),
        courses={name: Course(float(row[name]), float(row[f"{name}_end"]), shape) for name in figures},
        weeks=int(row["weeks"]),
        stops=int(row["stops"]) if row["stops"] else None,
        shares=row["shares"],
        plan=row["plan"],
        red_flag=row["red_flag"],
        login=row["login"],
        goal=row["goal"],
        activity=row["activity"],
    )


@cache
def _shapes() -> dict[str, tuple[tuple[int, float], ...]]:
    return {row["shape"]: tuple((week, float(row[f"week_{week}"])) for week in _PROM_WEEKS) for row in _rows("shapes")}


@cache
def _nhs_numbers() -> tuple[str, ...]:
    """As many valid numbers as there are people; one candidate in eleven has no check digit."""
    found: list[str] = []
    candidate = _NHS_PREFIX
    while len(found) < len(_rows("people")):
        candidate += 1
        digit = check_digit(str(candidate))
        if digit is not None:
            found.append(f"{candidate}{digit}")
    return tuple(found)


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files("gateway.demo").joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
