"""One embedded AWS for all tests here; every test has an account of its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from phased_rollout import aws as sessions
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Artifact, Outcome, Progress, TargetState
from phased_rollout.substrates.cloudformation import CloudFormationSubstrate
from phased_rollout.substrates.cloudformation.api import poll
from phased_rollout.substrates.kubernetes.access import forget
from sandbox.aws.client import SandboxAws
from sandbox.kubernetes.server import SandboxClusters
from tests.unit.substrates import clusters

REGION = "eu-central-1"
APPLY, RESTORE = "aaaa-1", "aaaa-restore"  # of one rollout
TEMPLATE = """\
Parameters:
  Level: {Type: String, Default: info}
Resources:
  Setting:
    Type: AWS::SSM::Parameter
    Properties: {Name: !Sub '/app/level', Type: String, Value: !Ref Level}
Outputs:
  Where: {Value: !Ref Setting}
"""
STARTS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
_accounts = itertools.count(100000000001)


class World:
    """One region of an account of the embedded AWS, and the substrate that changes it."""

    def __init__(
        self, aws: SandboxAws, *, account: str | None = None, region: str = REGION
    ) -> None:
        self.aws = aws
        self.account = account or str(next(_accounts))
        self.region = region
        self.target = Target(f"in-{region}", {"account": self.account, "region": region})
        self.options: dict[str, Any] = {"connection": "aws", "role": "rollout", "stack": "app"}
        self.mutations = 0

    @property
    def substrate(self) -> CloudFormationSubstrate:
        """A fresh one, as after a restart of the process."""
        return CloudFormationSubstrate(self.options)

    @property
    def client(self) -> Any:
        return self.client_of("cloudformation")

    def client_of(self, service: str) -> Any:
        return self.aws.client(service, self.account, region=self.region)

    def several(self, *names: str, **options: Any) -> None:
        """Let the target have these stacks, in order; each has the template ``<name>.yaml``."""
        self.options.pop("stack", None)
        stacks = [{"name": name, "template": f"{name}.yaml"} for name in names]
        self.options |= {"stacks": stacks, **options}

    @contextmanager
    def mutation(self) -> Iterator[None]:
        self.mutations += 1
        yield

    def artifact(
        self, template: str = TEMPLATE, *, files: dict[str, str] | None = None, **change: Any
    ) -> Artifact:
        name = "template.json" if template.lstrip().startswith("{") else "template.yaml"
        return self.substrate.render(
            Change(name="change", files=files or {name: template}, **change),
            channel="playground",
            target=self.target,
        )

    def read(self) -> TargetState:
        return self.substrate.read(self.target)

    def apply(
        self, artifact: Artifact, *, token: str = APPLY, expected: str | None = None
    ) -> Progress:
        return self.driven(
            lambda: self.substrate.apply(
                self.target, artifact, token=token, mutation=self.mutation, expected=expected
            ),
            token=token,
        )

    def restore(self, before: TargetState, applied: Artifact, *, token: str = RESTORE) -> Progress:
        return self.driven(
            lambda: self.substrate.restore(
                self.target, before=before, applied=applied, token=token, mutation=self.mutation
            ),
            token=token,
        )

    def driven(self, step: Callable[[], Progress], *, token: str) -> Progress:
        """Take steps as the engine does: wait until it is settled, then take the next."""
        for _ in range(20):
            progress = step()
            if progress.outcome is not Outcome.WAITING:
                return progress
            poll(lambda: self.substrate.settled(self.target, token=token), until=bool, seconds=10)
        raise AssertionError(f"still waiting: {progress.reason}")

    def calls(self, operation: str) -> list[dict[str, Any]]:
        return self.aws.calls(account=self.account, operation=operation)

    def done(self, operation: str) -> int:
        """How often the operation was really performed, whether or not anybody was told."""
        errors = {None: None, "slow": None, "lost_reply": None, "reset_after": None}
        errors["lost_503"] = "ServiceUnavailable"  # said although it was done
        return sum(errors.get(c["fault"], "") == c["error"] for c in self.calls(operation))

    def value(self) -> str | None:
        return self.values("/app/level")[0]

    def values(self, *names: str) -> list[str | None]:
        """Values of SSM parameters; None for one that is not there."""
        ssm = self.client_of("ssm")
        found = {p["Name"]: p["Value"] for p in ssm.get_parameters(Names=names)["Parameters"]}
        return [found.get(name) for name in names]

    def started(self, name: str = "app") -> list[str]:
        """What was ever started on stacks of that name, as their events tell, oldest first."""
        pages = self.client.get_paginator("list_stacks").paginate()
        arns = [
            s["StackId"] for page in pages for s in page["StackSummaries"] if s["StackName"] == name
        ]
        found = []
        for arn in reversed(arns):
            events = self.client.get_paginator("describe_stack_events").paginate(StackName=arn)
            own = [
                e["ResourceStatus"]
                for page in events
                for e in page["StackEvents"]
                if e["PhysicalResourceId"] == arn and e["ResourceStatus"] in STARTS
            ]
            found += reversed(own)
        return [status.removesuffix("_IN_PROGRESS") for status in found]

    def status(self, name: str = "app") -> str | None:
        """The status of a stack; None when there is none."""
        for page in self.client.get_paginator("describe_stacks").paginate():
            for stack in page["Stacks"]:
                if stack["StackName"] == name:
                    return str(stack["StackStatus"])
        return None

    def settle(self, name: str = "app") -> str | None:
        """Wait until nothing is in progress on a stack; gives its status."""
        return poll(
            lambda: self.status(name),
            until=lambda status: not (status or "").endswith("_IN_PROGRESS"),
            seconds=10,
        )

    def by_hand(self, level: str, *, stack: str = "app") -> None:
        """Change the stack as a colleague at the console would."""
        self.client.update_stack(
            StackName=stack,
            UsePreviousTemplate=True,
            Parameters=[{"ParameterKey": "Level", "ParameterValue": level}],
        )
        self.client.get_waiter("stack_update_complete").wait(
            StackName=stack, WaiterConfig={"Delay": 0.1, "MaxAttempts": 50}
        )

    def left(self) -> list[str]:
        """Names of the ChangeSets that the stack still has."""
        found = self.client.list_change_sets(StackName="app")["Summaries"]
        return [summary["ChangeSetName"] for summary in found]


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


def killed_after(call_number: int, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> bool:
    """Act in a process that is killed right after that call to AWS; whether it was."""
    real = sessions.AccountHook.call
    made = []

    def call(self: Any, operation: str, **arguments: Any) -> dict[str, Any]:
        reply = real(self, operation, **arguments)
        made.append(operation)
        if len(made) == call_number:
            raise Killed
        return reply

    with monkeypatch.context() as patched:
        patched.setattr(sessions.AccountHook, "call", call)
        try:
            act()
        except Killed:
            sessions.forget()  # as a new process would
            return True
    return False


@pytest.fixture(scope="session")
def aws() -> Iterator[SandboxAws]:
    with SandboxAws.start() as running:
        running.settings(phase=0.01)
        yield running


@pytest.fixture
def connection(aws: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The content of the connection ``aws``."""
    content = {
        "conn_type": "aws",
        "login": "sandbox",
        "password": "sandbox",
        "extra": {
            "endpoint_url": aws.endpoint,
            "service_config": {"sts": {"endpoint_url": aws.endpoint}},
        },
    }
    monkeypatch.setattr("phased_rollout.substrates.cloudformation.api._PAUSE", 0.01)
    monkeypatch.setattr("phased_rollout.aws.hook._THROTTLE_WAITS", (0.01, 0.01))
    monkeypatch.setenv("AIRFLOW_CONN_AWS", json.dumps(content))
    sessions.forget()
    yield content
    aws.clear_faults()
    aws.clear_denials()
    sessions.forget()


@pytest.fixture
def world(aws: SandboxAws, connection: dict[str, Any]) -> World:
    return World(aws)


@pytest.fixture
def impatient(connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the connection say that botocore shall not retry."""
    retries = {"mode": "standard", "total_max_attempts": 1}
    extra = {**connection["extra"], "config_kwargs": {"retries": retries}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS", json.dumps({**connection, "extra": extra}))


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxClusters]:
    """The clusters of all tests here; each test has one of its own."""
    running = SandboxClusters(pace=0.02).start()
    yield running
    running.stop()


@pytest.fixture
def kube(sandbox: SandboxClusters, tmp_path: Path) -> Iterator[clusters.World]:
    forget()
    yield clusters.World(sandbox, tmp_path)
    sandbox.faults.remove()
    forget()
