"""What is judged: the series of a channel's targets and of those not reached yet, and one soak."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from phased_rollout.errors import CaseError
from phased_rollout.judge.rules import (
    ALPHA,
    LOOKS,
    MAX_METRICS,
    MIN_EFFECT_SD,
    MIN_EXPOSURE,
    MIN_POINTS,
)

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
_Word = TypeVar("_Word", bound=StrEnum)

_MILLISECONDS = 1e11
"""Times from here on are of the year 5138, or no seconds."""
_HUGE = 10**300


class Group(StrEnum):
    """Which side of the comparison a target is on."""

    CHANGED = "changed"
    CONTROL = "control"


class Worse(StrEnum):
    """The direction in which a metric gets worse."""

    HIGHER = "higher"
    LOWER = "lower"


def _none() -> Array:
    return np.empty(0)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One metric of one target; any order, gaps as absent points or NaN.

    :param times: seconds since the epoch, as long as ``values``
    :param exposure: what was asked of the target at ``exposure_times``: requests, jobs; empty where
        nothing counts them
    """

    target: str
    group: Group
    times: Array
    values: Array
    exposure_times: Array = field(default_factory=_none)
    exposure: Array = field(default_factory=_none)


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric of a channel, with the series of all targets that it is judged by.

    :param min_effect_sd: least harm that counts, in standard deviations of a target's own points
    :param min_points: points that each group has to have in the soak, over all its targets
    :param min_exposure: what the changed targets have to have been asked in the soak, where counted
    """

    name: str
    worse: Worse
    series: tuple[Series, ...]
    min_effect_sd: float = MIN_EFFECT_SD
    min_points: int = MIN_POINTS
    min_exposure: float = MIN_EXPOSURE


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """All that one verdict rests on.

    :param soak_start: seconds since the epoch: when the channel's last target was verified
    :param soak_end: when the whole soak ends, whatever the look
    :param alpha: greatest rate of false alarms for the channel, over all its metrics and looks
    :param look: k of six looks, at k/6 of the soak; None judges the whole soak once
    """

    soak_start: float
    soak_end: float
    metrics: tuple[Metric, ...]
    alpha: float = ALPHA
    look: int | None = None


def parse(value: Any) -> Case:
    """Build a case from what JSON says; the format is that of docs/health.md.

    :raises CaseError: with every problem found, each with its place
    """
    found = _Reader()
    top = found.keys(value, "", needed=("soak", "metrics"), known=("alpha", "look"))
    soak = found.keys(top.get("soak", {}), "soak", needed=("start", "end"))
    start = found.number(soak.get("start", 0), "soak.start", most=_MILLISECONDS)
    end = found.number(soak.get("end", 1), "soak.end", most=_MILLISECONDS)
    if {"start", "end"} <= soak.keys() and not found.problems and end <= start:
        found.add("soak.end", f"{end:g} is not after soak.start, {start:g}")
    alpha = found.number(top.get("alpha", ALPHA), "alpha", least=1e-6, most=0.5)
    look = top.get("look")
    if look is not None and (type(look) is not int or not 1 <= look <= LOOKS):
        found.add("look", f"{_shown(look)} is no whole number from 1 to {LOOKS}")
    metrics = tuple(
        found.metric(each, f"metrics[{at}]")
        for at, each in enumerate(found.items(top.get("metrics", [{}]), "metrics"))
    )
    found.together(metrics)
    if found.problems:
        raise CaseError(found.problems)
    return Case(start, end, metrics, alpha, look)


def to_json(case: Case) -> dict[str, Any]:
    """Give the document that ``parse`` builds this case from; NaN becomes null."""
    return {
        "alpha": case.alpha,
        "look": case.look,
        "soak": {"start": case.soak_start, "end": case.soak_end},
        "metrics": [
            {
                "name": metric.name,
                "worse": metric.worse,
                "min_effect_sd": metric.min_effect_sd,
                "min_points": metric.min_points,
                "min_exposure": metric.min_exposure,
                "series": [_series_to_json(each) for each in metric.series],
            }
            for metric in case.metrics
        ],
    }


def _series_to_json(series: Series) -> dict[str, Any]:
    found: dict[str, Any] = {"target": series.target, "group": series.group}
    found["points"] = _points_to_json(series.times, series.values)
    if len(series.exposure_times):
        found["exposure"] = _points_to_json(series.exposure_times, series.exposure)
    return found


def _points_to_json(times: Array, values: Array) -> list[list[float | None]]:
    pairs = zip(times.tolist(), values.tolist(), strict=True)
    return [[time, value if math.isfinite(value) else None] for time, value in pairs]


class _Reader:
    """Reads parts of the document, and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def add(self, place: str, what: str) -> None:
        self.problems.append(f"{place}: {what}" if place else what)

    def keys(
        self, value: Any, place: str, *, needed: tuple[str, ...], known: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.add(place, f"{_shown(value)} is no object with {', '.join(needed)}")
            return {}
        for key in needed:
            if key not in value:
                self.add(place, f"{key!r} is missing")
        for key in value.keys() - {*needed, *known}:
            close = get_close_matches(key, [*needed, *known], n=1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            self.add(place, f"unknown key {key!r}{hint}")
        return value

    def items(self, value: Any, place: str) -> list[Any]:
        if not isinstance(value, list):
            self.add(place, f"{_shown(value)} is no list")
            return []
        return value

    def text(self, value: Any, place: str) -> str:
        if not isinstance(value, str) or not value.strip():
            self.add(place, f"{_shown(value)} is no name")
            return ""
        return value

    def number(
        self, value: Any, place: str, *, least: float = -math.inf, most: float = math.inf
    ) -> float:
        if type(value) not in (int, float) or not math.isfinite(value):
            self.add(place, f"{_shown(value)} is no number")
        elif most == _MILLISECONDS and value >= most:
            self.add(place, f"{value} is no time in seconds since the epoch; milliseconds?")
        elif not least <= value <= most:
            self.add(place, f"{value} is not between {least:g} and {most:g}")
        else:
            return float(value)
        return 1.0

    def choice(self, kind: type[_Word], value: Any, place: str) -> _Word:
        words = [str(each) for each in kind]
        if value in words:
            return kind(value)
        self.add(place, f"{_shown(value)} is not one of {', '.join(words)}")
        return next(iter(kind))

    def metric(self, value: Any, place: str) -> Metric:
        known = ("min_effect_sd", "min_points", "min_exposure")
        given = self.keys(value, place, needed=("name", "worse", "series"), known=known)
        least = {"min_effect_sd": MIN_EFFECT_SD, "min_points": MIN_POINTS}
        least["min_exposure"] = MIN_EXPOSURE
        effect, points, exposure = (
            self.number(given.get(key, usual), f"{place}.{key}", least=0)
            for key, usual in least.items()
        )
        series = [
            self.series(each, f"{place}.series[{at}]")
            for at, each in enumerate(self.items(given.get("series", []), f"{place}.series"))
        ]
        for target, count in Counter(each.target for each in series if each.target).items():
            if count > 1:
                self.add(f"{place}.series", f"target {target!r} is given {count} times")
        return Metric(
            name=self.text(given.get("name", "?"), f"{place}.name"),
            worse=self.choice(Worse, given.get("worse", "higher"), f"{place}.worse"),
            series=tuple(series),
            min_effect_sd=effect,
            min_points=math.ceil(points),
            min_exposure=exposure,
        )

    def series(self, value: Any, place: str) -> Series:
        needed = ("target", "group", "points")
        given = self.keys(value, place, needed=needed, known=("exposure",))
        times, values = self.points(given.get("points", []), f"{place}.points")
        asked_at, asked = self.points(given.get("exposure", []), f"{place}.exposure")
        return Series(
            target=self.text(given.get("target", "?"), f"{place}.target"),
            group=self.choice(Group, given.get("group", "control"), f"{place}.group"),
            times=times,
            values=values,
            exposure_times=asked_at,
            exposure=asked,
        )

    def points(self, value: Any, place: str) -> tuple[Array, Array]:
        for at, each in enumerate(self.items(value, place)):
            if why := _wrong(each):
                self.add(f"{place}[{at}]", why)
                return _none(), _none()  # one of thousands is enough
        if not isinstance(value, list) or not value:
            return _none(), _none()
        pairs = np.array(value, dtype=np.float64)  # None becomes NaN
        return pairs[:, 0].copy(), pairs[:, 1].copy()

    def together(self, metrics: tuple[Metric, ...]) -> None:
        """Check what no metric shows alone."""
        if not 1 <= len(metrics) <= MAX_METRICS:
            self.add("metrics", f"{len(metrics)} given; 1 to {MAX_METRICS} can be judged together")
        for name, count in Counter(each.name for each in metrics).items():
            if count > 1:
                self.add("metrics", f"name {name!r} is given {count} times")
        groups: dict[str, set[Group]] = defaultdict(set)
        for series in (series for metric in metrics for series in metric.series):
            groups[series.target].add(series.group)
        for target in sorted(target for target, found in groups.items() if len(found) > 1):
            self.add("metrics", f"target {target!r} is changed here and control there")


def _wrong(point: Any) -> str:
    if not isinstance(point, list) or len(point) != len(("time", "value")):
        return f"{_shown(point)} is no pair [time, value]"
    time, value = point
    if type(time) not in (int, float) or not abs(time) < math.inf:
        return f"time {_shown(time)} is no number"
    if time >= _MILLISECONDS:
        return f"{time} is no time in seconds since the epoch; milliseconds?"
    if value is None or type(value) is float or (type(value) is int and abs(value) < _HUGE):
        return ""
    return f"value {_shown(value)} is neither a number nor null"


def _shown(value: Any, most: int = 40) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}…"
