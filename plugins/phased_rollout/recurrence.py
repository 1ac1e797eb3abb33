"""Finds the occurrences of freeze windows, with python-dateutil.

dateutil is imported only when a recurrence is read: the model does without it, and so does a file
without windows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import MAXYEAR, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from phased_rollout.model.windows import (
    HORIZON,
    Closure,
    Freeze,
    FreezeWindow,
    closure,
    frozen_at,
)

ANYWHERE = date.min
"""First day of a recurrence that is the same from whatever day it is counted."""

_ADJACENT = timedelta(days=2)
"""More than clocks of time zones differ, and than daylight saving time moves them."""
_LATE = datetime(MAXYEAR - 41, 1, 1)  # noqa: DTZ001 - wall clock
"""dateutil looks for a date that never comes until the last year; in 41 years all others come."""
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_BY_DAY = {"BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"}
_KNOWN = _BY_DAY | {"FREQ", "INTERVAL", "BYMONTH", "BYSETPOS", "WKST"}


def freeze_of(windows: Iterable[FreezeWindow], now: datetime) -> Freeze | None:
    """Say which window freezes now and when all of them together open; None when none does."""
    found = [c for window in windows for c in closures(window, now)]
    return frozen_at(found, now)


def closures(window: FreezeWindow, now: datetime) -> Iterator[Closure]:
    """Give the occurrences that may matter now or on the way to the next opening."""
    local = now.astimezone(ZoneInfo(window.timezone)).replace(tzinfo=None)
    since, until = local - window.duration - _ADJACENT, local + HORIZON + _ADJACENT
    if not window.rrule:
        starts = [window.start] if since <= window.start <= until else []
    else:
        if window.last_day:
            until = min(until, datetime.combine(window.last_day, time.max))
        starts = _rule(window.rrule, _count_from(window.start, since)).between(since, until)
    return (closure(window, start) for start in starts)


def problem_with(text: str, *, has_first_day: bool) -> str | None:
    """Say what is wrong with a recurrence and how to mend it; None when it can be used.

    :param has_first_day: whether the window says from which day on it counts
    """
    parts = dict(part.partition("=")[::2] for part in text.upper().split(";"))
    if parts.get("FREQ") not in _FREQUENCIES:
        return f"begin with FREQ= and one of {', '.join(_FREQUENCIES)}"
    if parts.keys() & {"UNTIL", "COUNT"}:
        return "write the last day as until: beside it, in place of UNTIL or COUNT"
    if unknown := sorted(parts.keys() - _KNOWN):
        return f"{', '.join(unknown)} cannot be used here: the time of day is start:"
    try:
        if not re.fullmatch("0*[1-9][0-9]{0,2}", parts.get("INTERVAL", "1")):
            raise ValueError("INTERVAL must be a number from 1 to 999")
        found = next(iter(_rule(text, _LATE)), None)
    except (ValueError, TypeError, IndexError) as error:
        return f"no recurrence of RFC 5545: {error}"
    named = parts["FREQ"] == "DAILY" or parts.keys() & _BY_DAY
    if not has_first_day and (parts.get("INTERVAL", "1") != "1" or not named):
        return "it depends on the day from which it is counted: add that day as from:"
    return "it never comes: choose days that exist" if found is None else None


def _count_from(start: datetime, since: datetime) -> datetime:
    """Begin to count shortly before it matters where the result is the same."""
    return start.replace(year=since.year - 1) if start.date() == ANYWHERE else start


def _rule(text: str, start: datetime) -> Any:
    from dateutil.rrule import rrulestr  # type: ignore[import-untyped]  # noqa: PLC0415

    return rrulestr(text, dtstart=start)
