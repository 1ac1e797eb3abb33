"""Freeze windows: times in which nothing new is started, and when that ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

HORIZON = timedelta(days=400)
"""How far an opening is looked for: a year and what a yearly recurrence may shift."""


@dataclass(frozen=True, slots=True)
class FreezeWindow:
    """A time in which no target is started; in flight goes on, a rollback is never stopped.

    Times are those of the wall clock in ``timezone``, and so is the duration: what begins on Friday
    at 16:00 and lasts 62 hours ends on Monday at 06:00, whatever the clock does on Sunday.

    :param start: when it begins; of a recurrence, the moment from which it is counted
    :param rrule: recurrence of RFC 5545 without ``RRULE:``; empty: it comes once
    :param last_day: last day on which a recurrence may begin
    """

    name: str
    reason: str
    timezone: str
    start: datetime
    duration: timedelta
    rrule: str = ""
    last_day: date | None = None

    def __str__(self) -> str:
        """Say when it is and why."""
        last = f", last on {self.last_day}" if self.last_day else ""
        when = (
            f"{self.rrule} at {self.start:%H:%M} for {self.duration}{last}"
            if self.rrule
            else f"{self.start:%Y-%m-%d %H:%M} to {self.start + self.duration:%Y-%m-%d %H:%M}"
        )
        return f"{self.name} ({self.reason}): {when}, {self.timezone}"


@dataclass(frozen=True, slots=True)
class Closure:
    """One occurrence of a window, in UTC; ``end`` is the first moment that is open again."""

    window: FreezeWindow
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Freeze:
    """What closes a channel now. ``opens_at``: None when no opening is in sight."""

    window: FreezeWindow
    opens_at: datetime | None

    def __str__(self) -> str:
        """Say what is frozen, why, and until when on the window's own clock."""
        zone = ZoneInfo(self.window.timezone)
        until = (
            f"until {self.opens_at.astimezone(zone):%a %Y-%m-%d %H:%M %Z} ({zone})"
            if self.opens_at
            else f"and no opening comes within {HORIZON.days} days: edit the windows"
        )
        return f"frozen by {self.window.name} ({self.window.reason}) {until}"


def closure(window: FreezeWindow, start: datetime) -> Closure:
    """Place the occurrence that begins at ``start`` on the wall clock.

    A start that the clock skips is read with the offset before, and one that comes twice is the
    first, as RFC 5545 says; of an end that is not unique the later counts.
    """
    zone = ZoneInfo(window.timezone)
    begin = start.replace(tzinfo=zone).astimezone(UTC)
    last = start + window.duration
    end = max(last.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return Closure(window, begin, end if end > begin else begin + window.duration)


def frozen_at(closures: Sequence[Closure], now: datetime) -> Freeze | None:
    """Say what is frozen now and when the next opening comes; None when nothing is.

    Windows that overlap or touch are one: the opening comes after the last of them.

    :param closures: all that end after ``now`` and begin within the horizon
    """
    first, until = None, now
    for each in sorted(closures, key=lambda c: c.start):
        if each.start <= until < each.end:
            first, until = first or each, each.end
    if first is None:
        return None
    return Freeze(first.window, until if until < now + HORIZON else None)
