"""Alarms as health signals, over HTTP against the embedded AWS."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from phased_rollout import aws as sessions
from phased_rollout.errors import ConfigError, UnreachableError
from phased_rollout.health.cloudwatch_alarms import CloudWatchAlarms
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Health, Observation
from sandbox.aws.client import SandboxAws

REGION = "eu-central-1"
OPTIONS = {"connection": "aws", "role": "rollout"}
_accounts = itertools.count(200000000001)


@pytest.fixture(scope="module")
def aws() -> Iterator[SandboxAws]:
    with SandboxAws.start() as running:
        yield running


@pytest.fixture
def target(aws: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    extra = {
        "endpoint_url": aws.endpoint,
        "service_config": {"sts": {"endpoint_url": aws.endpoint}},
    }
    content = {"conn_type": "aws", "login": "sandbox", "password": "sandbox", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS", json.dumps(content))
    sessions.forget()
    yield Target("test-1", {"account": str(next(_accounts)), "region": REGION})
    aws.clear_faults()
    sessions.forget()


def alarm(aws: SandboxAws, target: Target, name: str, state: str, reason: str = "because") -> None:
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


def test_composite_alarms_count(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    composite = {"AlarmName": "app", "StateValue": "ALARM", "StateReason": "a child"}
    asked = []

    def call(self: Any, operation: str, **arguments: Any) -> dict[str, Any]:
        asked.append(arguments)
        return {"MetricAlarms": [], "CompositeAlarms": [composite]}

    monkeypatch.setattr(sessions.AccountHook, "call", call)
    (only,) = observed(target, prefix="app")
    assert only.health is Health.HARM
    assert asked[0]["AlarmTypes"] == ["MetricAlarm", "CompositeAlarm"]


def test_alarms_are_found_by_tag_on_all_pages(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def arn(name: str) -> dict[str, str]:
        return {"ResourceARN": f"arn:aws:cloudwatch:{REGION}:1:alarm:{name}"}

    pages = {
        "": {"ResourceTagMappingList": [arn("a")], "PaginationToken": "2"},
        "2": {"ResourceTagMappingList": [arn("b: c")], "PaginationToken": ""},
    }

    def call(self: Any, operation: str, **arguments: Any) -> dict[str, Any]:
        if operation == "get_resources":
            assert arguments["TagFilters"] == [{"Key": "team", "Values": ["app"]}]
            return pages[arguments.get("PaginationToken", "")]
        names = arguments["AlarmNames"]
        return {"MetricAlarms": [{"AlarmName": n, "StateValue": "OK"} for n in names]}

    monkeypatch.setattr(sessions.AccountHook, "call", call)
    assert [o.signal for o in observed(target, tag="team=app")] == ["alarm a", "alarm b: c"]
    assert observed(target, tag={"team": "app"})[0].detail == "OK"


def test_no_alarm_with_the_tag_is_unknown(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sessions.AccountHook, "call", lambda *_, **__: {"ResourceTagMappingList": []}
    )
    (only,) = observed(target, tag="team=app")
    assert (only.health, "tag 'team=app'" in only.detail) == (Health.UNKNOWN, True)


@pytest.mark.parametrize("chosen", [{}, {"prefix": "a", "tag": "b=c"}, {"tag": "b"}])
def test_alarms_are_chosen_by_prefix_or_tag(chosen: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="either `prefix`"):
        CloudWatchAlarms({**OPTIONS, **chosen})


def test_a_system_that_cannot_be_asked_is_unreachable(aws: SandboxAws, target: Target) -> None:
    aws.fault("denied", account=target.address["account"], operation="DescribeAlarms", count=None)
    with pytest.raises(UnreachableError, match="no permission to look"):
        observed(target, prefix="app-")
