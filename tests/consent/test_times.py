"""FHIR dates as half-open ranges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.times import period, span, written

DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("text", "start", "length_us"),
    [
        ("2026", "2026-01-01T00:00:00", 365 * DAY),
        ("2024", "2024-01-01T00:00:00", 366 * DAY),
        ("2024-02", "2024-02-01T00:00:00", 29 * DAY),
        ("2026-12", "2026-12-01T00:00:00", 31 * DAY),
        ("2026-11-21", "2026-11-21T00:00:00", DAY),
        ("2026-11-21T10:30:00Z", "2026-11-21T10:30:00", 1_000_000),
        ("2026-11-21T10:30:00.25Z", "2026-11-21T10:30:00.250000", 10_000),
        ("2026-11-21T00:30:00+02:00", "2026-11-20T22:30:00", 1_000_000),
        ("1969-12-31", "1969-12-31T00:00:00", DAY),
        ("9999-12-31", "9999-12-31T00:00:00", DAY),
    ],
)
def test_a_date_stands_for_all_the_time_its_precision_leaves_open(text: str, start: str, length_us: int) -> None:
    low, high = span(text)
    assert written(low).startswith(start)
    assert high - low == length_us


@given(
    st.datetimes(
        min_value=datetime(1900, 1, 2),  # noqa: DTZ001 - the zone is drawn beside it
        max_value=datetime(2100, 1, 1),  # noqa: DTZ001 - the zone is drawn beside it
        timezones=st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m))),
    )
)
def test_an_instant_with_a_zone_is_the_moment_that_python_knows(moment: datetime) -> None:
    text = moment.isoformat(timespec="microseconds")
    assert span(text)[0] == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize("text", ["", "26", "2026-13", "2026-02-30", "2026-1-1", "2026-01-01T10:00", "x2026"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        span(text)


def test_a_period_ends_with_its_last_day() -> None:
    assert period({"start": "2026-01-01", "end": "2026-01-02"})[1] == span("2026-01-03")[0]


def test_a_period_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="before"):
        period({"start": "2026-01-02", "end": "2026-01-01"})
