"""Alarms as health signals, over HTTP against the embedded AWS."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from phased_rollout.errors import ConfigError, UnreachableError
from phased_rollout.health.cloudwatch_alarms import CloudWatchAlarms
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Health, Observation
from sandbox.aws.client import SandboxAws

REGION = "eu-central-1"
OPTIONS = {"connection": "aws", "role": "rollout"}
_accounts = itertools.count(200000000001)


@pytest.fixture
def target(connected: SandboxAws) -> Target:
    return Target("test-1", {"account": str(next(_accounts)), "region": REGION})


def alarm(
    aws: SandboxAws, target: Target, name: str, state: str, reason: str = "because", **more: Any
) -> None:
    client = aws.client("cloudwatch", target.address["account"])
    client.put_metric_alarm(
        AlarmName=name,
        MetricName="Errors",
        Namespace="App",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        **more,
    )
    client.set_alarm_state(AlarmName=name, StateValue=state, StateReason=reason)


def observed(target: Target, **options: Any) -> list[Observation]:
    return list(CloudWatchAlarms({**OPTIONS, **options}).observe(target))


def test_every_alarm_of_the_prefix_is_an_observation(aws: SandboxAws, target: Target) -> None:
    alarm(aws, target, "app-errors", "ALARM", "5 errors in a minute")
    alarm(aws, target, "app-latency", "OK", "fast enough")
    alarm(aws, target, "app-traffic", "INSUFFICIENT_DATA", "no data")
    alarm(aws, target, "other", "ALARM")
    assert observed(target, prefix="app-") == [
        Observation("test-1", "alarm app-errors", Health.HARM, "ALARM: 5 errors in a minute"),
        Observation("test-1", "alarm app-latency", Health.OK, "OK: fast enough"),
        Observation("test-1", "alarm app-traffic", Health.UNKNOWN, "INSUFFICIENT_DATA: no data"),
    ]


def test_no_alarm_is_unknown_never_ok(target: Target) -> None:
    (only,) = observed(target, prefix="app-")
    assert only.health is Health.UNKNOWN
    assert "no alarm with prefix 'app-'" in only.detail


def test_alarms_of_all_pages_are_observed(aws: SandboxAws, target: Target) -> None:
    for number in range(5):
        alarm(aws, target, f"app-{number}", "OK")
    with aws.with_settings(page_size=2):
        assert len(observed(target, prefix="app-")) == 5


def composite(aws: SandboxAws, target: Target, name: str, rule: str, **arguments: Any) -> None:
    client = aws.client("cloudwatch", target.address["account"])
    client.put_composite_alarm(AlarmName=name, AlarmRule=rule, **arguments)


def test_composite_alarms_count(aws: SandboxAws, target: Target) -> None:
    alarm(aws, target, "part-a", "OK")
    alarm(aws, target, "part-b", "ALARM")
    composite(aws, target, "app-both", 'ALARM("part-a") AND ALARM("part-b")')
    composite(aws, target, "app-one", "ALARM(part-a) OR (ALARM(part-b) AND NOT FALSE)")
    found = observed(target, prefix="app-")
    assert [(o.signal, o.health) for o in found] == [
        ("alarm app-both", Health.OK),
        ("alarm app-one", Health.HARM),
    ]


TAGS = [{"Key": "team", "Value": "app"}]


@pytest.mark.parametrize("page_size", [1, 100])
def test_alarms_of_both_kinds_are_found_by_tag_on_all_pages(
    aws: SandboxAws, target: Target, page_size: int
) -> None:
    for name, state in (("a", "OK"), ("b: c", "INSUFFICIENT_DATA"), ("d", "OK")):
        alarm(aws, target, name, state, Tags=TAGS)
    alarm(aws, target, "untagged", "ALARM")
    alarm(aws, target, "others", "ALARM", Tags=[{"Key": "team", "Value": "other"}])
    composite(aws, target, "whole", 'ALARM("a")', Tags=TAGS)
    with aws.with_settings(page_size=page_size):
        found = observed(target, tag="team=app")
        assert found == observed(target, tag={"team": "app"})
    assert [(o.signal, o.health) for o in found] == [
        ("alarm a", Health.OK),
        ("alarm b: c", Health.UNKNOWN),
        ("alarm d", Health.OK),
        ("alarm whole", Health.OK),
    ]


def test_more_alarms_than_one_call_takes_are_asked_in_several(
    aws: SandboxAws, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phased_rollout.health.cloudwatch_alarms._NAMES_A_CALL", 2)
    for number in range(5):
        alarm(aws, target, f"app-{number}", "OK", Tags=TAGS)
    assert len(observed(target, tag="team=app")) == 5
    calls = aws.calls(account=target.address["account"], operation="DescribeAlarms")
    assert [len(c["params"]["AlarmNames"]) for c in calls] == [2, 2, 1]


def test_no_alarm_with_the_tag_is_unknown(aws: SandboxAws, target: Target) -> None:
    alarm(aws, target, "untagged", "OK")
    (only,) = observed(target, tag="team=app")
    assert (only.health, "tag 'team=app'" in only.detail) == (Health.UNKNOWN, True)


def test_a_soak_outlasts_its_sessions(aws: SandboxAws, target: Target) -> None:
    alarm(aws, target, "app-errors", "OK")
    aws.clear_calls()
    for _ in range(3):
        assert observed(target, prefix="app-")[0].health is Health.OK
        aws.expire_sessions(target.address["account"])
    assert len(aws.calls(error="ExpiredTokenException")) == 2


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("DescribeAlarms", "ThrottlingException"),
        ("GetResources", "ThrottledException"),
        ("GetResources", "PaginationTokenExpiredException"),
        ("DescribeAlarms", "InvalidNextToken"),
    ],
)
def test_what_aws_does_not_tell_is_unknown_with_its_reason(
    aws: SandboxAws, target: Target, operation: str, code: str
) -> None:
    alarm(aws, target, "app-errors", "OK", Tags=TAGS)
    account = target.address["account"]
    aws.fault("error", account=account, operation=operation, code=code, message="words", count=None)
    with pytest.raises(UnreachableError, match=f"{operation}: {code}: words"):
        observed(target, tag="team=app")


@pytest.mark.parametrize("chosen", [{}, {"prefix": "a", "tag": "b=c"}, {"tag": "b"}])
def test_alarms_are_chosen_by_prefix_or_tag(chosen: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="either `prefix`"):
        CloudWatchAlarms({**OPTIONS, **chosen})


def test_a_system_that_cannot_be_asked_is_unreachable(aws: SandboxAws, target: Target) -> None:
    aws.fault("denied", account=target.address["account"], operation="DescribeAlarms", count=None)
    with pytest.raises(UnreachableError, match="no permission to look"):
        observed(target, prefix="app-")
