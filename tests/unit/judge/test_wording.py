"""How what was measured becomes a verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from phased_rollout.judge.judgement import Verdict
from phased_rollout.judge.measuring import Doubt, Measured, measure
from phased_rollout.judge.nulls import Test as NullTest
from phased_rollout.judge.windows import Span
from phased_rollout.judge.wording import metric_judgement
from tests.unit.judge.cases import case_of


@pytest.fixture(scope="module")
def harmed() -> Measured:
    case = case_of(harm=3.0)
    span = Span(case.soak_start, case.soak_end)
    return measure(case.metrics[0], span, alpha=0.01, level=0.01)


def verdict(found: Measured, *, level: float | None = 0.01, final: bool = True) -> Verdict:
    return metric_judgement(found, level=level, holm=0.001, final=final).verdict


def test_harm_that_both_tests_see_fails_at_any_look(harmed: Measured) -> None:
    assert verdict(harmed) is Verdict.FAIL
    assert verdict(harmed, final=False) is Verdict.FAIL


def test_harm_that_the_second_test_does_not_see_is_for_a_person(harmed: Measured) -> None:
    unsure = replace(harmed, second=NullTest(0.1, 0.02))
    found = metric_judgement(unsure, level=0.01, holm=0.001, final=True)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "the second does not agree (p 0.02, of 0.01)" in found.reason


def test_a_look_that_spends_nothing_fails_nothing(harmed: Measured) -> None:
    assert verdict(harmed, level=None, final=False) is Verdict.INCONCLUSIVE


def test_harm_below_the_least_effect_is_no_failure(harmed: Measured) -> None:
    assert verdict(replace(harmed, effect=0.49)) is not Verdict.FAIL


def test_a_doubt_beats_a_pass_and_a_blocking_one_beats_harm(harmed: Measured) -> None:
    doubted = replace(harmed, doubts=(Doubt("one target is silent", "its points"),))
    assert verdict(doubted) is Verdict.FAIL
    calm = metric_judgement(replace(doubted, effect=0.0), level=0.01, holm=0.001, final=True)
    assert (calm.verdict, calm.reason, calm.needs) == (
        Verdict.INCONCLUSIVE,
        "one target is silent",
        "its points",
    )
    assert verdict(replace(doubted, blocked=True)) is Verdict.INCONCLUSIVE
