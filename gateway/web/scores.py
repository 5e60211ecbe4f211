"""Scores over time, from survey Observations: what pages and charts need of an instrument's row in scores.csv."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.web.dates import Dates, read_moment
from gateway.web.resources import codes
from recommender.canonical import SCORE_SYSTEM
from recommender.score import ScoreRule, score_rules

JSON = dict[str, Any]

# What trends show, in order: the instrument, its score, and other scores on the same scale that continue the line.
_SHOWN = (
    ("pain-nrs", "pain-nrs-average", ("week-pain",)),
    ("rmdq-24", "rmdq-24", ()),
    ("psfs", "psfs-mean", ()),
    ("phq-8", "phq-8", ()),
)
CODES = tuple(code for _, first, more in _SHOWN for code in (first, *more))
SEVERE_MOOD = 20


@dataclass(frozen=True, slots=True)
class Point:
    """A value on a day; id is the Observation's."""

    day: date
    value: float
    id: str


@dataclass(frozen=True, slots=True)
class Trend:
    """One score over time, oldest first."""

    rule: ScoreRule
    points: tuple[Point, ...]

    @property
    def code(self) -> str:
        return self.rule.code

    @property
    def is_better_high(self) -> bool:
        return self.rule.direction == "higher is better"

    @property
    def first(self) -> Point | None:
        return next(iter(self.points), None)

    @property
    def latest(self) -> Point | None:
        return self.points[-1] if self.points else None

    @property
    def change(self) -> float | None:
        """Latest minus first; None with fewer than two values."""
        return self.points[-1].value - self.points[0].value if len(self.points) > 1 else None

    @property
    def verdict(self) -> str:
        """better, worse or same by the smallest change that matters; `unknown` without one or without two values."""
        if self.change is None or self.rule.mic is None:
            return "unknown"
        gain = self.change if self.is_better_high else -self.change
        if abs(gain) < float(self.rule.mic):
            return "same"
        return "better" if gain > 0 else "worse"

    @property
    def band(self) -> tuple[float, float] | None:
        """Values around the first one that differ from it by less than the smallest change that matters."""
        if self.rule.mic is None or not self.points:
            return None
        low, high, mic = float(self.rule.minimum), float(self.rule.maximum), float(self.rule.mic)
        return max(low, self.points[0].value - mic), min(high, self.points[0].value + mic)


def trends(observations: Iterable[JSON], dates: Dates) -> list[Trend]:
    """A trend for each score that is shown, also those without a value."""
    usable = [o for o in observations if "value" in o.get("valueQuantity", {}) and o["status"] in _USABLE]
    return [_trend(usable, instrument, (code, *more), dates) for instrument, code, more in _SHOWN]


def is_severe_mood(trend: Trend) -> bool:
    """PHQ-8 of 20 or more at the latest (Kroenke 2009: severe)."""
    return trend.code == "phq-8" and trend.latest is not None and trend.latest.value >= SEVERE_MOOD


_USABLE = ("final", "amended", "corrected", "preliminary")


def _trend(observations: Sequence[JSON], instrument: str, wanted: Sequence[str], dates: Dates) -> Trend:
    rule = next(rule for rule in score_rules(instrument) if rule.code == wanted[0])
    found = [o for o in observations if set(codes(o["code"], SCORE_SYSTEM)) & set(wanted)]
    points = [
        (read_moment(o["effectiveDateTime"]), float(o["valueQuantity"]["value"]), o["id"])
        for o in found
        if "effectiveDateTime" in o
    ]
    return Trend(rule, tuple(Point(dates.day_of(when), value, name) for when, value, name in sorted(points)))
