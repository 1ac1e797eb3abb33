"""CloudFormation before the suite: stacks in accounts of the embedded AWS, over HTTP."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from phased_rollout import aws as sessions
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.substrates import Substrate
from phased_rollout.substrates.cloudformation import CloudFormationSubstrate
from sandbox.aws.client import SandboxAws

REGION = "eu-central-1"
CONNECTION = "contract_aws"
_PARAMETER = """\
  {name}:
    Type: AWS::SSM::Parameter
    Properties: {{Name: /contract/{name}, Type: String, Value: {value}}}
"""
_MUTATIONS = ("CreateChangeSet", "ExecuteChangeSet", "DeleteStack")


class CloudFormationHarness:
    """A stack ``app`` with one or two SSM parameters, in an account for each target."""

    many = 200

    def __init__(self) -> None:
        self._aws = SandboxAws.start()
        self._aws.settings(phase=0.01)
        self._accounts = itertools.count(200000000001)
        endpoint = self._aws.endpoint
        os.environ[f"AIRFLOW_CONN_{CONNECTION.upper()}"] = json.dumps(
            {
                "conn_type": "aws",
                "login": "sandbox",
                "password": "sandbox",
                "extra": {
                    "endpoint_url": endpoint,
                    "service_config": {"sts": {"endpoint_url": endpoint}},
                    "config_kwargs": {"retries": {"mode": "standard", "total_max_attempts": 1}},
                },
            }
        )
        sessions.forget()

    def close(self) -> None:
        self._aws.stop()
        del os.environ[f"AIRFLOW_CONN_{CONNECTION.upper()}"]
        sessions.forget()

    def substrate(self) -> Substrate:
        return CloudFormationSubstrate(
            {"connection": CONNECTION, "role": "rollout", "stack": "app"}
        )

    def target(self) -> Target:
        account = str(next(self._accounts))
        return Target(f"account-{account}", {"account": account, "region": REGION})

    def change(self, value: str, *, extra: bool = False) -> Change:
        resources = _PARAMETER.format(name="Shown", value=value)
        if extra:
            resources += _PARAMETER.format(name="Extra", value="there")
        return Change(value, {"template.yaml": f"Resources:\n{resources}"})

    def _client(self, service: str, target: Target) -> Any:
        return self._aws.client(service, target.address["account"], region=REGION)

    def shown(self, target: Target) -> tuple[str | None, bool]:
        names = ["/contract/Shown", "/contract/Extra"]
        found = self._client("ssm", target).get_parameters(Names=names)["Parameters"]
        values = {each["Name"]: each["Value"] for each in found}
        return values.get(names[0]), names[1] in values

    def trace(self, target: Target) -> Hashable:
        client, found = self._client("cloudformation", target), []
        for stack in client.list_stacks()["StackSummaries"]:
            if stack["StackStatus"] == "DELETE_COMPLETE" and not self._was_executed(target, stack):
                continue  # the shell of a preview
            sets = (
                client.list_change_sets(StackName=stack["StackId"])["Summaries"]
                if stack["StackStatus"] != "DELETE_COMPLETE"
                else []
            )
            names = tuple(sorted(s["ChangeSetName"] for s in sets))
            found.append(
                (stack["StackId"], stack["StackStatus"], names, self._events(target, stack))
            )
        return tuple(found)

    def _events(self, target: Target, stack: dict[str, Any]) -> int:
        pages = self._client("cloudformation", target).get_paginator("describe_stack_events")
        return sum(len(p["StackEvents"]) for p in pages.paginate(StackName=stack["StackId"]))

    def _was_executed(self, target: Target, stack: dict[str, Any]) -> bool:
        pages = self._client("cloudformation", target).get_paginator("describe_stack_events")
        events = [e for p in pages.paginate(StackName=stack["StackId"]) for e in p["StackEvents"]]
        return any(e["ResourceStatus"] == "CREATE_IN_PROGRESS" for e in events)

    def by_hand(self, target: Target, value: str) -> None:
        client = self._client("cloudformation", target)
        client.update_stack(StackName="app", TemplateBody=self.change(value).files["template.yaml"])
        client.get_waiter("stack_update_complete").wait(
            StackName="app", WaiterConfig={"Delay": 0.05, "MaxAttempts": 100}
        )

    @contextmanager
    def refusal(self, target: Target) -> Iterator[tuple[Change, str]]:
        account = target.address["account"]
        denial = self._aws.deny(
            account=account,
            resource_type="AWS::SSM::Parameter",
            logical_id="Extra",
            reason="not today",
        )
        try:
            yield self.change("second", extra=True), "not today"
        finally:
            self._aws.clear_denials(denial)

    @contextmanager
    def silence(self, target: Target) -> Iterator[None]:
        fault = self._aws.fault("reset", account=target.address["account"], count=None)
        try:
            yield
        finally:
            self._aws.clear_faults(fault)

    @contextmanager
    def lost_replies(self, target: Target, *, skip: int) -> Iterator[None]:
        """The mutations of an apply are two calls; there is no third whose reply could be lost."""
        operation = _MUTATIONS[min(skip, 1)]
        fault = self._aws.fault(
            "lost_reply", account=target.address["account"], operation=operation
        )
        try:
            yield
        finally:
            self._aws.clear_faults(fault)
