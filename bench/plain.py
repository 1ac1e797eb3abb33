"""A change applied without this product: from a task of a plain Dag."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import boto3
import yaml

STACK, REGION, ROLE = "baseline", "eu-central-1", "phased-rollout"
POLL = 0.1


@dataclass
class Aws:
    """Where the accounts are: clients in each of them, by AssumeRole."""

    endpoint: str
    key: str
    secret: str
    session: Any = field(default_factory=boto3.session.Session)
    lock: Any = field(default_factory=Lock)

    def client(self, service: str, account: str) -> Any:
        """Make a client in an account; a session may not make two at once."""
        with self.lock:
            sts = self._client("sts", self.key, self.secret)
        arn = f"arn:aws:iam::{account}:role/{ROLE}"
        found = sts.assume_role(RoleArn=arn, RoleSessionName="plain")["Credentials"]
        with self.lock:
            return self._client(
                service,
                found["AccessKeyId"],
                found["SecretAccessKey"],
                aws_session_token=found["SessionToken"],
            )

    def _client(self, service: str, key: str, secret: str, **more: str) -> Any:
        return self.session.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            **more,
        )


def apply(aws: Aws, account: str, *, change: Path, name: str) -> None:
    """Look, make a ChangeSet, execute it, wait, and read it back, as the product does."""
    client = aws.client("cloudformation", account)
    for _ in range(2):  # what is recorded, and what is compared with under the lock
        client.describe_stacks(StackName=STACK)
        client.get_template(StackName=STACK, TemplateStage="Original")
    settings = yaml.safe_load((change / "change.yaml").read_text())
    client.create_change_set(
        StackName=STACK,
        ChangeSetName=name,
        TemplateBody=(change / "template.yaml").read_text(),
        Parameters=[
            {"ParameterKey": k, "ParameterValue": str(v)} for k, v in settings["parameters"].items()
        ],
        Tags=[{"Key": k, "Value": v} for k, v in settings["tags"].items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    while (
        client.describe_change_set(StackName=STACK, ChangeSetName=name)["Status"]
        != "CREATE_COMPLETE"
    ):
        time.sleep(POLL)
    client.execute_change_set(StackName=STACK, ChangeSetName=name)
    while not _status(client).endswith("_COMPLETE"):
        time.sleep(POLL)
    client.describe_stacks(StackName=STACK)
    client.get_template(StackName=STACK, TemplateStage="Original")


def healthy(aws: Aws, accounts: Iterable[str]) -> bool:
    """Say whether no alarm is on in any of the accounts."""
    return not any(
        aws.client("cloudwatch", account).describe_alarms(StateValue="ALARM")["MetricAlarms"]
        for account in accounts
    )


def _status(client: Any) -> str:
    return str(client.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"])
