"""
Interval-priority merge: no instant is counted twice.

The best source owns the time it covers; the next one contributes, in proportion to time, what it recorded
outside that time. Neither the sum over sources (counts twice) nor the best source of the day (loses the time
it was taken off) is right. Records are taken as evenly paced within their interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensors.records import Floats, Ints


@dataclass(frozen=True)
class Covered:
    """Sorted, disjoint, half-open intervals of time (ms), with the length of all before each."""

    starts: Ints
    ends: Ints
    before: Ints

    @classmethod
    def union(cls, starts: Ints, ends: Ints, *, bridge_ms: int = 0) -> Covered:
        """The time within any of the intervals, and the gaps between them of at most bridge_ms."""
        if not len(starts):
            return cls(*(np.zeros(0, dtype=np.int64) for _ in range(3)))
        order = np.argsort(starts, kind="stable")
        starts, reach = starts[order], np.maximum.accumulate(ends[order])
        opens = np.ones(len(starts), dtype=np.bool_)
        opens[1:] = starts[1:] > reach[:-1] + bridge_ms
        first = np.flatnonzero(opens)
        block_starts, block_ends = starts[first], reach[np.append(first[1:], len(starts)) - 1]
        before = np.concatenate(([0], np.cumsum(block_ends - block_starts)[:-1]))
        return cls(block_starts, block_ends, before)

    def within(self, starts: Ints, ends: Ints) -> Ints:
        """Covered milliseconds inside each of these intervals."""
        return self._until(ends) - self._until(starts)

    def _until(self, instants: Ints) -> Ints:
        if not len(self.starts):
            return np.zeros(len(instants), dtype=np.int64)
        block = np.searchsorted(self.starts, instants, side="right") - 1
        inside = np.minimum(instants, self.ends[block]) - self.starts[block]
        return np.where(block < 0, 0, self.before[block] + inside)


def owned_starts(group: Ints, starts: Ints, ends: Ints) -> Ints:
    """
    From where on each record owns its time among the records of its own source.

    Rows are sorted by group, start, longest first. A record owns what no earlier row of its group reaches:
    a total that is rewritten through the day, or an interval sent twice with another count, adds up only
    once. The result may lie at or after the end: then the record owns nothing. Records without length (a
    time stamp) keep their start.
    """
    if not len(starts):
        return starts
    # Shifting each group by the whole span lets one running maximum serve all groups.
    low = starts.min()
    shift = group.astype(np.int64) * int(ends.max() - low + 1) - low
    reach = np.maximum.accumulate(ends + shift)
    owned = starts.copy()
    owned[1:] = np.maximum(starts[1:], np.minimum(reach[:-1] - shift[1:], ends[1:]))
    return np.where(starts == ends, starts, owned)


def uncovered_share(rank: Ints, starts: Ints, ends: Ints, *, bridge_ms: int) -> Floats:
    """
    The share (0 to 1) of each interval that no interval of a better rank covers; float64.

    rank       0 is best; intervals of one rank do not hide each other
    bridge_ms  a pause of the better source up to this long still belongs to it (a watch writes nothing
               while its wearer stands, and a phone's copy of the same walk would leak in)
    Every interval has a length above 0.
    """
    share = np.ones(len(rank), dtype=np.float64)
    covered = Covered.union(starts[:0], ends[:0])
    for place in np.unique(rank):
        rows = np.flatnonzero(rank == place)
        own_starts, own_ends = starts[rows], ends[rows]
        hidden = covered.within(own_starts, own_ends)
        share[rows] = 1 - hidden / (own_ends - own_starts)
        own = Covered.union(own_starts, own_ends, bridge_ms=bridge_ms)
        covered = Covered.union(np.concatenate((covered.starts, own.starts)), np.concatenate((covered.ends, own.ends)))
    return share
