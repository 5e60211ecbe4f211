"""Dates as ranges, against the calendar of the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.r4.extract_dates import BadDate, date_range

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def us(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


@given(st.datetimes(), st.integers(-14 * 60, 14 * 60))
def test_instant_is_the_moment_that_the_standard_library_reads(moment: datetime, offset_minutes: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    text = zoned.isoformat(timespec="microseconds")
    low = (moment - EPOCH.replace(tzinfo=None)) // MICROSECOND - offset_minutes * 60_000_000
    assert date_range(text) == (low, low + 1)


@given(st.dates())
def test_day_month_and_year_are_nested(day: object) -> None:
    text = str(day)
    year, month, whole_day = date_range(text[:4]), date_range(text[:7]), date_range(text)
    assert year[0] <= month[0] <= whole_day[0] < whole_day[1] <= month[1] <= year[1]
    assert whole_day[1] - whole_day[0] == 86_400_000_000


@pytest.mark.parametrize(
    ("text", "low", "width_us"),
    [
        ("2024", datetime(2024, 1, 1, tzinfo=UTC), 366 * 86_400_000_000),
        ("2024-02", datetime(2024, 2, 1, tzinfo=UTC), 29 * 86_400_000_000),
        ("2024-12", datetime(2024, 12, 1, tzinfo=UTC), 31 * 86_400_000_000),
        ("9999-12", datetime(9999, 12, 1, tzinfo=UTC), 31 * 86_400_000_000),
        ("2024-02-29T10:30", datetime(2024, 2, 29, 10, 30, tzinfo=UTC), 60_000_000),
        ("2024-02-29T10:30:15Z", datetime(2024, 2, 29, 10, 30, 15, tzinfo=UTC), 1_000_000),
        ("2024-02-29T10:30:15.25-05:00", datetime(2024, 2, 29, 15, 30, 15, 250_000, tzinfo=UTC), 10_000),
        ("2024-02-29T10:30:15.1234567Z", datetime(2024, 2, 29, 10, 30, 15, 123_456, tzinfo=UTC), 1),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC), 1_000_000),
    ],
)
def test_date_covers_the_precision_it_is_written_with(text: str, low: datetime, width_us: int) -> None:
    assert date_range(text) == (us(low), us(low) + width_us)


@pytest.mark.parametrize(
    "text",
    [
        "", "0000", "24", "2024-13", "2023-02-29", "2024-1-1", "20240101", "2024-01-01T24:00:00Z", "2024-01-01T10",
        "2024-01-01 10:00:00Z", "2024-01-01T10:00:61Z", "2024-01-01T10:60:00Z", "2024-01-01T10:00:00+15:00",
        "2024-01-01T10:00:00+1000", "٢٠٢٤", "2024\n", "2024-01-01T10:00:00.Z", "10000-01-01",
    ],
)  # fmt: skip
def test_what_is_not_a_date_is_refused(text: str) -> None:
    with pytest.raises(BadDate):
        date_range(text)


@given(st.text())
def test_any_other_text_is_refused_and_nothing_else_happens(text: str) -> None:
    try:
        low, high = date_range(text)
    except BadDate:
        return
    assert low < high
