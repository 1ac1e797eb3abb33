"""Cuts series into the soak and windows of the past that are as long; pure array work."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from phased_rollout.judge.case import Array, Flags, Group, Metric, Series, Worse
from phased_rollout.judge.rules import DAY, MIN_PRE, STEP

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
    count, size = len(metric.series), _columns(metric, span)
    moves, points = np.full((count, size), np.nan), np.zeros(count)
    late = np.zeros(count, dtype=bool)
    for rows, times, values in _blocks(metric.series, span):
        moves[rows], points[rows] = _means(times, values, span, size)
        late[rows] = _ends_early(times, values, span)
    moves[late, 0] = np.nan
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


def _columns(metric: Metric, span: Span) -> int:
    first = min((float(s.times.min()) for s in metric.series if len(s.times)), default=span.start)
    past = min(span.start - span.pre - first, _MOST_HISTORY)
    return 1 + max(int(past // STEP), 0)


def _blocks(series: tuple[Series, ...], span: Span) -> list[tuple[list[int], Array, Array]]:
    """Put series with the same times together: (rows, times, values as rows x times)."""
    rows: dict[bytes, list[Array]] = defaultdict(list)
    kept: dict[bytes, tuple[Array, list[int]]] = {}
    for row, each in enumerate(series):
        times, values = _in_order(each.times, each.values, span)
        if len(times):
            key = times.tobytes()
            rows[key].append(values)
            kept.setdefault(key, (times, []))[1].append(row)
    return [
        (numbers, times, _in_sd(times, np.array(rows[key]), span))
        for key, (times, numbers) in kept.items()
    ]


def _in_order(times: Array, values: Array, span: Span) -> tuple[Array, Array]:
    """Sort by time, leave out what is beyond the window, average what has the same time."""
    if (len(times) and times[-1] >= span.end) or not np.all(times[1:] > times[:-1]):
        inside = times < span.end
        times, values = times[inside], values[inside]
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
    if not np.all(times[1:] > times[:-1]):
        known = np.isfinite(values)
        times, at = np.unique(times, return_inverse=True)
        with np.errstate(invalid="ignore"):
            sums = np.bincount(at[known], weights=values[known], minlength=len(times))
            values = sums / np.bincount(at[known], minlength=len(times))
    return times, values


def _in_sd(times: Array, values: Array, span: Span) -> Array:
    """Express each row in standard deviations from the median of its past, robustly.

    Where most of the past is one value its plain standard deviation serves; where all of it is, any
    other value is ``FAR`` away. Huge values end there too, so that sums lose no digits.
    """
    values = np.where(np.isfinite(values), values, np.nan)
    largest = np.nan_to_num(np.fmax.reduce(np.abs(values), axis=1, initial=0.0))
    values = np.ldexp(values, -np.frexp(largest)[1][:, None] - 2)  # by a power of 2: exactly
    past = values[:, : max(int(np.searchsorted(times, span.start)), 1)]
    low, middle, high = _quartiles(past)
    values -= middle[:, None]
    past = values[:, : past.shape[1]]
    plain = np.sqrt(mean(past * past))
    sd = np.where(high > low, (high - low) / _IQR_OF_SD, plain)
    sd = np.where(sd > _ROUNDING * np.abs(middle), sd, 0.0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        values = np.where(values == 0, 0.0, values / sd[:, None])
    return np.clip(values, -FAR, FAR)


def _quartiles(past: Array) -> tuple[Array, Array, Array]:
    size = past.shape[1]
    at = [size // 4, size // 2, (3 * size) // 4]
    if np.isnan(past).any():
        ordered, known = np.sort(past, axis=1), np.isfinite(past).sum(axis=1)
        places = [np.maximum((known * k) // 4, 0) for k in (1, 2, 3)]
        low, middle, high = (
            np.nan_to_num(np.take_along_axis(ordered, place[:, None], 1)[:, 0]) for place in places
        )
    else:
        parts = np.partition(past, at, axis=1)
        low, middle, high = (parts[:, place] for place in at)
    return low, middle, high


def _means(times: Array, values: Array, span: Span, size: int) -> tuple[Array, Array]:
    starts = span.start - STEP * np.arange(size)
    edges = [np.searchsorted(times, starts + by) for by in (-span.pre, 0.0, span.length)]
    known = np.isfinite(values)
    sums, counts = _running(np.where(known, values, 0)), _running(known)
    with np.errstate(invalid="ignore", divide="ignore"):
        within = counts[:, edges[2]] - counts[:, edges[1]]
        before = counts[:, edges[1]] - counts[:, edges[0]]
        moves = (sums[:, edges[2]] - sums[:, edges[1]]) / within
        moves -= (sums[:, edges[1]] - sums[:, edges[0]]) / before
    first_past = math.ceil(span.length / STEP)
    moves[:, 1:first_past] = np.nan
    for counted in (within, before):
        usual = _usual(counted[:, first_past:])
        moves[counted < np.maximum(_ENOUGH * usual, 1)[:, None]] = np.nan
    return moves, within[:, 0]


def _running(values: Array | Flags) -> Array:
    total = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=total[:, 1:])
    return total


def _usual(counts: Array) -> Array:
    """Give the median count of the windows that hold any point; 0 where none does."""
    if not counts.size:
        return np.zeros(len(counts))
    return np.nan_to_num(median(np.where(counts > 0, counts, np.nan)))


def _ends_early(times: Array, values: Array, span: Span) -> Flags:
    """Say which rows had points, one a quarter at least, but none in the last quarter."""
    inside, last = np.searchsorted(times, [span.start, span.end - span.length / 4])
    known = np.isfinite(values)
    counted, late = known[:, inside:].sum(axis=1), known[:, last:].sum(axis=1)
    result: Flags = (counted >= 4) & (late == 0)  # noqa: PLR2004 - quarters
    return result


def _why_silent(points: float, moves: Array, *, ends_early: bool) -> str:
    if not points:
        return "no point in the soak"
    if ends_early:
        return "no point in the last quarter of what is judged"
    if not np.isfinite(moves).any():
        return "too few points before the soak"
    return f"{points:.0f} points in the soak, less than half of what such a window usually has"


def mean(values: Array) -> Array:
    """Give the mean along the last axis without NaN; NaN where nothing is left, silently."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        result: Array = np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1)
    return result


def median(values: Array) -> Array:
    """Give the median along the last axis without NaN; NaN where nothing is left, silently."""
    ordered = np.sort(values, axis=-1)  # NaN go last
    count = np.isfinite(values).sum(axis=-1)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    high = np.minimum(high, max(values.shape[-1] - 1, 0))
    picked = [np.take_along_axis(ordered, at[..., None], -1)[..., 0] for at in (low, high)]
    result: Array = np.where(count > 0, (picked[0] + picked[1]) / 2, np.nan)
    return result
