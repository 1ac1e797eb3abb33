"""An embedded AWS in this process, and a fresh account of it for every test."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.client import SandboxAws

REGION = "eu-central-1"
PHASE = 0.02
_accounts = itertools.count(100_000_000_001)


def eventually(condition: Callable[[], Any], *, within: float = 10.0) -> Any:
    """The first truthy value of ``condition``; fails after ``within`` seconds."""
    deadline = time.monotonic() + within
    while True:
        if value := condition():
            return value
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


@dataclass
class Account:
    """One account, with the few calls that every test makes."""

    aws: SandboxAws
    id: str

    def client(self, service: str) -> Any:
        return self.aws.client(service, self.id, region=REGION)

    @property
    def cfn(self) -> Any:
        return self.client("cloudformation")

    def stack(self, name: str = "baseline") -> dict[str, Any]:
        found: dict[str, Any] = self.cfn.describe_stacks(StackName=name)["Stacks"][0]
        return found

    def settled(self, name: str = "baseline") -> str:
        """Wait until the stack's operation is over; the status it ended in."""
        cfn = self.cfn

        def status() -> str | None:
            found = str(cfn.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
            return None if found.endswith("_IN_PROGRESS") else found

        return str(eventually(status))

    def create(self, template: str, **values: Any) -> str:
        """Create the stack ``baseline`` and wait; the status it ended in."""
        stack = self.cfn.create_stack(StackName="baseline", **request(template, **values))
        return self.settled(stack["StackId"])

    def change_set(self, template: str | None = None, **values: Any) -> dict[str, Any]:
        """Make a change set for the stack ``baseline`` and wait; its description."""
        name = values.pop("name", "change")
        include = values.pop("include_values", False)
        sent = request(template, **values)
        made = self.cfn.create_change_set(StackName="baseline", ChangeSetName=name, **sent)
        return self.evaluated(made["Id"], IncludePropertyValues=include)

    def evaluated(self, arn: str, **kwargs: Any) -> dict[str, Any]:
        cfn = self.cfn

        def description() -> dict[str, Any] | None:
            found: dict[str, Any] = cfn.describe_change_set(ChangeSetName=arn, **kwargs)
            return found if found["Status"] in ("CREATE_COMPLETE", "FAILED") else None

        found: dict[str, Any] = eventually(description)
        return found

    def execute(self, change_set: dict[str, Any], **kwargs: Any) -> str:
        """Execute a change set and wait; the status the stack ended in."""
        self.cfn.execute_change_set(ChangeSetName=change_set["ChangeSetId"], **kwargs)
        return self.settled(change_set["StackId"])

    def parameter(self, name: str) -> str | None:
        """The value of an SSM parameter, or None."""
        ssm = self.client("ssm")
        try:
            return str(ssm.get_parameter(Name=name)["Parameter"]["Value"])
        except ssm.exceptions.ParameterNotFound:
            return None


def request(template: str | None, **values: Any) -> dict[str, Any]:
    """Arguments for a boto3 call; ``parameters`` and ``tags`` are dicts."""
    sent: dict[str, Any] = {"UsePreviousTemplate": True}
    if template is not None:
        sent = {"TemplateBody": template}
    if "parameters" in values:
        sent["Parameters"] = [
            {"ParameterKey": key, "UsePreviousValue": True}
            if value is None
            else {"ParameterKey": key, "ParameterValue": value}
            for key, value in values.pop("parameters").items()
        ]
    if "tags" in values:
        sent["Tags"] = [{"Key": key, "Value": value} for key, value in values.pop("tags").items()]
    return sent | values


@pytest.fixture(scope="session")
def aws() -> Iterator[SandboxAws]:
    with SandboxAws.start_in_thread() as sandbox:
        sandbox.settings(phase=PHASE)
        yield sandbox


@pytest.fixture
def account(aws: SandboxAws) -> Account:
    return Account(aws, str(next(_accounts)))


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait for a condition: ``until(lambda: …)``."""
    return eventually


@pytest.fixture
def refused() -> Callable[..., tuple[str, str]]:
    """Call something that AWS refuses; the error's code and message."""

    def code_and_message(call: Callable[..., Any], **kwargs: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            call(**kwargs)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    return code_and_message
