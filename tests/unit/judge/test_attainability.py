"""What can be known of a verdict before there are series."""

from __future__ import annotations

from datetime import timedelta

import pytest

from phased_rollout.judge.attainability import attainability, soak_for
from phased_rollout.judge.judging import judge
from phased_rollout.judge.planning import soak_of
from tests.unit.judge.cases import MINUTE, case_of

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("changed", "controls", "days", "rule"),
    [
        (3, 9, 13, "days and targets"),
        (3, 3, 13, "days and targets"),
        (2, 12, 13, "days and targets"),
        (1, 11, 13, "days"),
        (1, 1, 13, "days"),
        (3, 0, 13, "days, no controls"),
        (3, 9, 1, "targets"),
        (1, 1, 1, "windows"),
    ],
)
def test_the_rule_is_the_one_that_the_judge_will_use(
    changed: int, controls: int, days: int, rule: str
) -> None:
    found = attainability(
        changed=changed, controls=controls, history=timedelta(days=days), soak=HOUR
    )
    assert (found.possible, found.rule) == (True, rule)
    judged = judge(case_of(changed, controls, days=days, every=MINUTE)).metrics[0]
    assert judged.rule == rule


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"changed": 0, "controls": 9}, "no changed target"),
        ({"metrics": 9}, "9 metrics are too many: declare at most 8"),
        ({"history": HOUR}, "the past holds 0 windows"),
        ({"history": DAY, "soak": 4 * HOUR, "controls": 1}, "3 ways to choose"),
        ({"interval": HOUR}, "a soak of 1:00:00 gives 2 points, of 50: soak for longer"),
    ],
)
def test_a_verdict_that_cannot_be_is_said_to_be_impossible(given: dict[str, int], why: str) -> None:
    found = attainability(**{"changed": 2, "controls": 9, "soak": HOUR} | given)  # type: ignore[arg-type]
    assert (found.possible, found.visible_effect_sd) == (False, None)
    assert why in found.reason


def test_more_targets_and_fewer_metrics_show_less() -> None:
    few, many = (attainability(changed=n, controls=n, soak=HOUR) for n in (3, 30))
    assert (few.visible_effect_sd or 0) > (many.visible_effect_sd or 9)
    shared = attainability(changed=3, controls=3, soak=HOUR, metrics=8)
    assert (shared.visible_effect_sd or 0) > (few.visible_effect_sd or 9)


def test_a_small_effect_takes_a_longer_soak_or_is_impossible() -> None:
    short, long = (soak_for(effect_sd=sd, changed=6, controls=12).soak for sd in (2.0, 0.8))
    assert short is not None
    assert long is not None
    assert short < long
    never = soak_for(effect_sd=0.01, changed=1, controls=1)
    assert never.soak is None
    assert str(never).startswith("impossible: no soak shows 0.01 sd; one of")


def test_the_soak_is_planned_from_series_too() -> None:
    case = case_of(6, 12, every=MINUTE)
    found = soak_of(case, effect_sd=1.0)
    assert found.soak is not None
    assert found.soak <= timedelta(minutes=30)  # independent noise averages out fast
    assert soak_of(case, effect_sd=0.001).soak is None
