"""Which records can be true: limits are rows of plausibility.csv; what fails is flagged and held back."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import datetime
from enum import IntFlag
from functools import cache
from importlib import resources

import numpy as np

from sensors.records import Bools, Ints, StepRecords

DAY_MS = 86_400_000


class Flag(IntFlag):
    """What was noticed about a record or a day; the names are keys `flag-...` of codes.csv."""

    MANUAL = 1
    NEGATIVE = 2
    REVERSED = 4
    TOO_LONG = 8
    FUTURE = 16
    TOO_FAST = 32
    STAMPED = 64
    DAILY_TOTAL = 128
    DAY_OVER_LIMIT = 256
    OFFSET_CHANGE = 512


IMPLAUSIBLE = Flag.NEGATIVE | Flag.REVERSED | Flag.TOO_LONG | Flag.FUTURE | Flag.TOO_FAST
NOT_COUNTED = IMPLAUSIBLE | Flag.MANUAL


@dataclass(frozen=True)
class Limits:
    """The rows of plausibility.csv; rates in steps a minute, names ending in _s in seconds."""

    sustained_rate: float
    short_rate: float
    day_total: float
    future_s: float
    longest_s: float
    daily_total_s: float
    stamp_s: float
    stamp_reach_s: float


@cache
def default_limits() -> Limits:
    """The limits as reviewed in plausibility.csv."""
    text = resources.files("sensors").joinpath("plausibility.csv").read_text(encoding="utf-8")
    return Limits(**{row["limit"]: float(row["value"]) for row in csv.DictReader(text.splitlines())})


def judge(records: StepRecords, limits: Limits, as_of: datetime) -> Ints:
    """
    Flags (bits of Flag, int64) per record.

    records  as `StepRecords.distinct` gives them: by source, then start
    as_of    no record can end later than this (and the slack in limits.future_s)
    """
    duration_s = (records.end_ms - records.start_ms) / 1000
    latest_ms = (as_of.timestamp() + limits.future_s) * 1000
    stamped = _is_stamped(records, limits)
    found = {
        Flag.MANUAL: records.manual,
        Flag.NEGATIVE: records.steps < 0,
        Flag.REVERSED: duration_s < 0,
        Flag.TOO_LONG: duration_s > limits.longest_s,
        Flag.FUTURE: np.maximum(records.end_ms, records.start_ms) > latest_ms,
        Flag.TOO_FAST: _is_too_fast(records, stamped, limits),
        Flag.STAMPED: stamped,
        Flag.DAILY_TOTAL: duration_s > limits.daily_total_s,
    }
    flags = np.zeros(len(records), dtype=np.int64)
    for flag, where in found.items():
        flags[where] |= int(flag)
    return flags


def _is_stamped(records: StepRecords, limits: Limits) -> Bools:
    """
    The interval is a time stamp, not the time walked.

    True for a record without length, and for all records of a source's day when there are at least three and
    all have one and the same length of at most limits.stamp_s.
    """
    duration_ms = records.end_ms - records.start_ms
    if not len(records):
        return np.zeros(0, dtype=np.bool_)
    day = (records.start_ms + records.start_offset_s.astype(np.int64) * 1000) // DAY_MS
    first = np.ones(len(records), dtype=np.bool_)
    first[1:] = (records.source[1:] != records.source[:-1]) | (day[1:] != day[:-1])
    starts = np.flatnonzero(first)
    shortest, longest = np.minimum.reduceat(duration_ms, starts), np.maximum.reduceat(duration_ms, starts)
    count = np.diff(starts, append=len(records))
    alike = (shortest == longest) & (longest <= limits.stamp_s * 1000) & (count >= 3)
    stamped: Bools = np.repeat(alike, count) | (duration_ms == 0)
    return stamped


def _is_too_fast(records: StepRecords, stamped: Bools, limits: Limits) -> Bools:
    """More steps a minute than a person can make, over the time that the record speaks for."""
    # Exports cut times to whole seconds, so the true length may be up to a second more.
    seconds = np.maximum((records.end_ms - records.start_ms) / 1000, 0) + 1
    seconds = np.where(stamped, np.minimum(seconds + _pause_s(records), limits.stamp_reach_s), seconds)
    rate = records.steps / seconds * 60
    return np.asarray(rate > np.where(seconds > 60, limits.sustained_rate, limits.short_rate))


def _pause_s(records: StepRecords) -> Ints:
    """Seconds since the same source's record before this one ended; a very long time for its first."""
    pause = np.full(len(records), np.iinfo(np.int32).max, dtype=np.int64)
    same = records.source[1:] == records.source[:-1]
    since = np.maximum(records.start_ms[1:] - records.end_ms[:-1], 0) // 1000
    pause[1:][same] = since[same]
    return pause
