"""What a connection gives: credentials of its own or none, a region, a partition."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from phased_rollout import aws as sessions
from phased_rollout.aws import Access, access
from phased_rollout.aws.roles import client_of
from phased_rollout.errors import UnreachableError
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Outcome
from tests.unit.substrates.conftest import RESTORE, World


def edited(monkeypatch: pytest.MonkeyPatch, content: dict[str, Any], **changes: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS", json.dumps({**content, **changes}))


AMBIENT = {
    "AWS_ACCESS_KEY_ID": "sandbox",
    "AWS_SECRET_ACCESS_KEY": "ambient",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "connection 'aws' does not exist"),
        ({"conn_type": "http", "host": "x"}, "is of type 'http', not 'aws'"),
        ({"login": "sandbox", "password": "sandbox"}, "is of type None, not 'aws'"),
        ({"conn_type": "aws", "login": "sandbox"}, "has half of its credentials"),
        ({"conn_type": "aws", "password": "hush"}, "has half of its credentials"),
        (
            {"conn_type": "aws", "extra": {"aws_access_key_id": "sandbox"}},
            "has half of its credentials",
        ),
        (
            {"conn_type": "aws", "extra": {"profile_name": "nowhere"}},
            "nowhere",
        ),
    ],
)
def test_no_connection_falls_back_to_the_machines_credentials(
    world: World, monkeypatch: pytest.MonkeyPatch, content: dict[str, Any] | None, words: str
) -> None:
    for name, value in AMBIENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", world.aws.endpoint)
    if content is None:
        monkeypatch.delenv("AIRFLOW_CONN_AWS")
    else:
        monkeypatch.setenv("AIRFLOW_CONN_AWS", json.dumps(content))
    sessions.forget()
    world.aws.clear_calls()
    with pytest.raises(UnreachableError, match=words) as error:
        world.read()
    assert world.aws.calls() == []
    assert "hush" not in str(error.value)


def test_the_machines_credentials_do_not_mix_with_the_connections(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "AKIAAMBIENT")
    assert world.apply(world.artifact()).outcome is Outcome.DONE


def test_an_edited_connection_is_used_once_it_is_a_minute_old(
    world: World, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.apply(world.artifact())
    edited(monkeypatch, connection, login="AKIAREVOKED")
    assert world.read().healthy
    monkeypatch.setattr(access, "_TRUSTED", 0.0)
    with pytest.raises(UnreachableError, match="InvalidClientTokenId"):
        world.read()
    edited(monkeypatch, connection, password="rotated")
    assert world.read().healthy
    monkeypatch.delenv("AIRFLOW_CONN_AWS")
    with pytest.raises(UnreachableError, match="does not exist"):
        world.read()


def test_a_region_that_is_not_enabled_is_named_in_words(world: World) -> None:
    world.aws.disable_region(world.account, "eu-central-1")
    words = r"account \d+ \(eu-central-1\): the region is not enabled in this account"
    with pytest.raises(UnreachableError, match=words):
        world.read()
    with pytest.raises(UnreachableError, match=words):
        world.apply(world.artifact())


def test_the_connections_own_region_is_where_roles_are_assumed(
    world: World, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.aws.disable_region("999999999999", "eu-south-1")
    world.target = Target("south", {"account": world.account, "region": "eu-south-1"})
    with pytest.raises(UnreachableError, match="could not assume the role: InvalidClientTokenId"):
        world.read()
    edited(monkeypatch, connection, extra={**connection["extra"], "region_name": "eu-west-1"})
    assert world.read().detail == "no stack"
    found = world.aws.calls(operation="AssumeRole", account=world.account)
    assert [c["region"] for c in found if c["error"] is None] == ["eu-west-1"]
    assert world.calls("DescribeStacks")[0]["region"] == "eu-south-1"


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_a_change_goes_through_in_other_partitions(
    world: World, region: str, partition: str
) -> None:
    world.target = Target("elsewhere", {"account": world.account, "region": region})
    before = world.read()
    assert world.apply(world.artifact()).outcome is Outcome.DONE
    assert world.restore(before, world.artifact(), token=RESTORE).outcome is Outcome.DONE
    (created,) = world.calls("ExecuteChangeSet")
    assert created["caller"].startswith(f"arn:{partition}:sts::{world.account}:")


@pytest.mark.parametrize(
    ("region", "endpoint"),
    [
        ("eu-central-1", "https://sts.eu-central-1.amazonaws.com"),
        ("us-east-1", "https://sts.us-east-1.amazonaws.com"),
        ("cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com"),
    ],
)
def test_roles_are_assumed_at_a_regional_endpoint_whatever_the_machine_says(
    world: World,
    connection: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    region: str,
    endpoint: str,
) -> None:
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    edited(monkeypatch, connection, extra={})
    asked = Access("aws", world.account, region, role="rollout")
    client = client_of(asked, "sts", ReadOnlyCredentials("key", "secret", None))
    assert client.meta.endpoint_url == endpoint
