"""FHIR dates as half-open ranges of microseconds since 1970 UTC (R4 datatypes, 2.24.0.1).

A date stands for all the time its precision leaves open: `2026-11-21` is that whole day, in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from consent.rows import FAR_FUTURE, FAR_PAST

_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d+))?"
    r"(?:Z|([+-])(0\d|1[0-4]):([0-5]\d))?)?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)
_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US
_DAY_US = 24 * 60 * _MINUTE_US


def span(text: str) -> tuple[int, int]:
    """
    The range that a date, dateTime or instant stands for.

    raises   ValueError when it is not one, or not a day of the calendar
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("not a FHIR date or dateTime")
    year, month, day, hour = match.group(1, 2, 3, 4)
    start = _midnight(int(year), int(month or 1), int(day or 1))
    if hour is not None:
        return _instant(start, match)
    if day is not None:
        return start, start + _DAY_US
    if month is not None and month != "12":
        return start, _midnight(int(year), int(month) + 1, 1)
    return start, start + 31 * _DAY_US if month else _midnight(int(year), 12, 31) + _DAY_US


def period(value: Mapping[str, Any]) -> tuple[int, int]:
    """The range of a Period: its end is inclusive to the precision given, an absent end is open."""
    start, end = value.get("start"), value.get("end")
    low = span(start)[0] if start is not None else FAR_PAST
    high = span(end)[1] if end is not None else FAR_FUTURE
    if low >= high:
        raise ValueError("the period ends before it starts")
    return low, high


def written(at_us: int) -> str:
    """The instant as FHIR writes it, in UTC to the microsecond."""
    return (_EPOCH + at_us * _MICROSECOND).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _instant(midnight: int, match: re.Match[str]) -> tuple[int, int]:
    hour, minute, second, fraction, sign, zone_hour, zone_minute = match.group(4, 5, 6, 7, 8, 9, 10)
    start = midnight + (int(hour) * 60 + int(minute)) * _MINUTE_US + int(second) * _SECOND_US
    if sign is not None:
        ahead = (int(zone_hour) * 60 + int(zone_minute)) * _MINUTE_US
        start += -ahead if sign == "+" else ahead
    if fraction is None:
        return start, start + _SECOND_US
    start += int(fraction[:6].ljust(6, "0"))
    return start, start + 10 ** max(0, 6 - len(fraction))


def _midnight(year: int, month: int, day: int) -> int:
    return (date(year, month, day).toordinal() - _EPOCH_DAY) * _DAY_US
