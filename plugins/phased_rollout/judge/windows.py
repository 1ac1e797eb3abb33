"""Cuts series into the soak and windows of the past that are as long; pure array work."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phased_rollout.judge.case import Array, Flags, Group, Metric, Series, Worse
from phased_rollout.judge.rules import DAY, MIN_PRE, MIN_WINDOWS, STEP

_MOST_HISTORY = 28 * DAY
_ENOUGH = 0.5  # of the points that such a window usually has
_IQR_OF_SD = 1.349
_ROUNDING = 1e-13
FAR = 1e6
"""Standard deviations beyond which it makes no difference how far."""


@dataclass(frozen=True, slots=True)
class Span:
    """The part of the soak that is judged.

    :param end: where it ends; the soak's own end at the last look
    """

    start: float
    end: float

    @property
    def length(self) -> float:
        """Seconds that are judged."""
        return self.end - self.start

    @property
    def pre(self) -> float:
        """Seconds before them that they are compared with."""
        return max(self.length, MIN_PRE)


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """How far each target's mean moved from before a window to within it; above 0 is worse.

    In standard deviations of the target's own points before the soak.

    :param moves: targets x windows: column 0 is the soak, column m begins m quarters of an hour
        earlier; NaN where points are missing or the window would reach into the soak
    :param points: of each target within the soak
    :param silent: whether a target's soak cannot be told, and why, in words
    """

    names: tuple[str, ...]
    changed: Flags
    moves: Array
    points: Array
    silent: dict[str, str]


def moves_of(metric: Metric, span: Span) -> Moves:
    """Measure all series of a metric."""
    times, values = _table(metric.series, span)
    values = _in_sd(values, times < span.start)
    moves, points = _means(times, values, span)
    late = _ends_early(times, values, span)
    moves[late, 0] = np.nan
    moves[np.isfinite(moves[:, 1:]).sum(axis=1) < MIN_WINDOWS, 0] = np.nan
    if metric.worse is Worse.LOWER:
        moves = -moves
    return Moves(
        names=tuple(each.target for each in metric.series),
        changed=np.array([each.group is Group.CHANGED for each in metric.series], dtype=bool),
        moves=moves,
        points=points,
        silent={
            each.target: _why_silent(points[row], moves[row], ends_early=bool(late[row]))
            for row, each in enumerate(metric.series)
            if math.isnan(moves[row, 0])
        },
    )


def _table(series: tuple[Series, ...], span: Span) -> tuple[Array, Array]:
    """Put series side by side, targets x points; what is left of a row is at the end of time."""
    ordered = [_in_order(each.times, each.values, span) for each in series]
    width = max((len(times) for times, _ in ordered), default=0)
    table = np.full((2, len(series), width), np.nan)
    table[0] = np.inf
    for row, (times, values) in enumerate(ordered):
        table[0, row, : len(times)], table[1, row, : len(times)] = times, values
    table[1][~np.isfinite(table[1])] = np.nan
    return table[0], table[1]


def _in_order(times: Array, values: Array, span: Span) -> tuple[Array, Array]:
    """Sort by time, leave out what no window needs, average what has the same time."""
    first = span.start - span.pre - _MOST_HISTORY
    if not len(times):
        return times, values
    rising = bool((times[1:] > times[:-1]).all())
    if not rising or times[-1] >= span.end or times[0] < first:
        inside = (first <= times) & (times < span.end)
        times, values = times[inside], values[inside]
    if not rising:
        known = np.isfinite(values)
        times, at = np.unique(times, return_inverse=True)
        with np.errstate(invalid="ignore", over="ignore"):
            sums = np.bincount(at[known], weights=values[known], minlength=len(times))
            values = sums / np.bincount(at[known], minlength=len(times))
    return times, values


def _in_sd(values: Array, past: Flags) -> Array:
    """Express each row in standard deviations from the median of its past, robustly.

    Where most of the past is one value its plain standard deviation serves; where all of it is, any
    other value is ``FAR`` away. Huge values end there too, so that sums lose no digits.
    """
    largest = np.nan_to_num(np.fmax.reduce(np.abs(values), axis=1, initial=0.0))
    values = np.ldexp(values, -np.frexp(largest)[1][:, None] - 2)  # by a power of 2: exactly
    before = np.where(past, values, np.nan)
    low, middle, high = _quartiles(before)
    values -= middle[:, None]
    before -= middle[:, None]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        plain = np.sqrt(np.nansum(before * before, axis=1) / np.isfinite(before).sum(axis=1))
        sd = np.where(high > low, (high - low) / _IQR_OF_SD, np.nan_to_num(plain))
        sd = np.where(sd > _ROUNDING * np.abs(middle), sd, 0.0)[:, None]
        values = np.divide(values, sd, out=np.zeros_like(values), where=values != 0)
    return np.clip(values, -FAR, FAR, out=values)


def _quartiles(past: Array) -> list[Array]:
    """Give the lower quartile, median and upper quartile of each row; 0 where it is empty."""
    if not past.shape[1]:
        return [np.zeros(len(past))] * 3
    ordered, known = np.sort(past, axis=1), np.isfinite(past).sum(axis=1)  # NaN go last
    places = [np.minimum(known * k // 4, np.maximum(known - 1, 0)) for k in (1, 2, 3)]
    rows = np.arange(len(past))
    return [np.nan_to_num(ordered[rows, place]) for place in places]


def _means(times: Array, values: Array, span: Span) -> tuple[Array, Array]:
    """Give all windows' moves, NaN where one holds too few points, and the points in the soak."""
    first = float(times.min()) if times.size else span.start
    past = min(span.start - span.pre - first, _MOST_HISTORY)
    starts = span.start - STEP * np.arange(1 + max(int(past // STEP), 0))
    edges = np.stack([starts - span.pre, starts, starts + span.length])
    at = _places(times, edges)
    known = np.isfinite(values)
    sums = np.diff(_up_to(np.where(known, values, 0.0), at), axis=1)
    counts = np.diff(_up_to(known, at), axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
    first_past = math.ceil(span.length / STEP)
    usual = median(np.where(counts > 0, counts, np.nan)[:, :, first_past:])
    enough = np.maximum(_ENOUGH * np.nan_to_num(usual), 1)[:, :, None]
    means[counts < enough] = np.nan
    means[:, :, 1:first_past] = np.nan
    moves: Array = means[:, 1] - means[:, 0]
    return moves, counts[:, 1, 0]


def _places(times: Array, edges: Array) -> NDArray[np.intp]:
    """Give the place of each edge in each row of times: rows, or 1 for all, x edges."""
    if len(times) and (times == times[0]).all():
        return np.searchsorted(times[0], edges)[None]
    places = [np.searchsorted(row, edges) for row in times]
    return np.stack(places) if places else np.zeros((0, *edges.shape), dtype=np.intp)


def _up_to(values: Array | Flags, at: NDArray[np.intp]) -> Array:
    """Sum each row up to some places in it."""
    total = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=total[:, 1:])
    if len(at) == 1:
        return total[:, at[0]]
    flat = at.reshape(len(at), math.prod(at.shape[1:]))
    return np.take_along_axis(total, flat, 1).reshape(at.shape)


def _ends_early(times: Array, values: Array, span: Span) -> Flags:
    """Say which rows had points, one a quarter at least, but none in the last quarter."""
    soak = np.isfinite(values) & (times >= span.start)
    counted, late = soak.sum(axis=1), (soak & (times >= span.end - span.length / 4)).sum(axis=1)
    result: Flags = (counted >= 4) & (late == 0)  # noqa: PLR2004 - quarters
    return result


def _why_silent(points: float, moves: Array, *, ends_early: bool) -> str:
    if not points:
        return "no point in the soak"
    if ends_early:
        return "no point in the last quarter of what is judged"
    if (windows := int(np.isfinite(moves[1:]).sum())) < MIN_WINDOWS:
        return f"its past holds {windows} windows as long as this one, of {MIN_WINDOWS} needed"
    return f"{points:.0f} points in the soak, less than half of what such a window usually has"


def mean(values: Array) -> Array:
    """Give the mean along the last axis without NaN; NaN where nothing is left, silently."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        result: Array = np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1)
    return result


def median(values: Array) -> Array:
    """Give the median along the last axis without NaN; NaN where nothing is left, silently."""
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(values, axis=-1)  # NaN go last
    count = np.isfinite(values).sum(axis=-1)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    high = np.minimum(high, max(values.shape[-1] - 1, 0))
    picked = [np.take_along_axis(ordered, at[..., None], -1)[..., 0] for at in (low, high)]
    result: Array = np.where(count > 0, (picked[0] + picked[1]) / 2, np.nan)
    return result
