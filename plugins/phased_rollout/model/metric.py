"""What is measured of targets: what ends a soak at once, and what is judged over all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

MAX_JUDGED = 8
"""Judged metrics of a channel: with each more, harm has to be greater to be told from chance."""


class Worse(StrEnum):
    """In which direction a metric tells of harm."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Metric:
    """A judged metric: its series in the soak are compared with the past and with controls.

    :param name: unique among the metrics of a channel
    :param unit: in words, for people
    :param min_effect_sd: harm that is smaller, in standard deviations, is let pass; None: the
        judge's default
    :param min_points: points of each target in the soak below which nothing is known; None: the
        judge's default
    :param exposure: the counter of the same source without whose counts the metric says nothing
    :param min_exposure: how much it has to count in the soak, over all changed targets
    :param period: seconds between two points
    """

    name: str
    worse: Worse
    unit: str = ""
    min_effect_sd: float | None = None
    min_points: int | None = None
    exposure: str | None = None
    min_exposure: float | None = None
    period: float = 60.0


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A hard metric: so many points in a row beyond a limit are harm, and end the soak.

    :param above: the limit, or ``below``
    :param points: in a row, up to now
    """

    name: str
    above: float | None = None
    below: float | None = None
    points: int = 3
    unit: str = ""
    period: float = 60.0

    def beyond(self, value: float) -> bool:
        """Say whether a value is harm."""
        too_high = self.above is not None and value > self.above
        return too_high or (self.below is not None and value < self.below)

    def __str__(self) -> str:
        limit = f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"
        return f"{limit}{f' {self.unit}' if self.unit else ''}"


def judged(options: Mapping[str, Any]) -> tuple[Metric, ...]:
    """Give the metrics of a signal's options that are judged: those that say what is ``worse``."""
    return tuple(
        Metric(**{**_known(Metric, entry), "worse": Worse(entry["worse"])})
        for entry in options.get("metrics") or ()
        if entry.get("worse")
    )


def hard(options: Mapping[str, Any]) -> tuple[Ceiling, ...]:
    """Give the metrics of a signal's options that are hard: those that have a limit."""
    return tuple(
        Ceiling(**_known(Ceiling, entry))
        for entry in options.get("metrics") or ()
        if entry.get("above") is not None or entry.get("below") is not None
    )


def _known(shape: type[Metric | Ceiling], entry: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: entry[field.name] for field in fields(shape) if field.name in entry}
