"""Small fleets of series for the tests of the judge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from phased_rollout.judge.case import Array, Case, Group, Metric, Series, Worse

START = 1_790_000_100.0
MINUTE = 60.0
HOUR = 3600.0


def times_of(*, days: float = 8, minutes: int = 60, every: float = 5 * MINUTE) -> Array:
    """Points from some days before the soak to its end, after so many minutes."""
    return START + np.arange(-round(days * 24 * HOUR / every), round(minutes * 60 / every)) * every


def case_of(
    changed: int = 3,
    controls: int = 9,
    *,
    seed: int = 0,
    minutes: int = 60,
    harm: float = 0.0,
    shock: float = 0.0,
    names: tuple[str, ...] = ("latency",),
    alpha: float = 0.01,
    **times: Any,
) -> Case:
    """A soak of independent noise, in which changed targets and the whole fleet get worse."""
    random = np.random.default_rng(seed)
    at = times_of(minutes=minutes, **times)
    metrics = []
    for name in names:
        values = random.standard_normal((changed + controls, len(at)))
        values[:, at >= START] += shock
        values[:changed, at >= START] += harm
        metrics.append(metric_of(values, at, changed, name=name))
    return Case(START, START + minutes * 60, tuple(metrics), alpha)


def metric_of(values: Array, at: Array, changed: int, name: str = "latency", **more: Any) -> Metric:
    """One metric over rows of values, of which the first are of changed targets."""
    groups = [Group.CHANGED if row < changed else Group.CONTROL for row in range(len(values))]
    series = tuple(
        Series(f"{group}-{row}", group, at, values[row]) for row, group in enumerate(groups)
    )
    return Metric(name, Worse.HIGHER, series, min_points=10, **more)


def with_series(case: Case, change: Any, metric: int = 0) -> Case:
    """Let a function change the series of one metric; it gives None for one to leave out."""
    metrics = list(case.metrics)
    series = (change(each) for each in metrics[metric].series)
    metrics[metric] = replace(metrics[metric], series=tuple(s for s in series if s is not None))
    return replace(case, metrics=tuple(metrics))


def without_soak(series: Series) -> Series:
    """Let a series fall silent when the soak begins."""
    before = series.times < START
    return replace(series, times=series.times[before], values=series.values[before])
