"""
The order in which the plan tries its candidates: the seam where a recommender ranks them.

The guard rails stand outside: a `Suggest` can only choose among the candidates it was handed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

Suggest = Callable[[str, Sequence[str]], Sequence[str]]
"""
(slot, candidates) -> candidates, best first.

slot is `exercise-structure`, `exercise-group`, `exercise:<group>` or `education`; candidates are ids of the
knowledge tables. Ids that were not handed in are ignored; ids that are left out come last, as handed in.
"""


def by_lot(patient: str, week: str, seed: int) -> Suggest:
    """
    The published default, "at random": the same patient, week and seed always draw the same order.

    A hash of each candidate, not a shuffle, so that a new row in a table does not re-draw all others.
    """

    def draw(slot: str, candidates: Sequence[str]) -> Sequence[str]:
        return sorted(candidates, key=lambda candidate: _lot(f"{patient}|{week}|{seed}|{slot}|{candidate}"))

    return draw


def ordered(suggest: Suggest, slot: str, candidates: Sequence[str]) -> list[str]:
    """Every candidate exactly once, in the order suggested."""
    suggested = [candidate for candidate in suggest(slot, tuple(candidates)) if candidate in candidates]
    return list(dict.fromkeys([*suggested, *candidates]))


def _lot(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
