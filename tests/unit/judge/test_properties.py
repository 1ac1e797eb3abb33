"""What must not change a verdict, and how often nothing looks like harm."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phased_rollout.judge.case import Case, Group, Metric, Series, Worse
from phased_rollout.judge.judgement import Verdict
from phased_rollout.judge.judging import judge
from tests.unit.judge.cases import HOUR, START, case_of, with_series, without_soak

FLEETS = st.sampled_from([(1, 1), (3, 3), (3, 9), (4, 12), (3, 0), (15, 30)])
FEW = settings(max_examples=15, deadline=None)


@FEW
@given(
    FLEETS, st.integers(0, 99), st.sampled_from([0.0, 1.5, 3.0]), st.randoms(use_true_random=False)
)
def test_names_and_order_of_targets_and_metrics_change_nothing(
    fleet: tuple[int, int], seed: int, harm: float, random: np.random.Generator
) -> None:
    case = case_of(*fleet, seed=seed, harm=harm, names=("latency", "errors"))
    number = {s.target: random.random() for s in case.metrics[0].series}
    renamed = case
    for metric in range(2):
        renamed = with_series(
            renamed, lambda s: replace(s, target=f"x{number[s.target]}"), metric=metric
        )
    metrics = [
        replace(each, series=tuple(random.sample(each.series, len(each.series))))
        for each in renamed.metrics
    ]
    found, other = judge(case), judge(replace(renamed, metrics=tuple(reversed(metrics))))
    assert other.verdict is found.verdict
    for one, two in zip(found.metrics, reversed(other.metrics), strict=True):
        assert (one.verdict, one.rule) == (two.verdict, two.rule)
        assert one.p == pytest.approx(two.p, rel=1e-6)


@FEW
@given(FLEETS, st.integers(0, 99), st.sampled_from([0.0, 1.5, 3.0]), st.integers(0, 2**32))
def test_another_unit_for_each_target_changes_nothing(
    fleet: tuple[int, int], seed: int, harm: float, units: int
) -> None:
    random = np.random.default_rng(units)
    case = case_of(*fleet, seed=seed, harm=harm)
    moved = with_series(
        case,
        lambda s: replace(s, values=s.values * random.lognormal(0, 3) + random.normal(0, 100)),
    )
    found, other = judge(case), judge(moved)
    assert other.verdict is found.verdict
    assert other.metrics[0].p == pytest.approx(found.metrics[0].p, rel=1e-5)


@FEW
@given(FLEETS, st.integers(0, 99), st.sampled_from([0.0, 3.0]))
def test_no_data_of_the_changed_targets_never_passes(
    fleet: tuple[int, int], seed: int, harm: float
) -> None:
    silent = with_series(
        case_of(*fleet, seed=seed, harm=harm),
        lambda s: without_soak(s) if s.group is Group.CHANGED else s,
    )
    assert judge(silent).verdict is Verdict.INCONCLUSIVE


VALUES = st.one_of(
    st.floats(width=64), st.sampled_from([math.nan, 0.0, 1.0, 1e308, -1e308, 5e-324])
)
POINTS = st.lists(st.tuples(st.floats(START - 30 * HOUR, START + 2 * HOUR), VALUES), max_size=40)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(POINTS, max_size=6), st.integers(0, 6), st.sampled_from([1.0, 60.0, HOUR, 90 * HOUR])
)
def test_no_series_however_odd_breaks_the_judge_or_passes_without_points(
    rows: list[list[tuple[float, float]]], changed: int, length: float
) -> None:
    series = tuple(
        Series(
            f"t{row}",
            Group.CHANGED if row < changed else Group.CONTROL,
            np.array([at for at, _ in points]),
            np.array([value for _, value in points]),
        )
        for row, points in enumerate(rows)
    )
    metric = Metric("odd", Worse.LOWER, series, min_points=1)
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        found = judge(Case(START, START + length, (metric,)))
    if found.verdict is Verdict.PASS:
        assert any(START <= at < START + length for row in rows[:changed] for at, _ in row)


@pytest.mark.parametrize(
    ("changed", "controls", "alpha"), [(3, 9, 0.01), (3, 3, 0.05), (1, 1, 0.01)]
)
def test_over_500_seeds_of_noise_no_more_fail_than_alpha_allows(
    changed: int, controls: int, alpha: float
) -> None:
    seeds = 500
    failed = sum(
        judge(case_of(changed, controls, seed=seed, alpha=alpha)).verdict is Verdict.FAIL
        for seed in range(seeds)
    )
    assert failed / seeds <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / seeds)


def test_a_thousand_targets_of_eight_metrics_take_seconds() -> None:
    names = tuple("abcdefgh")
    case = case_of(100, 900, days=23 / 24, every=60.0, names=names)
    began = time.process_time()
    found = judge(case)
    assert found.verdict is Verdict.PASS
    assert time.process_time() - began < 6  # 2 s on a quiet machine; a busy one shares its caches
