"""One embedded AWS for all tests here; every test has an account of its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from phased_rollout import aws as sessions
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Artifact, Outcome, Progress, TargetState
from phased_rollout.substrates.cloudformation import CloudFormationSubstrate
from phased_rollout.substrates.cloudformation.api import poll
from sandbox.aws.client import SandboxAws

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
_accounts = itertools.count(100000000001)


class World:
    """One account of the embedded AWS, and the substrate that changes it."""

    def __init__(self, aws: SandboxAws) -> None:
        self.aws = aws
        self.account = str(next(_accounts))
        self.target = Target("playground-1", {"account": self.account, "region": REGION})
        self.options: dict[str, Any] = {"connection": "aws", "role": "rollout", "stack": "app"}
        self.mutations = 0

    @property
    def substrate(self) -> CloudFormationSubstrate:
        """A fresh one, as after a restart of the process."""
        return CloudFormationSubstrate(self.options)

    @property
    def client(self) -> Any:
        return self.aws.client("cloudformation", self.account)

    @contextmanager
    def mutation(self) -> Iterator[None]:
        self.mutations += 1
        yield

    def artifact(self, template: str = TEMPLATE, **change: Any) -> Artifact:
        name = "template.json" if template.lstrip().startswith("{") else "template.yaml"
        return self.substrate.render(
            Change(name="change", files={name: template}, **change),
            channel="playground",
            target=self.target,
        )

    def read(self) -> TargetState:
        return self.substrate.read(self.target)

    def apply(self, artifact: Artifact, *, token: str = APPLY) -> Progress:
        return self.driven(
            lambda: self.substrate.apply(
                self.target, artifact, token=token, mutation=self.mutation
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
        """How often the operation was really performed."""
        refused = [c for c in self.calls(operation) if c["error"] and c["fault"] != "lost_503"]
        return len(self.calls(operation)) - len(refused)

    def value(self) -> str | None:
        ssm = self.aws.client("ssm", self.account)
        found = ssm.get_parameters(Names=["/app/level"])["Parameters"]
        return str(found[0]["Value"]) if found else None

    def by_hand(self, level: str) -> None:
        """Change the stack as a colleague at the console would."""
        self.client.update_stack(
            StackName="app",
            UsePreviousTemplate=True,
            Parameters=[{"ParameterKey": "Level", "ParameterValue": level}],
        )
        self.client.get_waiter("stack_update_complete").wait(
            StackName="app", WaiterConfig={"Delay": 0.1, "MaxAttempts": 50}
        )

    def left(self) -> list[str]:
        """Names of the ChangeSets that the stack still has."""
        found = self.client.list_change_sets(StackName="app")["Summaries"]
        return [summary["ChangeSetName"] for summary in found]


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
