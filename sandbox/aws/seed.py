"""Fills accounts with what runs there before the first rollout."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from sandbox.aws.client import SandboxAws, SandboxError

CHANGES = Path(__file__).resolve().parents[2] / "include" / "changes"
ALARM = "baseline-app-errors"
READS = "/baseline/pointer"

_DEADLINE = 30.0
_POLL = 0.1
_SETTLED = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"})


def seed(
    sandbox: SandboxAws,
    accounts: Sequence[str],
    region: str,
    *,
    stack: str = "baseline",
    denied_account: str | None = None,
    change: Path = CHANGES / "initial",
) -> None:
    """Give each account the initial stack, an application and its alarm; safe to repeat.

    ``denied_account`` may not have queues: a service control policy forbids them. Raises
    :class:`SandboxError` when a stack does not get there in 30 seconds.
    """
    request = _request(change, stack=stack)
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda account: _start(sandbox, account, region, request), accounts))
        list(pool.map(lambda account: _finish(sandbox, account, region, stack=stack), accounts))
    if denied_account is not None:
        sandbox.deny(account=denied_account, resource_type="AWS::SQS::Queue")


def _request(change: Path, *, stack: str) -> dict[str, Any]:
    settings = yaml.safe_load((change / "change.yaml").read_text(encoding="utf-8")) or {}
    return {
        "StackName": stack,
        "TemplateBody": (change / "template.yaml").read_text(encoding="utf-8"),
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": str(value)}
            for key, value in (settings.get("parameters") or {}).items()
        ],
        "Tags": [
            {"Key": key, "Value": str(value)} for key, value in (settings.get("tags") or {}).items()
        ],
        "Capabilities": settings.get("capabilities") or [],
    }


def _start(sandbox: SandboxAws, account: str, region: str, request: dict[str, Any]) -> None:
    client = sandbox.client("cloudformation", account, region=region)
    try:
        client.create_stack(**request)
    except client.exceptions.AlreadyExistsException:
        return


def _finish(sandbox: SandboxAws, account: str, region: str, *, stack: str) -> None:
    cloudwatch = sandbox.client("cloudwatch", account, region=region)
    if not cloudwatch.describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]:
        cloudwatch.put_metric_alarm(
            AlarmName=ALARM,
            AlarmDescription="The application of this account reports errors",
            Namespace="Baseline",
            MetricName="ApplicationErrors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            Tags=[{"Key": "rollout", "Value": "watch"}],
        )
    _await_settled(sandbox.client("cloudformation", account, region=region), account, stack=stack)
    sandbox.workload(account=account, region=region, reads=READS, alarm=ALARM)


def _await_settled(client: Any, account: str, *, stack: str) -> None:
    deadline = time.monotonic() + _DEADLINE
    while True:
        status = client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        if status in _SETTLED:
            return
        if not status.endswith("_IN_PROGRESS") or time.monotonic() > deadline:
            raise SandboxError(f"stack {stack} of account {account} is in {status}")
        time.sleep(_POLL)
