"""Interval-priority merge: an independent oracle and the properties it must have."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensors.merge import Covered, owned_starts, uncovered_share


@st.composite
def intervals(draw: st.DrawFn) -> list[tuple[int, int, int, int]]:
    """(rank, start, end, steps), disjoint within a rank, in small whole units of time."""
    rows = []
    for rank in range(draw(st.integers(1, 3))):
        at = 0
        for gap, length in draw(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 9)), max_size=6)):
            rows.append((rank, at + gap, at + gap + length, draw(st.integers(0, 500))))
            at += gap + length
    return rows


def merged(rows: list[tuple[int, int, int, int]], bridge: int = 0) -> np.ndarray:
    rank, start, end, steps = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return steps * uncovered_share(rank, start, end, bridge_ms=bridge)


def unit_by_unit(rows: list[tuple[int, int, int, int]], bridge: int = 0) -> float:
    """The oracle: each unit of time goes to the best rank that covers it, or bridges it."""
    total = 0.0
    for rank, start, end, steps in rows:
        better = {r for r, *_ in rows if r < rank}
        free = [t for t in range(start, end) if not any(_holds(rows, r, t, bridge) for r in better)]
        total += steps * len(free) / (end - start)
    return total


def _holds(rows: list[tuple[int, int, int, int]], rank: int, unit: int, bridge: int) -> bool:
    own = [(start, end) for r, start, end, _ in rows if r == rank]
    if any(start <= unit < end for start, end in own):
        return True
    before = [end for _, end in own if end <= unit]
    after = [start for start, _ in own if start > unit]
    return bool(before and after) and min(after) - max(before) <= bridge


@given(intervals(), st.integers(0, 5))
def test_every_unit_of_time_counts_for_the_best_source_that_holds_it(rows, bridge):
    assert np.isclose(merged(rows, bridge).sum(), unit_by_unit(rows, bridge))


@given(intervals(), st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(rows, rng):
    shuffled = rows[:]
    rng.shuffle(shuffled)
    assert sorted(merged(shuffled)) == sorted(merged(rows))


@given(intervals())
def test_the_result_is_never_negative_and_never_above_the_plain_sum(rows):
    counted = merged(rows)
    assert (counted >= 0).all()
    assert counted.sum() <= sum(steps for *_, steps in rows) + 1e-6


@given(intervals(), st.integers(1, 40))
def test_the_total_is_the_sum_of_the_totals_of_shorter_spans(rows, at):
    cut = [
        (rank, a, b, steps * (b - a) / (end - start))
        for rank, start, end, steps in rows
        for a, b in ((start, min(end, at)), (max(start, at), end))
        if a < b
    ]
    pieces = np.array([steps for *_, steps in cut])
    rank, start, end = np.array([row[:3] for row in cut], dtype=np.int64).reshape(-1, 3).T
    assert np.isclose((pieces * uncovered_share(rank, start, end, bridge_ms=3)).sum(), merged(rows, 3).sum())


@given(intervals())
def test_sources_that_never_overlap_add_up(rows):
    apart = [(rank, start + rank * 1000, end + rank * 1000, steps) for rank, start, end, steps in rows]
    assert np.isclose(merged(apart).sum(), sum(steps for *_, steps in rows))


@given(intervals())
def test_what_a_better_source_covers_wholly_adds_nothing(rows):
    under = [(rank + 1, start, end, steps) for rank, start, end, steps in rows]
    assert merged([(0, -1, 1000, 77), *under]).sum() == 77


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=12))
def test_covered_time_is_what_counting_the_units_gives(spans):
    starts = np.array([start for start, _ in spans], dtype=np.int64)
    ends = np.array([start + length for start, length in spans], dtype=np.int64)
    units = {unit for start, length in spans for unit in range(start, start + length)}
    probe = np.arange(60)
    covered = Covered.union(starts, ends).within(probe, probe + 7)
    assert covered.tolist() == [len(units & set(range(p, p + 7))) for p in range(60)]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 12)), min_size=1, max_size=15))
def test_within_one_source_no_unit_of_time_has_two_owners(spans):
    rows = sorted(((g, s, s + n) for g, s, n in spans), key=lambda row: (row[0], row[1], -row[2]))
    group, start, end = np.array(rows, dtype=np.int64).T
    owned = owned_starts(group, start, end)
    for wanted in set(group.tolist()):
        mine = [range(o, e) for g, o, e in zip(group, owned, end, strict=True) if g == wanted]
        units = [unit for span in mine for unit in span]
        asked = {unit for g, s, e in rows if g == wanted for unit in range(s, e)}
        assert len(units) == len(set(units))
        assert set(units) == asked
