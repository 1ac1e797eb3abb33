"""The format that cases come in, and every way in which it can be wrong."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from phased_rollout.errors import CaseError
from phased_rollout.judge.case import Group, Worse, parse, to_json

SERIES = {"target": "a", "group": "changed", "points": [[0, 1], [60, None], [120, 2.5]]}
DOCUMENT = {
    "soak": {"start": 60, "end": 120},
    "metrics": [{"name": "latency", "worse": "higher", "series": [SERIES]}],
}


def document(change: Any) -> dict[str, Any]:
    made = copy.deepcopy(DOCUMENT)
    change(made)
    return made


def test_the_least_document_takes_the_defaults() -> None:
    case = parse(DOCUMENT)
    (metric,) = case.metrics
    (series,) = metric.series
    assert (case.soak_start, case.soak_end, case.alpha, case.look) == (60.0, 120.0, 0.01, None)
    assert (metric.name, metric.worse) == ("latency", Worse.HIGHER)
    assert (metric.min_effect_sd, metric.min_points, metric.min_exposure) == (0.5, 50, 100)
    assert (series.target, series.group) == ("a", Group.CHANGED)
    assert series.times.tolist() == [0.0, 60.0, 120.0]
    np.testing.assert_equal(series.values, [1.0, np.nan, 2.5])
    assert len(series.exposure) == 0


def test_what_is_written_is_read_back_the_same() -> None:
    full = document(
        lambda made: (
            made.update(alpha=0.05, look=3),
            made["metrics"][0].update(min_effect_sd=1.0, min_points=7, min_exposure=8.0),
            made["metrics"][0]["series"][0].update(exposure=[[60.0, 5.0]]),
        )
    )
    assert to_json(parse(full)) == full


def test_infinities_are_gaps() -> None:
    case = parse(document(lambda m: m["metrics"][0]["series"][0].update(points=[[0, 1e999]])))
    assert to_json(case)["metrics"][0]["series"][0]["points"] == [[0.0, None]]


def of_series(**change: Any) -> Any:
    return lambda made: made["metrics"][0]["series"][0].update(change)


def of_metric(**change: Any) -> Any:
    return lambda made: made["metrics"][0].update(change)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda made: made.pop("soak"), "'soak' is missing"),
        (lambda made: made.update(alfa=1), "unknown key 'alfa', did you mean 'alpha'?"),
        (lambda made: made.update(alpha=0), "alpha: 0 is not between 1e-06 and 0.5"),
        (lambda made: made.update(alpha=True), "alpha: True is no number"),
        (lambda made: made.update(look=7), "look: 7 is no whole number from 1 to 6"),
        (lambda made: made.update(soak=[1, 2]), "soak: [1, 2] is no object with start, end"),
        (lambda made: made["soak"].update(end=60), "soak.end: 60 is not after soak.start, 60"),
        (lambda made: made["soak"].update(start=float("nan")), "soak.start: nan is no number"),
        (
            lambda made: made["soak"].update(end=1_790_000_000_000),
            "soak.end: 1790000000000 is no time in seconds since the epoch; milliseconds?",
        ),
        (lambda made: made.update(metrics=[]), "metrics: 0 given; 1 to 8 can be judged together"),
        (lambda made: made.update(metrics={}), "metrics: {} is no list"),
        (of_metric(name=" "), "metrics[0].name: ' ' is no name"),
        (of_metric(worse="more"), "metrics[0].worse: 'more' is not one of higher, lower"),
        (of_metric(min_effect_sd=-1), "metrics[0].min_effect_sd: -1 is not between 0 and inf"),
        (of_series(group="canary"), "group: 'canary' is not one of changed, control"),
        (of_series(target=3), "metrics[0].series[0].target: 3 is no name"),
        (of_series(points=[[1]]), "points[0]: [1] is no pair [time, value]"),
        (of_series(points=[["1", 2]]), "points[0]: time '1' is no number"),
        (of_series(points=[[1, "2"]]), "points[0]: value '2' is neither a number nor null"),
        (of_series(points=[[1, True]]), "points[0]: value True is neither a number nor null"),
        (of_series(points=[[1, 10**400]]), "points[0]: value 1000000000"),
        (of_series(points=[[0, 1], [1.79e12, 1]]), "points[1]: 1790000000000.0 is no time"),
        (
            lambda made: made["metrics"][0]["series"].append(SERIES),
            "metrics[0].series: target 'a' is given 2 times",
        ),
        (
            lambda made: made["metrics"].append(made["metrics"][0]),
            "metrics: name 'latency' is given 2 times",
        ),
        (
            lambda made: made["metrics"].append(
                {"name": "b", "worse": "lower", "series": [SERIES | {"group": "control"}]}
            ),
            "metrics: target 'a' is changed here and control there",
        ),
    ],
)
def test_each_fault_is_named_with_its_place(change: Any, problem: str) -> None:
    with pytest.raises(CaseError) as raised:
        parse(document(change))
    assert problem in str(raised.value)


@pytest.mark.parametrize("value", [None, [], "text", 3, {"metrics": 3, "soak": 3}])
def test_what_is_no_document_at_all_is_refused(value: Any) -> None:
    with pytest.raises(CaseError):
        parse(value)


def test_more_than_eight_metrics_are_refused() -> None:
    metrics = [{"name": str(n), "worse": "lower", "series": []} for n in range(9)]
    with pytest.raises(CaseError, match="metrics: 9 given; 1 to 8 can be judged together"):
        parse(DOCUMENT | {"metrics": metrics})


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(CaseError) as raised:
        parse({"alpha": 2, "soak": {"start": 5}, "metrics": [{"name": "", "worse": "up"}]})
    assert sorted(raised.value.problems) == [
        "alpha: 2 is not between 1e-06 and 0.5",
        "metrics[0].name: '' is no name",
        "metrics[0].worse: 'up' is not one of higher, lower",
        "metrics[0]: 'series' is missing",
        "soak: 'end' is missing",
    ]
