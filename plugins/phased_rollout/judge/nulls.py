"""What a move of the changed targets is compared with: other choices of targets, other days."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from phased_rollout.judge.case import Array, Flags
from phased_rollout.judge.rules import DAY, EXACT, SAMPLED, STEP, ways_of
from phased_rollout.judge.tails import t_tail
from phased_rollout.judge.windows import FAR, Span, mean, median

CLIP = 5.0
"""MADs beyond which it makes no difference how far, so that one wild target decides nothing."""
WIDE_CLIP = 10.0
"""The same where few targets are judged over time: at 5 one against one could hardly ever fail."""
A_DAY = int(DAY / STEP)
AROUND = 8
"""Windows begun up to two hours earlier or later on other days say how much a day varies."""
_TIE = 1e-9
_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Test:
    """One test: its statistic, the upper tail of it when nothing happened, and what scales it."""

    statistic: float
    p: float
    scale: float = math.nan
    df: float = math.nan


def in_mads(moves: Array) -> Array:
    """Divide by each target's own median absolute deviation over windows of the past.

    Where that is 0, by the mean absolute deviation; a target that never moved is ``FAR`` off by any
    move.
    """
    past = moves[:, 1:]
    distances = np.abs(past - median(past)[:, None])
    mad = median(distances)
    mad = np.where(mad > 0, mad, mean(distances))[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(np.where(moves == 0, 0.0, moves / mad), -FAR, FAR)


def against(moves: Array, others: Flags) -> Array:
    """Take the median of some targets out of all, window by window."""
    return moves - median(moves[others].T)[None, :]


def less_usual(values: Array, column: int = 0) -> Array:
    """Take out what each target usually does at this time of day, judged by the other days."""
    other = values[:, _same_time(column, values.shape[1])]
    usual = np.nan_to_num(mean(other))
    result: Array = values[:, column] - usual
    return result


def _same_time(column: int, size: int) -> list[int]:
    return [each for each in range(column % A_DAY, size, A_DAY) if each not in (0, column)]


def days_in(difference: Array) -> int:
    """Count the earlier days with a window at the soak's time of day."""
    return int(np.isfinite(difference[A_DAY::A_DAY]).sum())


def separate_in(difference: Array, span: Span) -> float:
    """Count how many windows of the past, as long as the soak, fit in it without overlapping."""
    past = np.flatnonzero(np.isfinite(difference[1:])) + 1
    if not len(past):
        return 0.0
    covered = (past[-1] - past[0]) * STEP + span.length
    return float(covered // span.length)


def difference(values: Array, changed: Flags, clip: float = CLIP) -> Array:
    """Give mean of changed targets less mean of controls, where half of each are there."""
    sides = [_side(np.clip(values[side], -clip, clip)) for side in (changed, ~changed)]
    return sides[0] - sides[1] if (~changed).any() else sides[0]


def _side(values: Array) -> Array:
    enough = np.isfinite(values).sum(axis=0) >= len(values) / 2
    return np.where(enough, mean(values.T), np.nan)


def against_days(difference: Array, span: Span) -> Test:
    """Compare with the same time of other days, scaled by how those differ from each other."""
    grid = _days_around(difference)
    count = np.isfinite(grid).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        left_out = (grid - mean(grid.T)) * (count / (count - 1))
    left_out[:, count < 2] = np.nan  # noqa: PLR2004 - two days have a difference
    scale = float(np.sqrt(mean((left_out**2).ravel())))
    days = grid[:, AROUND]
    df = min(count[AROUND], count[AROUND] * DAY / span.length) - 1
    move = float(difference[0] - mean(days))
    return _student(move, scale, float(df), separate_in(difference, span))


def _days_around(difference: Array) -> Array:
    size = len(difference)
    days = np.arange(1, (size - 1) // A_DAY + 1)[:, None]
    at = days * A_DAY + np.arange(-AROUND, AROUND + 1)[None, :]
    return np.where(at < size, difference[np.minimum(at, size - 1)], np.nan)


def against_windows(difference: Array, span: Span) -> Test:
    """Compare with all windows of the past, whatever their time of day."""
    past = difference[1:]
    past = past[np.isfinite(past)]
    scale = float(past.std()) if len(past) else 0.0
    separate = separate_in(difference, span)
    move = float(difference[0] - past.mean()) if len(past) else 0.0
    return _student(move, scale, separate - 1, separate)


def _student(move: float, scale: float, df: float, separate: float) -> Test:
    if abs(move) < _TIE:
        return Test(0.0, 0.5, scale, df)
    if not scale > _TIE:  # it never varied: only how often it was looked at says how rare a move is
        return Test(math.copysign(FAR, move), 1 / (separate + 1) if move > 0 else 1.0, 0.0, df)
    return Test(move / scale, t_tail(move / scale, df), scale, df)


def among_targets(values: Array, changed: Flags) -> Test:
    """Compare the changed targets with other choices of as many targets.

    Depends on neither the order nor the names of the targets.
    """
    values = np.clip(values, -CLIP, CLIP)
    ordered = np.concatenate([np.sort(values[changed]), np.sort(values[~changed])])
    few, all_others = int(changed.sum()), int((~changed).sum())
    gap = float(values[changed].mean() - values[~changed].mean())
    return Test(gap, float(_tails(ordered[:, None], few, all_others)[0]))


def among_targets_before(columns: Array, changed: Flags) -> Array:
    """Give the p of ``among_targets`` for several windows of the past: targets x windows."""
    known = np.isfinite(columns)
    values = np.clip(np.where(known, columns, 0), -CLIP, CLIP)
    order = np.concatenate([np.flatnonzero(changed), np.flatnonzero(~changed)])
    values = values[order]
    few = int(changed.sum())
    values[:few].sort(axis=0)
    values[few:].sort(axis=0)
    return _tails(values, few, len(values) - few, most=_AT_ONCE)


def _tails(values: Array, few: int, others: int, most: int = SAMPLED) -> Array:
    """Give how many choices of targets have as great a sum as the first ``few`` rows."""
    smaller = few <= others
    size, total = (few, 0.0) if smaller else (others, values.sum(axis=0))
    sign = 1.0 if smaller else -1.0
    own = values[:few].sum(axis=0)
    exact = ways_of(few, others) <= EXACT
    chosen = _choices(few + others, size)[: None if exact else most]
    at_least = np.zeros(values.shape[1])
    for part in np.array_split(chosen, math.ceil(len(chosen) / _AT_ONCE)):
        at_least += (total + sign * _sums(values, part) >= own - _TIE).sum(axis=0)
    if exact:
        return at_least / len(chosen)
    return (1 + at_least) / (1 + len(chosen))


def _sums(values: Array, chosen: NDArray[np.intp]) -> Array:
    """Sum the chosen rows, for each choice and column, in the way that is quickest."""
    if values.shape[1] == 1:
        sums: Array = values[:, 0][chosen].sum(axis=1, keepdims=True)
        return sums
    picked = np.zeros((len(chosen), len(values)))
    np.put_along_axis(picked, chosen, 1.0, axis=1)
    return picked @ values


@lru_cache(maxsize=16)
def _choices(count: int, size: int) -> NDArray[np.intp]:
    """Give all choices of some of so many targets, or a sample that is always the same."""
    if ways_of(size, count - size) <= EXACT:
        return np.array(list(combinations(range(count), size)), dtype=np.intp)
    random, parts = np.random.default_rng([count, size]), []
    for done in range(0, SAMPLED, 500):
        ranks = random.random((min(500, SAMPLED - done), count))
        parts.append(np.argpartition(ranks, size - 1, axis=1)[:, :size])
    return np.concatenate(parts)
