"""Step records to one total a local day, with what a reader needs to judge it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from sensors import local_days
from sensors.local_days import DAY_MS, Pieces
from sensors.merge import owned_starts, uncovered_share
from sensors.plausibility import IMPLAUSIBLE, NOT_COUNTED, Flag, Limits, default_limits, judge
from sensors.records import Floats, Ints, StepRecords
from sensors.sources import KINDS, ranked

ALGORITHM_VERSION = "1.0"
BRIDGE_S = 90
"""A pause of the better source up to this long is still its time (60 to 120 s is sensible)."""
STAMP_MS = 1000
"""Time that a record without length is taken to cover: exports cut times to whole seconds."""
BLOCK_DAYS = 90
"""Days summarised at a time, so that memory does not grow with the number of years."""
MARGIN_DAYS = 4
"""Records further away have no part in a day: none that counts is longer than 36 h, no offset exceeds 18 h."""
SETTLE = timedelta(hours=48)
"""Late data are expected until this long after the end of a day."""


@dataclass(frozen=True)
class DailySteps:
    """
    One local day.

    steps               whole, halves to even; None when nothing measured is left, or the day is implausible
    begins_at, ends_at  the day as instants in UTC; 23, 24 or 25 hours apart
    preliminary         data of this day may still arrive
    source_kinds        kinds of the sources that contributed; sources is their number
    conflict_s          seconds of records set aside because a better source owned the time
    hours_with_records  clock hours (0 to 24) in which any measured record lies; a proxy of wear
    held_back_steps     in records, or a day, that cannot be true; manual_steps: entered by hand
    """

    platform: str
    date: date
    steps: int | None
    begins_at: datetime
    ends_at: datetime
    preliminary: bool
    source_kinds: tuple[str, ...]
    sources: int
    conflict_s: int
    hours_with_records: int
    held_back_steps: int
    manual_steps: int
    flags: Flag


@dataclass(frozen=True)
class _Counted:
    """Pieces of records that count: steps after the merge, and milliseconds that a better source owned."""

    pieces: Pieces
    source: Ints
    steps: Floats
    hidden_ms: Floats
    daily_total: Ints


def summarise(
    records: StepRecords,
    *,
    now: datetime,
    zone: ZoneInfo | None = None,
    priority: Sequence[str] = KINDS,
    limits: Limits | None = None,
) -> list[DailySteps]:
    """
    One summary for each local day that has a record, oldest first; the order of records does not matter.

    now       aware; only a bound on when the export can have been made: the same export gives the same days
              at any later time. An export without a date counts as made when its last record ended.
    zone      where the person lives, for exact days when the clock changes; records made elsewhere keep
              their own offset
    priority  see `sensors.sources.ranked`
    """
    limits = limits or default_limits()
    as_of, known_until = _made_at(records, now), _known_until(records, now)
    records = records.with_sources(ranked(records.sources, priority))
    days: list[DailySteps] = []
    for block in _blocks(records):
        around = _around(records, block).distinct()
        flags = judge(around, limits, as_of)
        summaries = _Days(around, flags, _count(around, flags, zone), zone, limits).summaries(known_until)
        days += [day for day in summaries if local_days.to_day(day.date) // BLOCK_DAYS == block]
    return days


def _made_at(records: StepRecords, now: datetime) -> datetime:
    return min(records.exported_at or now, now)


def _known_until(records: StepRecords, now: datetime) -> datetime:
    if records.exported_at is not None:
        return min(records.exported_at, now)
    past = records.end_ms[records.end_ms <= now.timestamp() * 1000]
    return _instant(int(past.max())) if len(past) else now


def _blocks(records: StepRecords) -> list[int]:
    """Numbers of the blocks of days that can have a summary: a local day may lie in a neighbour of its UTC day."""
    blocks = np.unique((records.start_ms // (BLOCK_DAYS * DAY_MS)).astype(np.int32)).tolist()
    return sorted({block + step for block in blocks for step in (-1, 0, 1)})


def _around(records: StepRecords, block: int) -> StepRecords:
    """The records that can have a part in the days of a block."""
    begin = (block * BLOCK_DAYS - MARGIN_DAYS) * DAY_MS
    end = ((block + 1) * BLOCK_DAYS + MARGIN_DAYS) * DAY_MS
    return records.take((records.start_ms >= begin) & (records.start_ms < end))


def _count(records: StepRecords, flags: Ints, zone: ZoneInfo | None) -> _Counted:
    """Own time within each source, cut at midnight, then merge across sources."""
    usable = np.flatnonzero(flags & int(NOT_COUNTED) == 0)
    is_total = (flags[usable] & int(Flag.DAILY_TOTAL) > 0).astype(np.int64)
    rank = records.source[usable] + is_total * len(records.sources)
    order = np.argsort(rank, kind="stable")
    rank, is_total, kept = rank[order], is_total[order], records.take(usable[order])

    owned = owned_starts(rank, kept.start_ms, kept.end_ms)
    end = np.where(kept.end_ms == kept.start_ms, kept.start_ms + STAMP_MS, kept.end_ms)
    rate = kept.steps / (end - kept.start_ms)
    has_time = owned < end
    rank, is_total, rate, kept = rank[has_time], is_total[has_time], rate[has_time], kept.take(has_time)

    pieces = local_days.cut_at_midnight(owned[has_time], end[has_time], kept.start_offset_s, kept.end_offset_s, zone)
    length = pieces.end_ms - pieces.start_ms
    share = uncovered_share(rank[pieces.row], pieces.start_ms, pieces.end_ms, bridge_ms=BRIDGE_S * 1000)
    return _Counted(
        pieces=pieces,
        source=kept.source[pieces.row],
        steps=rate[pieces.row] * length * share,
        hidden_ms=length * (1 - share),
        daily_total=is_total[pieces.row],
    )


class _Days:
    """Sums per day over columns; days are positions in self.days (days since 1970, ascending)."""

    def __init__(
        self, records: StepRecords, flags: Ints, counted: _Counted, zone: ZoneInfo | None, limits: Limits
    ) -> None:
        self.records, self.counted, self.zone, self.limits = records, counted, zone, limits
        start_day = local_days.day_of(records.start_ms, records.start_offset_s)
        self.days = np.unique(np.concatenate((start_day, counted.pieces.day)))
        self.of_record = np.searchsorted(self.days, start_day)
        self.of_piece = np.searchsorted(self.days, counted.pieces.day)
        self.flags = self._flags(flags)
        self.steps = self._sum(self.of_piece, counted.steps)
        self.hidden_ms = self._sum(self.of_piece, counted.hidden_ms)
        held_back = flags & int(IMPLAUSIBLE) > 0
        by_hand = ~held_back & records.manual
        self.held_back = self._sum(self.of_record[held_back], records.steps[held_back])
        self.manual = self._sum(self.of_record[by_hand], records.steps[by_hand])
        self.measured = np.bincount(self.of_piece, minlength=len(self.days)) > 0

    def summaries(self, known_until: datetime) -> list[DailySteps]:
        hours, sources, bounds = self._hours(), self._sources(), self._bounds()
        return [self._summary(i, hours[i], sources[i], bounds[i], known_until) for i in range(len(self.days))]

    def _summary(
        self, i: int, hours: int, sources: list[int], bounds: tuple[int, int, bool], known_until: datetime
    ) -> DailySteps:
        flags, total, held_back = Flag(int(self.flags[i])), _whole(self.steps[i]), self.held_back[i]
        steps = total if self.measured[i] else None
        if total > self.limits.day_total:
            flags, steps, held_back = flags | Flag.DAY_OVER_LIMIT, None, held_back + total
        if bounds[2]:
            flags |= Flag.OFFSET_CHANGE
        kinds = {self.records.sources[source].kind for source in sources}
        return DailySteps(
            platform=self.records.platform,
            date=local_days.to_date(int(self.days[i])),
            steps=steps,
            begins_at=_instant(bounds[0]),
            ends_at=_instant(bounds[1]),
            preliminary=_instant(bounds[1]) + SETTLE > known_until,
            source_kinds=tuple(kind for kind in KINDS if kind in kinds),
            sources=len(sources),
            conflict_s=_whole(self.hidden_ms[i] / 1000),
            hours_with_records=hours,
            held_back_steps=_whole(held_back),
            manual_steps=_whole(self.manual[i]),
            flags=flags,
        )

    def _sum(self, day: Ints, values: Floats) -> Floats:
        # Rows come in one canonical order, so the floating-point sum is the same on every run.
        return np.bincount(day, weights=values, minlength=len(self.days)).astype(np.float64, copy=False)

    def _flags(self, flags: Ints) -> Ints:
        """Flags of the records that start on each day; a daily total only where some of it was counted."""
        per_day = np.zeros(len(self.days), dtype=np.int64)
        np.bitwise_or.at(per_day, self.of_record, flags & ~int(Flag.DAILY_TOTAL))
        used = (self.counted.daily_total > 0) & (self.counted.steps > 0)
        per_day[self.of_piece[used]] |= int(Flag.DAILY_TOTAL)
        return per_day

    def _hours(self) -> list[int]:
        """Clock hours in which a measured record lies, daily totals aside, per day."""
        fine = self.counted.daily_total == 0
        pieces, hour_ms = self.counted.pieces, DAY_MS // 24
        midnight = pieces.day[fine] * DAY_MS - pieces.offset_s[fine].astype(np.int64) * 1000
        first = np.clip((pieces.start_ms[fine] - midnight) // hour_ms, 0, 23)
        last = np.clip((pieces.end_ms[fine] - 1 - midnight) // hour_ms, first, 23)
        masks = np.zeros(len(self.days), dtype=np.int64)
        np.bitwise_or.at(masks, self.of_piece[fine], (np.int64(2) << last) - (np.int64(1) << first))
        return [int(mask).bit_count() for mask in masks]

    def _sources(self) -> list[list[int]]:
        """Sources that contributed steps, per day."""
        used, width = self.counted.steps > 0, max(len(self.records.sources), 1)
        pairs = np.unique(self.of_piece[used].astype(np.int64) * width + self.counted.source[used])
        per_day: list[list[int]] = [[] for _ in self.days]
        for pair in pairs.tolist():
            per_day[pair // width].append(pair % width)
        return per_day

    def _bounds(self) -> list[tuple[int, int, bool]]:
        """Begin and end of each day (UTC, ms); whether the offset changed unexplained by the zone."""
        day = np.concatenate((self.of_record, self.of_piece))
        at = np.concatenate((self.records.start_ms, self.counted.pieces.start_ms))
        offset = np.concatenate((self.records.start_offset_s, self.counted.pieces.offset_s))
        order = np.lexsort((offset, at, day))
        day, offset = day[order], offset[order]
        first = np.searchsorted(day, np.arange(len(self.days)))
        if not len(first):
            return []
        lowest, highest = np.minimum.reduceat(offset, first), np.maximum.reduceat(offset, first)
        last = np.append(first[1:], len(day)) - 1
        columns = (self.days, offset[first], offset[last], lowest, highest)
        return [self._bound(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def _bound(self, day: int, begin_s: int, end_s: int, lowest: int, highest: int) -> tuple[int, int, bool]:
        if self.zone is not None:
            begin, end = (local_days.zone_midnight_ms(each, self.zone) for each in (day, day + 1))
            expected = {local_days.zone_offset_s(begin, self.zone), local_days.zone_offset_s(end, self.zone)}
            if {lowest, highest} <= expected:
                return begin, end, False
        return day * DAY_MS - begin_s * 1000, (day + 1) * DAY_MS - end_s * 1000, lowest != highest


def _whole(value: float) -> int:
    """Nearest whole number, halves to even; rounded to 1e-6 first, so that 2.4999999999 counts as 2.5."""
    return round(round(float(value), 6))


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
