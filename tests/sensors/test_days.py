"""Daily step totals: what people see in the Health app, and what earlier importers got wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.days import DailySteps, summarise
from sensors.plausibility import Flag
from sensors.records import StepColumns, StepRecords
from sensors.sources import Source, ranked

WATCH = Source("Sam's Apple\N{NO-BREAK SPACE}Watch", "Apple Inc.", "Watch", "Watch6,1")
PHONE = Source("Sam's iPhone", "Apple Inc.", "iPhone", "iPhone14,5")
OTHER = Source("Step Diary")
LONDON = ZoneInfo("Europe/London")
MONDAY = datetime(2026, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 6, 1, tzinfo=UTC)

Row = tuple[Source, datetime, datetime, float]


def columns(*rows: Row, by_hand: tuple[Row, ...] = (), exported: datetime | None = LATER) -> StepRecords:
    built = StepColumns()
    for row in (*rows, *by_hand):
        source, start, end, steps = row
        built.add(source, _moment(start), _moment(end), steps, row in by_hand)
    return built.records("apple-health", exported_at=exported)


def _moment(at: datetime) -> tuple[int, int]:
    offset = at.utcoffset()
    assert offset is not None
    return round(at.timestamp() * 1000), int(offset.total_seconds())


def walk(source: Source, start: datetime, minutes: float, steps: float) -> Row:
    return source, start, start + timedelta(minutes=minutes), steps


def days(records: StepRecords, **options) -> list[DailySteps]:
    return summarise(records, now=LATER, **options)


def totals(records: StepRecords, **options) -> dict[str, int | None]:
    return {day.date.isoformat(): day.steps for day in days(records, **options)}


def at(hour: float, day: datetime = MONDAY) -> datetime:
    return day + timedelta(hours=hour)


def test_phone_steps_outside_the_time_of_the_watch_are_added():
    """Reported as 4,157 (watch only) where the Health app showed 14,079."""
    records = columns(walk(WATCH, at(8), 60, 4157), walk(PHONE, at(8), 60, 4000), walk(PHONE, at(12), 120, 9922))
    assert totals(records) == {"2026-01-12": 14079}


def test_phone_and_watch_that_overlap_fully_are_counted_once():
    """Reported as 13,405 (sum) where 7,639 was true."""
    records = columns(walk(WATCH, at(9), 90, 7639), walk(PHONE, at(9), 90, 5766))
    assert totals(records) == {"2026-01-12": 7639}


@pytest.mark.parametrize(("phone_from", "total"), [(9, 100), (10, 190), (9.5, 145)])
def test_overlap_counts_by_its_share_of_time(phone_from, total):
    records = columns(walk(WATCH, at(9), 60, 100), walk(PHONE, at(phone_from), 60, 90))
    assert totals(records) == {"2026-01-12": total}


def test_a_short_pause_of_the_watch_does_not_let_the_phone_in():
    paused = [walk(WATCH, at(9), 10, 900), walk(WATCH, at(9) + timedelta(minutes=11), 10, 900)]
    records = columns(*paused, walk(PHONE, at(9), 21, 1800))
    assert totals(records) == {"2026-01-12": 1800}


def test_the_watch_taken_off_lets_the_phone_in():
    worn = [walk(WATCH, at(9), 10, 900), walk(WATCH, at(9.5), 10, 900)]
    records = columns(*worn, walk(PHONE, at(9.25), 10, 500))
    assert totals(records) == {"2026-01-12": 2300}


def test_a_record_of_the_whole_day_does_not_hide_finer_ones():
    records = columns(walk(WATCH, at(0), 24 * 60, 8000), walk(PHONE, at(9), 60, 3000))
    (day,) = days(records)
    assert day.steps == 3000 + round(8000 * 23 / 24)
    assert Flag.DAILY_TOTAL in day.flags


def test_a_day_total_rewritten_through_the_day_counts_once():
    records = columns(walk(OTHER, at(0), 8 * 60, 2000), walk(OTHER, at(0), 12 * 60, 5000))
    assert totals(records) == {"2026-01-12": 5000}


def test_the_order_of_sources_can_be_chosen():
    records = columns(walk(WATCH, at(9), 60, 100), walk(PHONE, at(9), 60, 90))
    assert totals(records, priority=("phone", "watch")) == {"2026-01-12": 90}
    assert totals(records, priority=(PHONE.name,)) == {"2026-01-12": 90}


def test_watch_goes_before_phone_goes_before_anything_else():
    assert ranked([OTHER, PHONE, WATCH]) == [WATCH, PHONE, OTHER]


def test_steps_entered_by_hand_are_reported_but_not_counted():
    records = columns(walk(PHONE, at(9), 60, 90), by_hand=(walk(PHONE, at(12), 60, 5000),))
    (day,) = days(records)
    assert (day.steps, day.manual_steps) == (90, 5000)
    assert Flag.MANUAL in day.flags


def test_a_day_with_only_entries_by_hand_has_no_total_instead_of_zero():
    (day,) = days(columns(by_hand=(walk(PHONE, at(12), 60, 5000),)))
    assert day.steps is None


@pytest.mark.parametrize(
    ("row", "flag"),
    [
        (walk(WATCH, at(9), 2, 2 * 300), Flag.TOO_FAST),
        (walk(WATCH, at(9), 0.5, 400), Flag.TOO_FAST),
        (walk(WATCH, at(9), 5 / 60, 400), Flag.TOO_FAST),
        (walk(WATCH, at(9), 10, -5), Flag.NEGATIVE),
        (walk(WATCH, at(9), -10, 50), Flag.REVERSED),
        (walk(WATCH, at(9), 37 * 60, 9000), Flag.TOO_LONG),
    ],
)
def test_an_impossible_record_is_held_back_and_the_phone_steps_in(row, flag):
    (day,) = days(columns(row, walk(PHONE, at(9), 10, 700)))
    assert (day.steps, day.held_back_steps) == (700, row[3])
    assert flag in day.flags


def test_a_record_of_tomorrow_is_held_back():
    records = columns(walk(WATCH, at(9), 10, 700), walk(WATCH, at(30), 10, 700), exported=at(12))
    today, tomorrow = days(records)
    assert (today.steps, tomorrow.steps) == (700, None)
    assert Flag.FUTURE in tomorrow.flags


def test_a_day_above_the_limit_is_held_back_whole():
    (day,) = days(columns(*(walk(WATCH, at(h), 60, 12000) for h in range(8, 14))))
    assert (day.steps, day.held_back_steps) == (None, 72000)
    assert Flag.DAY_OVER_LIMIT in day.flags


def test_a_stamp_of_five_seconds_is_not_taken_for_a_sprint():
    """Exports of 2014 put the steps of several minutes into records of exactly five seconds."""
    stamps = [walk(OTHER, at(9) + timedelta(minutes=6 * i), 5 / 60, 400) for i in range(4)]
    (day,) = days(columns(*stamps))
    assert day.steps == 1600
    assert Flag.STAMPED in day.flags


def test_a_stamp_with_more_steps_than_its_pause_allows_is_held_back():
    stamps = [walk(OTHER, at(9) + timedelta(minutes=6 * i), 5 / 60, 400) for i in range(4)]
    (day,) = days(columns(*stamps, walk(OTHER, at(9.5), 5 / 60, 8000)))
    assert (day.steps, day.held_back_steps) == (1600, 8000)


def test_records_without_length_count_once_and_give_way_to_the_watch():
    stamp = (PHONE, at(9), at(9), 40.0)
    assert totals(columns(stamp, stamp)) == {"2026-01-12": 40}
    assert totals(columns(stamp, walk(WATCH, at(8.9), 30, 900))) == {"2026-01-12": 900}


def test_a_walk_over_midnight_is_shared_by_time():
    records = columns(walk(WATCH, at(23.5), 40, 4000))
    assert totals(records) == {"2026-01-12": 3000, "2026-01-13": 1000}


def test_the_day_is_the_local_one_not_that_of_utc():
    sydney = datetime(2026, 1, 13, 8, tzinfo=ZoneInfo("Australia/Sydney"))
    assert totals(columns(walk(WATCH, sydney, 30, 3000))) == {"2026-01-13": 3000}


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 5, 5), 24)])
def test_days_have_23_24_or_25_hours_and_a_total_of_the_day_stays_in_it(day, hours):
    midnight = datetime.combine(day, datetime.min.time(), LONDON)
    following = datetime.combine(day + timedelta(days=1), datetime.min.time(), LONDON)
    records = columns((OTHER, midnight, following, 8000.0), exported=None)
    (summary,) = summarise(records, now=datetime(2027, 1, 1, tzinfo=UTC), zone=LONDON)
    assert (summary.date, summary.steps) == (day, 8000)
    assert summary.ends_at - summary.begins_at == timedelta(hours=hours)
    assert Flag.OFFSET_CHANGE not in summary.flags


def test_midnight_is_where_the_zone_has_it_although_the_clock_changed_in_the_record():
    """12:00 to 02:30 local, over midnight and then the change at 01:00; 13.5 hours in truth."""
    start = datetime(2026, 3, 28, 12, tzinfo=UTC).astimezone(LONDON)
    end = datetime(2026, 3, 29, 1, 30, tzinfo=UTC).astimezone(LONDON)
    records = columns((OTHER, start, end, 1350.0))
    assert totals(records, zone=LONDON) == {"2026-03-28": 1200, "2026-03-29": 150}


def test_a_day_of_travel_is_marked_and_nothing_is_lost():
    tokyo = ZoneInfo("Asia/Tokyo")
    records = columns(
        walk(WATCH, datetime(2026, 1, 12, 8, tzinfo=tokyo), 30, 3000),
        walk(WATCH, datetime(2026, 1, 12, 18, tzinfo=LONDON), 30, 2000),
    )
    (day,) = days(records, zone=LONDON)
    assert day.steps == 5000
    assert Flag.OFFSET_CHANGE in day.flags


def test_a_day_is_preliminary_until_48_hours_after_its_end():
    rows = [walk(WATCH, at(9 + 24 * i), 30, 3000) for i in range(4)]
    summary = days(columns(*rows, exported=at(4 * 24)))
    assert [day.preliminary for day in summary] == [False, False, True, True]


def test_the_time_of_the_import_changes_nothing():
    records = columns(walk(WATCH, at(9), 30, 3000), exported=at(12))
    assert summarise(records, now=at(13)) == summarise(records, now=LATER)


def test_hours_with_records_and_seconds_of_conflict_tell_how_good_the_day_is():
    (day,) = days(columns(walk(WATCH, at(9), 90, 900), walk(PHONE, at(10), 60, 700), walk(PHONE, at(15), 5, 50)))
    assert (day.hours_with_records, day.conflict_s, day.sources) == (3, 1800, 2)
    assert day.source_kinds == ("watch", "phone")


def test_two_phones_are_not_counted_twice():
    old = Source("Sam's iPhone", "Apple Inc.", "iPhone", "iPhone12,1")
    assert totals(columns(walk(PHONE, at(9), 60, 90), walk(old, at(9), 60, 90))) == {"2026-01-12": 90}


def test_an_export_without_steps_has_no_days():
    assert days(columns()) == []


@given(st.integers(-200, 200), st.integers(0, 23))
def test_the_summary_of_a_week_is_the_same_in_whatever_part_of_the_calendar_it_lies(shift, hour):
    """Days are summarised in blocks; where a block ends must not show."""

    def week(first: datetime) -> list[tuple]:
        rows = [
            walk(source, first + timedelta(hours=10 * i + hour), 11 * 60, 900 + i)
            for i in range(16)
            for source in (WATCH, OTHER)
        ]
        stamps = [
            walk(PHONE, first + timedelta(hours=20 * i, minutes=5 * n), 0, 300) for i in range(8) for n in range(3)
        ]
        return [(day.date - first.date(), *_facts(day)) for day in days(columns(*rows, *stamps))]

    assert week(MONDAY + timedelta(days=shift) - timedelta(days=400)) == week(MONDAY - timedelta(days=400))


def _facts(day: DailySteps) -> tuple:
    return day.steps, day.conflict_s, day.hours_with_records, day.sources, day.held_back_steps, day.flags


rows = st.builds(
    walk,
    st.sampled_from([WATCH, PHONE, OTHER]),
    st.integers(0, 72 * 60).map(lambda minutes: MONDAY + timedelta(minutes=minutes)),
    st.integers(0, 600),
    st.integers(0, 900),
)


@given(st.lists(rows, max_size=25), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_give_the_same_days(some, rng):
    again = [*some, *rng.choices(some, k=5)] if some else []
    rng.shuffle(again)
    assert days(columns(*again)) == days(columns(*some))


@given(st.lists(rows, max_size=25))
def test_no_day_has_more_than_the_sum_of_its_records(some):
    summary = days(columns(*some))
    counted = sum((day.steps or 0) + day.held_back_steps for day in summary)
    assert 0 <= counted <= sum(row[3] for row in some) + len(summary)
