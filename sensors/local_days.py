"""Which local day (counted from 1970-01-01) a moment belongs to; cutting intervals at local midnight."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from sensors.records import Ints

DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Pieces:
    """
    Parts of intervals, none of which crosses local midnight.

    row       which interval it is part of
    day       local day, days since 1970-01-01
    offset_s  offset from UTC that holds for the piece
    """

    row: Ints
    day: Ints
    start_ms: Ints
    end_ms: Ints
    offset_s: Ints


def to_date(day: int) -> date:
    """1970-01-01 for 0. Raises OverflowError outside the years 1 to 9999."""
    return _EPOCH + timedelta(days=day)


def to_day(day: date) -> int:
    """0 for 1970-01-01."""
    return (day - _EPOCH).days


def zone_midnight_ms(day: int, zone: ZoneInfo) -> int:
    """The instant (UTC, ms) at which this local day begins in the zone."""
    local = datetime.combine(to_date(day), datetime.min.time(), tzinfo=zone)
    return round(local.timestamp() * 1000)


def zone_offset_s(instant_ms: int, zone: ZoneInfo) -> int:
    """Local minus UTC at this instant."""
    offset = datetime.fromtimestamp(instant_ms / 1000, UTC).astimezone(zone).utcoffset()
    return int((offset or timedelta()).total_seconds())


def day_of(instant_ms: Ints, offset_s: Ints) -> Ints:
    """The local day of each instant by its own offset."""
    return (instant_ms + offset_s.astype(np.int64) * 1000) // DAY_MS


def cut_at_midnight(
    start_ms: Ints, end_ms: Ints, start_offset_s: Ints, end_offset_s: Ints, zone: ZoneInfo | None
) -> Pieces:
    """
    The intervals (length above 0), cut where the local day changes, in the same order.

    The day is the one of the interval's own offsets. Where these differ (the clock changed, or its owner
    travelled, on the way) each midnight is taken at the offset of the nearer end; with a zone whose time the
    interval keeps, exactly where the zone has it.
    """
    first = day_of(start_ms, start_offset_s)
    days = np.maximum(day_of(end_ms - 1, end_offset_s) - first, 0) + 1
    row = np.repeat(np.arange(len(start_ms)), days)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(days) - days, days)
    day = first[row] + nth
    is_first, is_last = nth == 0, nth == days[row] - 1
    begin, end = start_ms[row], end_ms[row]
    offset = np.where(is_first, start_offset_s[row], end_offset_s[row])
    inner = np.flatnonzero(~is_first)
    midnights = _midnights(
        day[inner], begin[inner], end[inner], start_offset_s[row[inner]], end_offset_s[row[inner]], zone
    )
    begin[inner] = np.clip(midnights, begin[inner], end[inner])
    end[~is_last] = begin[inner]
    kept = begin < end
    return Pieces(row[kept], day[kept], begin[kept], end[kept], offset[kept])


def _midnights(day: Ints, start_ms: Ints, end_ms: Ints, start_s: Ints, end_s: Ints, zone: ZoneInfo | None) -> Ints:
    """The instant at which `day` begins inside each of these intervals."""
    by_start = day * DAY_MS - start_s.astype(np.int64) * 1000
    by_end = day * DAY_MS - end_s.astype(np.int64) * 1000
    midnights = np.where(by_start - start_ms <= end_ms - by_start, by_start, by_end)
    if zone is not None:
        for i in range(len(day)):
            if zone_offset_s(int(start_ms[i]), zone) == start_s[i]:
                midnights[i] = zone_midnight_ms(int(day[i]), zone)
    return midnights
