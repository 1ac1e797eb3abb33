"""How freeze windows are written: once with dates, or as a recurrence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from phased_rollout import recurrence
from phased_rollout.config.fields import Duration, Maybe, Strict, Text, TimeZone
from phased_rollout.config.problems import Path
from phased_rollout.config.rules import WRITTEN
from phased_rollout.model.definition import Config
from phased_rollout.model.windows import FreezeWindow

_SOME_TIME = datetime(2025, 1, 1, tzinfo=UTC)
_YEARS = range(2000, 2200)


def _moment(value: Any) -> date | datetime:
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo or found.year not in _YEARS:
            raise ValueError(value)
    except (TypeError, ValueError):
        example = '"2027-01-31", or "2027-01-31T16:00" on the clock of the time zone'
        raise ValueError(f"{WRITTEN} is no day: write one such as {example}") from None
    return found if "T" in value else found.date()


def _time_of_day(value: Any) -> time:
    try:
        found = time.fromisoformat(value)
        if found.tzinfo:
            raise ValueError(value)
    except (TypeError, ValueError):
        raise ValueError(
            f'{WRITTEN} is no time of day: write one in quotes, such as "16:00"'
        ) from None
    return found


Moment = Annotated[
    date | datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "minLength": 10})
]
TimeOfDay = Annotated[
    time, BeforeValidator(_time_of_day), WithJsonSchema({"type": "string", "pattern": r"^\d\d:"})
]


class WindowSettings(Strict):
    """A time in which nothing new is started.

    :param timezone: of the window's clock; the rollout's unless set
    :param begins: ``from`` in the file: first day or moment of a window that comes once; first day
        of a recurrence
    :param until: last day, or the moment of the end; of a recurrence, the last day it begins on
    :param rrule: recurrence of RFC 5545, of days
    :param start: time of day at which each recurrence begins
    :param duration: how long it lasts, on the wall clock
    """

    name: Text
    reason: Text
    timezone: Maybe[TimeZone] = None
    begins: Maybe[Moment] = Field(default=None, alias="from")
    until: Maybe[Moment] = None
    rrule: Maybe[Text] = None
    start: Maybe[TimeOfDay] = None
    duration: Maybe[Duration] = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.rrule is not None:
            self._check_recurrence(self.rrule)
        elif self.begins is None or self.until is None or self.start or self.duration:
            raise ValueError("say when: set either from and until, or rrule, start and duration")
        elif _end(self.until) <= _beginning(self.begins):
            raise ValueError("ends before it begins: set until to a later day than from")
        return self

    def _check_recurrence(self, rrule: str) -> None:
        if self.start is None or self.duration is None:
            raise ValueError("recurs: set start (a time of day) and duration, too")
        if any(isinstance(day, datetime) for day in (self.begins, self.until)):
            raise ValueError("recurs: write from and until as days, the time of day is start")
        if what := recurrence.problem_with(rrule, has_first_day=self.begins is not None):
            raise ValueError(f"rrule {rrule}: {what}")

    def window(self, timezone: str) -> FreezeWindow:
        """Give the window; ``timezone`` is that of the rollout."""
        zone = self.timezone or timezone
        if self.rrule is None or self.start is None or self.duration is None:
            begins, ends = _beginning(self.begins), _end(self.until)
            return FreezeWindow(self.name, self.reason, zone, begins, ends - begins)
        first = datetime.combine(self.begins or recurrence.ANYWHERE, self.start)
        return FreezeWindow(
            self.name, self.reason, zone, first, self.duration, self.rrule, self.until
        )


def _beginning(moment: date | datetime | None) -> datetime:
    """Give the first moment of a day; a moment is that itself."""
    if isinstance(moment, datetime):
        return moment
    return datetime.combine(moment or date.min, time())


def _end(moment: date | datetime | None) -> datetime:
    """Give the first moment after a day; a moment is that itself."""
    return _beginning(moment) + timedelta(days=0 if isinstance(moment, datetime) else 1)


def endless(config: Config) -> Iterator[tuple[str, Path]]:
    """Give the channels whose windows together never open: what is wrong, and where."""
    seen: dict[tuple[FreezeWindow, ...], bool] = {}
    for name, definition in config.definitions.items():
        for position, channel in enumerate(definition.channels):
            lasting = tuple(w for w in channel.freeze if w.rrule and w.last_day is None)
            if lasting not in seen:
                seen[lasting] = _never_opens(lasting)
            if seen[lasting]:
                path: Path = ("rollouts", name, "channels", position, "freeze")
                names = ", ".join(window.name for window in lasting)
                yield f"never opens again: {names}: leave a gap between the windows", path


def _never_opens(windows: tuple[FreezeWindow, ...]) -> bool:
    starts = [_SOME_TIME, *(w.start.replace(tzinfo=UTC) for w in windows)]
    freeze = recurrence.freeze_of(windows, max(starts) + timedelta(days=2))
    return freeze is not None and freeze.opens_at is None
