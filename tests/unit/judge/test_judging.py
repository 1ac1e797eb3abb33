"""What the judge says of fleets that were made for it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from phased_rollout.judge.case import Case, Group, Metric, Series, Worse
from phased_rollout.judge.judgement import Judgement, Verdict
from phased_rollout.judge.judging import judge
from phased_rollout.judge.rules import Rule
from tests.unit.judge.cases import (
    HOUR,
    MINUTE,
    START,
    case_of,
    metric_of,
    times_of,
    with_series,
    without_soak,
)


def only(judgement: Judgement) -> tuple[Verdict, str]:
    (metric,) = judgement.metrics
    assert metric.verdict is judgement.verdict
    return metric.verdict, metric.reason


@pytest.mark.parametrize(
    ("fleet", "rule"),
    [
        (case_of(3, 9), Rule.BOTH),
        (case_of(3, 3), Rule.BOTH),
        (case_of(1, 1, every=MINUTE), Rule.DAYS),
        (case_of(3, 0), Rule.ALONE),
        (case_of(3, 9, days=1), Rule.TARGETS),
        (case_of(1, 1, days=1, every=MINUTE), Rule.WINDOWS),
    ],
)
def test_each_fleet_is_judged_by_its_rule_and_passes_when_nothing_happened(
    fleet: Case, rule: Rule
) -> None:
    found = judge(fleet)
    assert (found.verdict, found.metrics[0].rule) == (Verdict.PASS, rule)


@pytest.mark.parametrize(
    "fleet",
    [
        {"changed": 3, "controls": 9},
        {"changed": 3, "controls": 3},
        {"changed": 1, "controls": 1, "every": MINUTE, "days": 13},
        {"changed": 3, "controls": 0},
        {"changed": 3, "controls": 9, "days": 1},
        {"changed": 1, "controls": 1, "days": 1, "every": MINUTE},
    ],
)
def test_harm_fails_under_each_rule_and_names_who_drives_it(fleet: dict[str, float]) -> None:
    found = judge(case_of(harm=3.0, **fleet))  # type: ignore[arg-type]
    (metric,) = found.metrics
    assert found.verdict is Verdict.FAIL
    assert metric.adjusted_p is not None
    assert metric.threshold is not None
    assert metric.adjusted_p <= metric.threshold
    assert metric.effect_sd == pytest.approx(3, abs=0.7)
    assert metric.drivers
    assert all(name.startswith("changed") for name in metric.drivers)


def test_what_gets_lower_is_harm_only_where_lower_is_worse() -> None:
    better = case_of(harm=-3.0)
    worse = replace(better, metrics=(replace(better.metrics[0], worse=Worse.LOWER),))
    assert judge(better).verdict is Verdict.PASS
    assert judge(worse).verdict is Verdict.FAIL


def test_a_shock_to_the_whole_fleet_is_no_harm_and_hides_none() -> None:
    assert judge(case_of(3, 9, shock=10.0)).verdict is Verdict.PASS
    assert judge(case_of(3, 9, shock=10.0, harm=3.0)).verdict is Verdict.FAIL


def test_a_shock_to_a_fleet_too_small_to_tell_holds() -> None:
    verdict, reason = only(judge(case_of(1, 1, shock=10.0, every=MINUTE)))
    assert verdict is Verdict.INCONCLUSIVE
    assert reason.startswith("the controls moved too")


def test_without_controls_the_verdict_says_that_a_shock_looks_the_same() -> None:
    (metric,) = judge(case_of(3, 0)).metrics
    assert metric.notes == ("without controls a shock to the whole fleet cannot be told from harm",)


def test_harm_below_the_least_that_counts_passes() -> None:
    tiny = case_of(6, 12, harm=0.4, every=MINUTE)
    bound = replace(tiny, metrics=(replace(tiny.metrics[0], min_effect_sd=0.1),))
    assert judge(tiny).verdict is Verdict.PASS
    assert judge(bound).verdict is Verdict.FAIL


def test_a_silent_changed_target_holds_and_is_named() -> None:
    quiet = with_series(case_of(), lambda s: without_soak(s) if s.target == "changed-1" else s)
    verdict, reason = only(judge(quiet))
    assert verdict is Verdict.INCONCLUSIVE
    assert reason == "changed targets cannot be judged: changed-1: no point in the soak"


def test_a_target_without_a_series_of_one_metric_is_silent_there() -> None:
    two = case_of(names=("latency", "errors"))
    found = judge(with_series(two, lambda s: None if s.target == "changed-2" else s, metric=1))
    assert found.reason == "errors: changed targets cannot be judged: changed-2: no series"


def test_harm_in_the_others_is_found_though_a_target_is_silent() -> None:
    harmed = case_of(6, 12, harm=3.0)
    quiet = with_series(harmed, lambda s: without_soak(s) if s.target == "changed-1" else s)
    assert judge(quiet).verdict is Verdict.FAIL


def test_a_target_that_falls_silent_in_the_soak_holds() -> None:
    def stopped(series: Series) -> Series:
        early = series.times < START + 0.7 * HOUR
        return replace(series, times=series.times[early], values=series.values[early])

    verdict, reason = only(judge(with_series(case_of(), stopped)))
    assert verdict is Verdict.INCONCLUSIVE
    assert "no point in the last quarter" in reason


def test_a_silent_control_is_left_out_but_most_of_them_hold() -> None:
    def silence(*names: str) -> Judgement:
        return judge(with_series(case_of(), lambda s: without_soak(s) if s.target in names else s))

    one = silence("control-3")
    assert one.verdict is Verdict.PASS
    assert one.metrics[0].notes == ("left out of the controls: control-3: no point in the soak",)
    most = silence(*(f"control-{row}" for row in range(3, 9)))
    assert most.verdict is Verdict.INCONCLUSIVE
    assert "most controls are silent" in most.reason


def test_harm_that_is_measured_against_silent_controls_does_not_fail() -> None:
    gone = with_series(
        case_of(harm=3.0), lambda s: without_soak(s) if s.group is Group.CONTROL else s
    )
    assert judge(gone).verdict is Verdict.INCONCLUSIVE


def test_too_few_points_hold_though_harm_shows() -> None:
    harmed = case_of(harm=3.0)
    strict = replace(harmed, metrics=(replace(harmed.metrics[0], min_points=37),))
    verdict, reason = only(judge(strict))
    assert verdict is Verdict.INCONCLUSIVE
    assert reason == "the changed targets have 36 points in the soak, of 37"


def test_too_little_traffic_holds() -> None:
    def asked(series: Series) -> Series:
        return replace(series, exposure_times=np.array([START, START + 60]), exposure=np.ones(2))

    verdict, reason = only(judge(with_series(case_of(), asked)))
    assert (verdict, reason) == (
        Verdict.INCONCLUSIVE,
        "the changed targets were asked 6 times, of 100",
    )


@pytest.mark.parametrize(
    ("days", "minutes", "why"),
    [
        (0.1, 60, "the past holds 0 windows"),
        (0.25, 60, "its past holds 9 windows as long as this one, of 20 needed"),
        (1, 240, "earlier days"),
        (2, 3000, "the past holds 0 windows"),
    ],
)
def test_a_short_history_holds_and_says_what_is_needed(days: float, minutes: int, why: str) -> None:
    found = judge(case_of(1, 1, days=days, minutes=minutes, every=MINUTE, harm=5.0))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert why in found.reason
    assert found.metrics[0].needs


@pytest.mark.parametrize("target", ["changed-1", "control-4"])
def test_a_target_too_young_to_know_how_it_varies_is_not_judged(target: str) -> None:
    def young(series: Series) -> Series:
        recent = series.times >= START - 5 * HOUR
        if series.target != target:
            return series
        return replace(series, times=series.times[recent], values=series.values[recent])

    found = judge(with_series(case_of(), young))
    why = f"{target}: its past holds 12 windows as long as this one, of 20 needed"
    if target == "control-4":
        assert found.verdict is Verdict.PASS
        assert found.metrics[0].notes == (f"left out of the controls: {why}",)
    else:
        assert found.verdict is Verdict.INCONCLUSIVE
        assert why in found.reason


def test_no_series_no_changed_target_and_no_metric_hold() -> None:
    nothing = Case(START, START + HOUR, (Metric("latency", Worse.HIGHER, ()),))
    assert judge(nothing).verdict is Verdict.INCONCLUSIVE
    only_controls = with_series(case_of(), lambda s: None if s.group is Group.CHANGED else s)
    assert judge(only_controls).verdict is Verdict.INCONCLUSIVE
    assert judge(Case(START, START + HOUR, ())).verdict is Verdict.INCONCLUSIVE


def test_groups_that_do_not_move_together_hold_where_days_cannot_mend_it() -> None:
    at = times_of(days=1, every=MINUTE)
    values = np.random.default_rng(1).standard_normal((12, len(at)))
    values[:3] += 6 * np.sin(2 * np.pi * at / (24 * HOUR))
    found = judge(Case(START, START + HOUR, (metric_of(values, at, 3),)))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "do not move together" in found.reason


def test_daily_rhythms_that_differ_are_taken_out_where_days_show_them() -> None:
    at = times_of(days=8)
    values = np.random.default_rng(1).standard_normal((12, len(at)))
    values[:3] += 6 * np.sin(2 * np.pi * at / (24 * HOUR))
    assert judge(Case(START, START + HOUR, (metric_of(values, at, 3),))).verdict is Verdict.PASS


def test_one_wild_target_of_many_holds_for_a_person_and_is_named() -> None:
    def wild(series: Series) -> Series:
        more = np.where((series.times >= START) & (series.target == "changed-4"), 9.0, 0.0)
        return replace(series, values=series.values + more)

    verdict, reason = only(judge(with_series(case_of(30, 60), wild)))
    assert verdict is Verdict.INCONCLUSIVE
    assert reason.startswith("1 of 30 changed targets moved beyond 8 MAD: changed-4")


def test_metrics_share_the_level_between_them() -> None:
    names = tuple("abcdefgh")
    found = judge(case_of(names=names, seed=3))
    p = sorted(next(iter((each.p or {}).values())) for each in found.metrics)
    adjusted = sorted(each.adjusted_p or 0.0 for each in found.metrics)
    assert adjusted[0] == pytest.approx(min(8 * p[0], 1))
    assert found.verdict is Verdict.PASS


def test_one_bad_metric_of_eight_fails_the_channel() -> None:
    fleet = case_of(6, 12, names=tuple("abcdefgh"))

    def harmed(series: Series) -> Series:
        more = np.where((series.times >= START) & (series.group is Group.CHANGED), 3.0, 0.0)
        return replace(series, values=series.values + more)

    found = judge(with_series(fleet, harmed, metric=5))
    assert [each.verdict for each in found.metrics] == [
        Verdict.FAIL if each.name == "f" else Verdict.PASS for each in found.metrics
    ]
    assert found.verdict is Verdict.FAIL


def test_an_early_look_stops_for_harm_and_never_passes() -> None:
    quiet, harmed = case_of(6, 12, minutes=240), case_of(6, 12, minutes=240, harm=4.0)
    assert judge(harmed, look=2).verdict is Verdict.FAIL
    early = judge(quiet, look=5)
    assert (early.verdict, early.final) == (Verdict.INCONCLUSIVE, False)
    assert early.reason == "no harm found at look 5 of 6; the soak goes on"
    assert judge(quiet, look=6).verdict is Verdict.PASS


def test_an_early_look_reads_nothing_that_comes_after_it() -> None:
    def poisoned(series: Series) -> Series:
        late = np.where(series.times >= START + 2 * HOUR, 1e9, series.values)
        return replace(series, values=late)

    fleet = case_of(6, 12, minutes=240)
    assert judge(with_series(fleet, poisoned), look=3) == judge(fleet, look=3)


def test_a_target_that_never_varied_is_compared_by_how_often_it_was_looked_at() -> None:
    at = times_of(days=13, every=MINUTE)
    values = np.full((2, len(at)), 7.0)
    still = Case(START, START + HOUR, (metric_of(values, at, 1),))
    assert judge(still).verdict is Verdict.PASS
    values[0, at >= START] = 8.0
    assert judge(still).verdict is Verdict.FAIL


def test_huge_values_and_infinities_are_judged_like_others() -> None:
    def huge(series: Series) -> Series:
        return replace(series, values=series.values * 1e307)

    assert judge(with_series(case_of(harm=3.0), huge)).verdict is Verdict.FAIL
    endless = with_series(case_of(), lambda s: replace(s, values=np.full_like(s.values, np.inf)))
    assert judge(endless).verdict is Verdict.INCONCLUSIVE


def test_the_judgement_is_json_with_all_that_it_rests_on() -> None:
    text = json.dumps(judge(case_of(harm=3.0)).to_json(), allow_nan=False)
    found = json.loads(text)
    assert found["window"]["soak"] == [START, START + HOUR]
    assert found["window"]["pre"] == [START - 3 * HOUR, START]
    (metric,) = found["metrics"]
    assert set(metric["p"]) == {"days", "targets"}
    assert {each["target"] for each in metric["targets"]} >= set(metric["drivers"])
