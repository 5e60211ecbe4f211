"""Whether this is a harder week: pain that rose between two reports, or a flare-up that the person named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from recommender.evidence import Answers, PlanEvidence, Point


@dataclass(frozen=True)
class Burden:
    """pain_rise in NRS points since the report before, 0 or less without a rise; inputs are the reports."""

    pain_rise: int = 0
    flare_up: bool = False
    inputs: tuple[str, ...] = ()

    def is_heavy(self, points: int) -> bool:
        """Whether pain rose by this many points, or a flare-up was named."""
        return self.flare_up or self.pain_rise >= points


def burden(evidence: PlanEvidence, start: date, *, recent_days: int) -> Burden:
    """The burden at `start`; reports older than recent_days say nothing about this week."""
    rise, points = _pain_rise(evidence.pain, start, recent_days)
    flare_up = _flare_up(evidence.check_ins, start, recent_days)
    named = (flare_up.reference,) if flare_up is not None else ()
    return Burden(rise, flare_up is not None, (*points, *named))


def _pain_rise(pain: Sequence[Point], start: date, recent_days: int) -> tuple[int, tuple[str, ...]]:
    if len(pain) < 2 or (start - pain[0].when.date()).days > recent_days:
        return 0, ()
    return int(pain[0].value - pain[1].value), (pain[0].reference, pain[1].reference)


def _flare_up(check_ins: Sequence[Answers], start: date, recent_days: int) -> Answers | None:
    """The latest check-in, if it is recent and names a flare-up."""
    latest = next(iter(check_ins), None)
    if latest is None or (start - latest.when.date()).days > recent_days:
        return None
    return latest if latest.first("week-flare-up") is True else None
