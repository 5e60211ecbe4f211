"""Dates as half-open ranges in microseconds since 1970 UTC (R4 section 3.1.1.4.7).

A date without a time zone is taken as UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any

FAR_PAST = -(1 << 62)
FAR_FUTURE = 1 << 62

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
_EPOCH_DAY = date(1970, 1, 1).toordinal()

_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?\Z",
    re.ASCII,
)

Range = tuple[int, int]


class BadDate(ValueError):
    """The text is not a date, dateTime or instant."""


def date_range(text: str) -> Range:
    """
    The range [low, high) that a date of any precision covers.

    text    YYYY, YYYY-MM, YYYY-MM-DD, or with a time from minutes to any fraction of a second, zone optional
    raises  BadDate, also for days and times that do not exist
    """
    match = _DATE.match(text)
    if match is None:
        raise BadDate
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        if month is None:
            return _midnight(int(year), 1, 1), _first_of_month(int(year) + 1, 1)
        if day is None:
            return _midnight(int(year), int(month), 1), _first_of_month(int(year), int(month) + 1)
        low = _midnight(int(year), int(month), int(day))
    except ValueError as error:
        raise BadDate from error
    if hour is None:
        return low, low + DAY
    low += _time(int(hour), int(minute), int(second or 0)) - _offset(zone)
    if second is None:
        return low, low + MINUTE
    return _with_fraction(low, fraction)


def _midnight(year: int, month: int, day: int) -> int:
    return (date(year, month, day).toordinal() - _EPOCH_DAY) * DAY


def _first_of_month(year: int, month: int) -> int:
    """Midnight of the first of a month that may be the thirteenth, or lie in the year 10000."""
    year, month = (year + 1, 1) if month == 13 else (year, month)
    if year == 10_000:
        return _midnight(9999, 12, 31) + DAY
    return _midnight(year, month, 1)


def _time(hour: int, minute: int, second: int) -> int:
    # 60 is a leap second.
    if hour > 23 or minute > 59 or second > 60:
        raise BadDate
    return ((hour * 60 + minute) * 60 + second) * SECOND


def _offset(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 14 or minutes > 59:
        raise BadDate
    offset = (hours * 60 + minutes) * MINUTE
    return -offset if zone[0] == "-" else offset


def _with_fraction(low: int, fraction: str | None) -> Range:
    if fraction is None:
        return low, low + SECOND
    digits = fraction[:6]
    low += int(digits.ljust(6, "0"))
    return low, low + 10 ** (6 - len(digits))


def _of_text(value: str) -> Sequence[Range]:
    try:
        return (date_range(value),)
    except BadDate:
        # Validation refuses such a value; where it was switched off, the resource cannot be found by it.
        return ()


def _of_period(period: Any) -> Sequence[Range]:
    start, end = period.get("start"), period.get("end")
    low = [found[0] for found in _of_text(start)] if start else [FAR_PAST]
    high = [found[1] for found in _of_text(end)] if end else [FAR_FUTURE]
    return tuple(zip(low, high, strict=False)) if start or end else ()


def _envelope(ranges: Iterable[Range]) -> Sequence[Range]:
    found = list(ranges)
    return ((min(low for low, _ in found), max(high for _, high in found)),) if found else ()


def _of_timing(timing: Any) -> Sequence[Range]:
    """From the first to the last moment that the timing names: its events, the bounds of its repetition."""
    bounds = timing.get("repeat", {}).get("boundsPeriod")
    events = [found for event in timing.get("event", ()) if event for found in _of_text(event)]
    return _envelope([*events, *(_of_period(bounds) if bounds else ())])


CONVERTERS: dict[str, Callable[[Any], Sequence[Range]]] = {
    "date": _of_text,
    "dateTime": _of_text,
    "instant": _of_text,
    "Period": _of_period,
    "Timing": _of_timing,
}
