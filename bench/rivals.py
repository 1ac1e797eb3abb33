"""Two rules that others judge by, for comparison: a z-score and Kayenta's test."""

from __future__ import annotations

import math

import numpy as np

from phased_rollout.judge.case import Array, Case, Group

Z = 3.0
"""Standard deviations that the z-score rule takes for harm; applied to the mean of five points."""
CONFIDENCE = 0.98
TOLERANCE = 0.25
"""Kayenta's defaults: confidence of the test, and how much of the shift is borne."""
_HOUR = 3600.0


def z_score(case: Case) -> bool:
    """Fail when five minutes of any changed target are beyond 3 sd of its own past day."""
    for metric in case.metrics:
        for series in metric.series:
            if series.group is Group.CHANGED:
                past, soak = _split(case, series.times, series.values, 24 * _HOUR)
                fives = soak[: len(soak) // 5 * 5].reshape(-1, 5).mean(axis=1)
                if len(past) and bool((fives > past.mean() + Z * past.std()).any()):
                    return True
    return False


def kayenta(case: Case) -> bool:
    """Fail when any changed target's soak is above its own three hours before, by Mann-Whitney."""
    for metric in case.metrics:
        for series in metric.series:
            if series.group is Group.CHANGED:
                past, soak = _split(case, series.times, series.values, 3 * _HOUR)
                if len(past) and len(soak) and _above(soak, past):
                    return True
    return False


def kayenta_pooled(case: Case) -> bool:
    """Fail when the changed targets' soak is above the controls', all points pooled."""
    for metric in case.metrics:
        pools: dict[Group, list[Array]] = {Group.CHANGED: [], Group.CONTROL: []}
        for series in metric.series:
            past, soak = _split(case, series.times, series.values, 3 * _HOUR)
            pools[series.group].append((soak - past.mean()) / (past.std() or 1.0))
        if pools[Group.CONTROL] and _above(
            np.concatenate(pools[Group.CHANGED]), np.concatenate(pools[Group.CONTROL])
        ):
            return True
    return False


def _split(case: Case, times: Array, values: Array, before: float) -> tuple[Array, Array]:
    known = np.isfinite(values)
    past = known & (times >= case.soak_start - before) & (times < case.soak_start)
    soak = known & (times >= case.soak_start) & (times < case.soak_end)
    return values[past], values[soak]


def _above(ours: Array, theirs: Array) -> bool:
    """Say whether ours are greater, by the test and by more than a quarter of the shift."""
    shift = float(np.median(ours[:, None] - theirs[None, :]))
    return shift > 0 and _tail(ours - TOLERANCE * shift, theirs) < (1 - CONFIDENCE) / 2


def _tail(ours: Array, theirs: Array) -> float:
    """Give the upper tail of Mann and Whitney's U, by its normal approximation with ties."""
    n, m = len(ours), len(theirs)
    _, at, counts = np.unique(
        np.concatenate([ours, theirs]), return_inverse=True, return_counts=True
    )
    ranks = np.cumsum(counts) - (counts - 1) / 2
    u = ranks[at[:n]].sum() - n * (n + 1) / 2
    ties = float((counts**3 - counts).sum()) / ((n + m) * (n + m - 1))
    sd = math.sqrt(n * m / 12 * max(n + m + 1 - ties, 1e-9))
    return 0.5 * math.erfc((u - n * m / 2 - 0.5) / sd / math.sqrt(2))
