"""CloudWatch metrics over HTTP against the embedded AWS: hard ones, judged ones, silence."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from phased_rollout.errors import ConfigError, UnreachableError
from phased_rollout.health.cloudwatch_metrics import CloudWatchMetrics
from phased_rollout.model.definition import Target
from phased_rollout.model.metric import Metric, Worse
from phased_rollout.model.target_state import Health
from sandbox.aws.client import SandboxAws

REGION = "eu-central-1"
# The sandbox keeps points for as long as AWS does, so tests live in its time.
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
MINUTE = timedelta(minutes=1)
ERRORS = {
    "name": "errors",
    "namespace": "App",
    "metric": "Errors",
    "statistic": "Sum",
    "dimensions": {"Service": "{service}"},
}
_accounts = itertools.count(300000000001)


def a_target(name: str = "a", **address: str) -> Target:
    account = address.pop("account", None) or str(next(_accounts))
    return Target(name, {"account": account, "region": REGION, "service": name, **address})


def source(*metrics: dict[str, Any], **options: Any) -> CloudWatchMetrics:
    return CloudWatchMetrics(
        {"connection": "aws", "role": "reader", "metrics": list(metrics), **options}
    )


def put(
    aws: SandboxAws, target: Target, values: list[float], *, until: datetime = NOW, **metric: Any
) -> list[tuple[float, float]]:
    """Put one value a minute, the last one in the minute that ends at ``until``."""
    first = until - len(values) * MINUTE
    points = [((first + n * MINUTE).timestamp(), value) for n, value in enumerate(values)]
    given = {"namespace": "App", "metric": "Errors", "dimensions": {"Service": target.name}}
    aws.metric(account=target.address["account"], region=REGION, points=points, **given | metric)
    return points


def observed(
    source: CloudWatchMetrics, *targets: Target, since: datetime = NOW - timedelta(hours=1)
) -> list[tuple[Health, str]]:
    moments = dict.fromkeys([target.name for target in targets], since)
    found = source.observe_all(targets, since=moments, now=NOW)
    return [(o.health, o.detail) for target in targets for o in found[target.name]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 9, 9, 9], (Health.HARM, "9, 9, 9: above 5 errors")),
        ([9, 9, 9, 5], (Health.OK, "9, 9, 5: not above 5 errors")),
        ([9, 9], (Health.UNKNOWN, "2 of 3 points in the last 0:08:00 since the apply: 9, 9")),
        ([], (Health.UNKNOWN, "0 of 3 points in the last 0:08:00 since the apply")),
    ],
)
def test_a_hard_metric_harms_when_its_last_points_are_all_beyond_the_limit(
    connected: SandboxAws, values: list[float], expected: tuple[Health, str]
) -> None:
    target = a_target()
    put(connected, target, values)
    assert observed(source({**ERRORS, "above": 5, "points": 3, "unit": "errors"}), target) == [
        expected
    ]


def test_a_limit_from_below_counts_too(connected: SandboxAws) -> None:
    target = a_target()
    put(connected, target, [3.0, 3.0])
    assert observed(source({**ERRORS, "below": 4, "points": 2}), target) == [
        (Health.HARM, "3, 3: below 4")
    ]


def test_points_from_before_the_apply_and_from_the_minute_that_runs_do_not_count(
    connected: SandboxAws,
) -> None:
    target = a_target()
    put(connected, target, [9, 9, 9, 9])
    hard = source({**ERRORS, "above": 5, "points": 3})
    ((health, detail),) = observed(hard, target, since=NOW - 2 * MINUTE)
    assert (health, detail.partition(" points")[0]) == (Health.UNKNOWN, "2 of 3")
    running = a_target("b")
    put(connected, running, [9], until=NOW + MINUTE)
    ((health, detail),) = observed(source({**ERRORS, "above": 5, "points": 1}), running)
    assert (health, detail.partition(" points")[0]) == (Health.UNKNOWN, "0 of 1")


def test_a_judged_metric_gives_the_series_of_each_target_and_an_empty_one_for_silence(
    connected: SandboxAws,
) -> None:
    loud, silent = a_target(), a_target("b")
    points = put(connected, loud, [1, 2, 4])
    judged = source({**ERRORS, "worse": "higher", "min_points": 50, "exposure": "requests"})
    (metric,) = judged.metrics
    assert metric == Metric("errors", Worse.HIGHER, min_points=50, exposure="requests")
    start, end = NOW - 2 * MINUTE, NOW
    assert judged.series([loud, silent], metric=metric, start=start, end=end) == {
        "a": points[1:],
        "b": [],
    }
    assert judged.observe_all([loud], since={}, now=NOW) == {"a": []}


def test_exposure_is_what_the_counter_has_counted(connected: SandboxAws) -> None:
    loud, silent = a_target(), a_target("b")
    put(connected, loud, [10, 20, 30], metric="Requests")
    judged = source(
        {**ERRORS, "worse": "higher", "exposure": "requests"},
        {**ERRORS, "name": "requests", "metric": "Requests"},
    )
    (metric,) = judged.metrics
    counted = judged.exposure([loud, silent], metric=metric, start=NOW - 2 * MINUTE, end=NOW)
    assert counted == {"a": 50, "b": 0}


def test_an_expression_is_computed_over_its_parts_and_gaps_stay_gaps(
    connected: SandboxAws,
) -> None:
    targets = [a_target("a"), a_target("b")]
    for number, target in enumerate(targets):
        put(connected, target, [1 + number, 2, 3])
        put(connected, target, [10, 0, 10], metric="Requests")
    rate = {
        "name": "rate",
        "worse": "higher",
        "expression": "100 * errors / requests",
        "parts": {"errors": ERRORS, "requests": {**ERRORS, "metric": "Requests"}},
    }
    judged = source(rate)
    found = judged.series(targets, metric=judged.metrics[0], start=NOW - 3 * MINUTE, end=NOW)
    assert [[v for _, v in found[name]] for name in "ab"] == [[10, 30], [20, 30]]


def test_targets_of_one_account_are_asked_together_and_all_pages_are_read(
    connected: SandboxAws,
) -> None:
    monitoring = str(next(_accounts))
    targets = [a_target(f"t{n}", account=monitoring) for n in range(7)]
    values = [float(n) for n in range(1000)]
    points = [put(connected, target, values) for target in targets]
    judged = source({**ERRORS, "worse": "higher"}, account=monitoring, region=REGION)
    start = NOW - timedelta(minutes=1000)
    connected.clear_calls()
    with connected.with_settings(page_size=3):
        found = judged.series(targets, metric=judged.metrics[0], start=start, end=NOW)
    assert list(found.values()) == points
    calls = connected.calls(operation="GetMetricData")
    assert len(calls) == 3  # 7,000 points, 3,024 on a page
    assert {call["caller"].split("/")[1] for call in calls} == {"reader"}


def test_more_targets_than_fit_into_a_call_take_several(
    connected: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitoring = str(next(_accounts))
    targets = [a_target(f"t{n}", account=monitoring) for n in range(501)]
    for target in (targets[0], targets[500]):
        put(connected, target, [7])
    judged = source({**ERRORS, "worse": "higher"})
    connected.clear_calls()
    found = judged.series(targets, metric=judged.metrics[0], start=NOW - MINUTE, end=NOW)
    assert [name for name, points in found.items() if points] == ["t0", "t500"]
    assert len(connected.calls(operation="GetMetricData")) == 2


def test_an_expression_over_more_points_than_one_page_is_asked_for_in_parts(
    connected: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phased_rollout.aws.metric_data.POINTS_OF_A_PAGE", 100)
    targets = [a_target("a", account=str(next(_accounts)))]
    targets.append(a_target("b", account=targets[0].address["account"]))
    for target in targets:
        put(connected, target, [float(n) for n in range(120)])
    judged = source(
        {"name": "e", "worse": "higher", "expression": "errors * 2", "parts": {"errors": ERRORS}}
    )
    start = NOW - timedelta(minutes=120)
    connected.clear_calls()
    found = judged.series(targets, metric=judged.metrics[0], start=start, end=NOW)
    assert [v for _, v in found["b"]] == [2 * n for n in range(120)]
    assert len(connected.calls(operation="GetMetricData")) == 2 * 3  # targets, parts of 50 minutes


def test_data_that_cloudwatch_gives_only_a_part_of_are_an_error_never_a_gap(
    connected: SandboxAws,
) -> None:
    target = a_target()
    put(connected, target, [9.0] * 3000)
    double = {"expression": "e * 1", "parts": {"e": ERRORS}}
    both = source({"name": "e", "worse": "higher", **double})
    with connected.with_settings(page_size=1), pytest.raises(UnreachableError, match="PartialData"):
        both.series([target], metric=both.metrics[0], start=NOW - timedelta(minutes=3000), end=NOW)


def test_one_account_that_cannot_be_asked_is_unknown_and_the_others_are_known(
    connected: SandboxAws,
) -> None:
    fine, banned = a_target(), a_target("b")
    for target in (fine, banned):
        put(connected, target, [9])
    connected.ban("cloudwatch:GetMetricData", account=banned.address["account"])
    hard = source({**ERRORS, "above": 5, "points": 1, "worse": "higher"})
    (known, _), (unknown, detail) = observed(hard, fine, banned)
    assert (known, unknown) == (Health.HARM, Health.UNKNOWN)
    assert "role 'reader' needs cloudwatch:GetMetricData" in detail
    with pytest.raises(UnreachableError, match=r"^b: account"):
        hard.series([fine, banned], metric=hard.metrics[0], start=NOW - MINUTE, end=NOW)


def test_a_target_without_the_key_that_a_dimension_names_is_told(connected: SandboxAws) -> None:
    bare = Target("bare", {"account": str(next(_accounts)), "region": REGION})
    with pytest.raises(ConfigError, match="bare has no service in its address"):
        observed(source({**ERRORS, "above": 5}), bare)


def test_options_without_metrics_are_refused() -> None:
    with pytest.raises(ConfigError, match="metrics is missing"):
        CloudWatchMetrics({"connection": "aws"})
