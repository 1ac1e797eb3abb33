"""Freeze windows: when they close, when they open, and what clocks do to them meanwhile."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phased_rollout.model.windows import Freeze, FreezeWindow
from phased_rollout.recurrence import ANYWHERE, freeze_of, problem_with

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MINUTE = timedelta(minutes=1)
BERLIN = "Europe/Berlin"


def weekly(days: str, start: str, hours: float, zone: str = BERLIN, **kwargs: Any) -> FreezeWindow:
    first = datetime.combine(ANYWHERE, time.fromisoformat(start))
    rule = f"FREQ=WEEKLY;BYDAY={days}"
    return FreezeWindow(days, "why", zone, first, timedelta(hours=hours), rule, **kwargs)


def once(first: str, until: str, zone: str = BERLIN) -> FreezeWindow:
    begins, ends = datetime.fromisoformat(first), datetime.fromisoformat(until)
    return FreezeWindow("once", "why", zone, begins, ends - begins)


def opening(now: str, *windows: FreezeWindow) -> str | None:
    """Give the opening in UTC; None when nothing is frozen."""
    freeze = freeze_of(windows, datetime.fromisoformat(now).astimezone(UTC))
    return f"{freeze.opens_at:%Y-%m-%d %H:%M}" if freeze and freeze.opens_at else None


def test_nothing_is_frozen_outside_a_window_and_at_its_end() -> None:
    weekend = weekly("FR", "16:00", 62)
    assert opening("2026-01-09T15:59+01:00", weekend) is None
    assert opening("2026-01-09T16:00+01:00", weekend) == "2026-01-12 05:00"
    assert opening("2026-01-12T05:59+01:00", weekend) == "2026-01-12 05:00"
    assert opening("2026-01-12T06:00+01:00", weekend) is None


def test_dates_freeze_once() -> None:
    year_end = once("2026-12-20", "2027-01-07")
    assert opening("2026-12-31T12:00+01:00", year_end) == "2027-01-06 23:00"
    assert opening("2027-12-31T12:00+01:00", year_end) is None


def test_windows_that_overlap_or_touch_open_after_the_last_of_them() -> None:
    friday, weekend = weekly("FR", "16:00", 8), weekly("SA", "00:00", 48)
    year_end = once("2026-12-20T12:00", "2026-12-22")
    assert opening("2026-12-18T17:00+01:00", friday) == "2026-12-18 23:00"
    assert opening("2026-12-18T17:00+01:00", weekend, friday) == "2026-12-20 23:00"
    assert opening("2026-12-18T17:00+01:00", year_end, weekend, friday) == "2026-12-21 23:00"


def test_a_gap_between_two_windows_is_an_opening() -> None:
    friday, weekend = weekly("FR", "16:00", 7), weekly("SA", "00:00", 48)
    assert opening("2026-12-18T17:00+01:00", friday, weekend) == "2026-12-18 22:00"


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-03-27T17:00+01:00", "2026-03-30 04:00"),  # 06:00 CEST: an hour is lost on Sunday
        ("2026-10-23T17:00+02:00", "2026-10-26 05:00"),  # 06:00 CET: one comes twice
    ],
)
def test_a_weekend_ends_at_the_same_wall_clock_time_when_the_clock_changes(
    now: str, opens: str
) -> None:
    assert opening(now, weekly("FR", "16:00", 62)) == opens


def test_a_start_that_the_clock_skips_is_read_with_the_offset_before() -> None:
    nightly = weekly("SU", "02:30", 4)
    assert opening("2026-03-29T03:29+02:00", nightly) is None
    assert opening("2026-03-29T03:30+02:00", nightly) == "2026-03-29 04:30"


def test_a_window_that_the_clock_would_swallow_keeps_its_length() -> None:
    assert opening("2026-03-29T03:40+02:00", weekly("SU", "02:30", 0.5)) == "2026-03-29 02:00"


def test_a_time_that_comes_twice_begins_at_the_first_and_ends_at_the_second() -> None:
    nightly = weekly("SU", "02:15", 0.5)
    assert opening("2026-10-25T02:15+02:00", nightly) == "2026-10-25 01:45"
    assert opening("2026-10-25T02:44+01:00", nightly) == "2026-10-25 01:45"
    assert opening("2026-10-25T02:45+01:00", nightly) is None


def test_each_window_keeps_its_own_time_zone() -> None:
    east, west = (
        weekly("MO", "09:00", 9, "Asia/Tokyo"),
        weekly("MO", "09:00", 9, "America/New_York"),
    )
    assert opening("2026-01-05T01:00+00:00", east, west) == "2026-01-05 09:00"
    assert opening("2026-01-05T15:00+00:00", east, west) == "2026-01-05 23:00"


def test_a_recurrence_ends_after_its_last_day() -> None:
    last = weekly("FR", "16:00", 62, last_day=date(2026, 1, 9))
    assert opening("2026-01-10T12:00+01:00", last) == "2026-01-12 05:00"
    assert opening("2026-01-17T12:00+01:00", last) is None


def test_every_other_week_is_counted_from_the_first_day() -> None:
    rule = "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU"
    start, length = datetime(2026, 1, 6, 9), timedelta(hours=2)  # noqa: DTZ001 - wall clock
    other = FreezeWindow("patch day", "why", "UTC", start, length, rule)
    days = [datetime(2026, 1, d, 10, tzinfo=UTC) for d in (6, 13, 20, 27)]
    assert [freeze_of([other], day) is not None for day in days] == [True, False, True, False]


@pytest.mark.parametrize("hours", [168, 200])
def test_a_window_as_long_as_its_period_never_opens(hours: int) -> None:
    window = weekly("FR", "16:00", hours)
    now = datetime(2026, 1, 6, 9, tzinfo=UTC)
    freeze = freeze_of([window], now)
    assert freeze == Freeze(window, None)
    assert str(freeze) == (
        "frozen by FR (why) and no opening comes within 400 days: edit the windows"
    )


def test_a_freeze_says_when_it_opens_on_the_clock_of_its_window() -> None:
    freeze = freeze_of([weekly("FR", "16:00", 62)], datetime(2026, 3, 28, tzinfo=UTC))
    assert str(freeze) == "frozen by FR (why) until Mon 2026-03-30 06:00 CEST (Europe/Berlin)"


@pytest.mark.parametrize(
    ("rule", "first_day", "problem"),
    [
        ("FREQ=DAILY", False, None),
        ("FREQ=MONTHLY;BYDAY=-1FR", False, None),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", False, None),
        ("FREQ=WEEKLY", True, None),
        ("FREQ=WEEKLY", False, "from:"),
        ("FREQ=WEEKLY;BYDAY=FR;INTERVAL=2", False, "from:"),
        ("FREQ=WEEKLY;BYDAY=FR;INTERVAL=2", True, None),
        ("FREQ=HOURLY", False, "one of DAILY"),
        ("BYDAY=FR", False, "begin with FREQ="),
        ("FREQ=DAILY;COUNT=3", True, "until:"),
        ("FREQ=DAILY;UNTIL=20270101T000000Z", True, "until:"),
        ("FREQ=DAILY;BYHOUR=3", False, "BYHOUR cannot be used"),
        ("FREQ=WEEKLY;BYDAY=XX", False, "no recurrence of RFC 5545"),
        ("FREQ=WEEKLY;BYDAY=", False, "no recurrence of RFC 5545"),
        ("FREQ=DAILY;INTERVAL=0", True, "from 1 to 999"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", False, "never comes"),
    ],
)
def test_what_is_said_of_a_recurrence(rule: str, first_day: bool, problem: str | None) -> None:  # noqa: FBT001
    said = problem_with(rule, has_first_day=first_day)
    assert said is None if problem is None else problem in str(said)


def _instant(local: datetime, zone: ZoneInfo, fold: int = 0) -> datetime:
    return local.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _is_frozen(windows: list[FreezeWindow], now: datetime) -> bool:
    """Look at each day around ``now``, without dateutil and without merging anything."""
    for window in windows:
        zone = ZoneInfo(window.timezone)
        today = now.astimezone(zone).date()
        days = window.rrule.partition("BYDAY=")[2].split(",")
        for back in range(-2, window.duration.days + 4):
            day = today - timedelta(days=back)
            if WEEKDAYS[day.weekday()] not in days:
                continue
            local = datetime.combine(day, window.start.time())
            begin, last = _instant(local, zone), local + window.duration
            end = max(_instant(last, zone), _instant(last, zone, 1))
            if begin <= now < (end if end > begin else begin + window.duration):
                return True
    return False


ZONES = ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
WINDOWS = st.builds(
    weekly,
    st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=3, unique=True).map(",".join),
    st.times().map(lambda t: f"{t:%H:%M}"),
    st.integers(min_value=1, max_value=60 * 60).map(lambda minutes: minutes / 60),
    st.sampled_from(ZONES),
)
CHANGES = st.sampled_from(
    [date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5), date(2026, 10, 4), date(2026, 10, 25)]
)


@settings(max_examples=60, deadline=None)
@given(windows=st.lists(WINDOWS, min_size=1, max_size=3), day=CHANGES, minutes=st.integers(0, 4320))
def test_the_opening_is_the_first_minute_that_no_window_covers(
    windows: list[FreezeWindow], day: date, minutes: int
) -> None:
    now = datetime.combine(day, time(), UTC) - timedelta(days=1) + minutes * MINUTE
    freeze = freeze_of(windows, now)
    assert (freeze is not None) == _is_frozen(windows, now)
    if freeze is None:
        return
    end = now + timedelta(days=15)
    open_minute = now
    while open_minute < end and _is_frozen(windows, open_minute):
        open_minute += MINUTE
    assert freeze.opens_at == open_minute or (
        open_minute == end and (freeze.opens_at is None or freeze.opens_at >= end)
    )
