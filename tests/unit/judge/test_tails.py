"""Student's t against tables, and what may be spent at each look."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from phased_rollout.judge.rules import spending
from phased_rollout.judge.tails import t_quantile, t_tail


@pytest.mark.parametrize(
    ("t", "df", "p"),
    [
        (0.0, 3, 0.5),
        (1.0, 1, 0.25),
        (6.965, 2, 0.01),
        (2.681, 12, 0.01),
        (3.055, 12, 0.005),
        (1.671, 60, 0.05),
        (4.587, 10, 0.0005),
        (-1.0, 1, 0.75),
    ],
)
def test_the_tail_of_student_is_that_of_the_tables(t: float, df: float, p: float) -> None:
    assert t_tail(t, df) == pytest.approx(p, rel=1e-3)
    assert t_quantile(p, df) == pytest.approx(t, abs=1e-3 * max(abs(t), 1))


def test_endless_and_unknown_statistics_have_a_tail_too() -> None:
    assert (t_tail(float("inf"), 4), t_tail(float("-inf"), 4)) == (0.0, 1.0)
    assert t_tail(float("nan"), 4) != t_tail(float("nan"), 4)
    assert 0 < t_tail(40, 50) < 1e-30


def test_six_looks_spend_alpha_and_no_more() -> None:
    """Brownian motion that crosses at no look but by chance, over a million walks."""
    levels = [spending(alpha=0.01, look=look, floor=0.0) or 0.0 for look in range(1, 7)]
    walks = np.random.default_rng(1).standard_normal((1_000_000, 6)).cumsum(axis=1)
    bounds = [NormalDist().inv_cdf(1 - level) for level in levels]
    crossed = walks / np.sqrt(np.arange(1, 7)) >= bounds
    for look in range(1, 7):
        assert crossed[:, :look].any(axis=1).mean() <= 0.01 * (look / 6) ** 3 + 0.0003
    assert crossed.any(axis=1).mean() > 0.0085


@pytest.mark.parametrize(
    ("floor", "fifth", "last"),
    [
        (0.004, 0.01 * (5 / 6) ** 3, 0.01 * (1 - (5 / 6) ** 3)),
        (1 / 220, None, 0.01),  # of 3 targets against 9: the last look could not use what is left
    ],
)
def test_what_early_looks_cannot_use_is_left_to_the_later_ones(
    floor: float, fifth: float | None, last: float
) -> None:
    parts = [spending(alpha=0.01, look=look, floor=floor) for look in range(1, 7)]
    assert parts == [None, None, None, None, pytest.approx(fifth), pytest.approx(last)]
