"""Sessions into accounts, over HTTP against the embedded AWS."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from phased_rollout import aws as sessions
from phased_rollout.aws import Access, access, hook
from phased_rollout.aws_errors import classify
from phased_rollout.errors import ConfigError, RefusedError, UnreachableError
from tests.unit.substrates.conftest import REGION, World

ACCESS = Access(connection="aws", account="111122223333", region="eu-central-1")


def replied(
    code: str, operation: str = "CreateChangeSet", status: int = 400, said: str = "words"
) -> ClientError:
    reply = {
        "Error": {"Code": code, "Message": said},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(reply, operation)


@pytest.mark.parametrize(
    "error",
    [
        replied("Throttling"),
        replied("ThrottlingException"),
        replied("RequestLimitExceeded"),
        replied("InternalFailure", status=500),
        replied("AnythingElse", status=503),
        replied("TooMany", status=429),
        replied("ExpiredToken"),
        replied("InvalidClientTokenId", status=403),
        replied("UnrecognizedClientException"),
        replied("AccessDenied", "AssumeRole", status=403),
        replied("AccessDenied", "DescribeStacks", status=403),
        replied("AccessDenied", "ExecuteChangeSet", status=403),
        replied(
            "ValidationError", said="Role arn:aws:iam::1:role/x is invalid or cannot be assumed"
        ),
        ReadTimeoutError(endpoint_url="x"),
        ConnectTimeoutError(endpoint_url="x"),
        EndpointConnectionError(endpoint_url="x"),
        ResponseParserError("not XML"),
        ConnectionResetError(),
    ],
)
def test_what_says_nothing_about_the_change_is_unreachable(error: Exception) -> None:
    assert type(classify(error)) is UnreachableError


@pytest.mark.parametrize(
    "error",
    [
        replied("ValidationError"),
        replied("InsufficientCapabilitiesException"),
        replied("LimitExceededException"),
    ],
)
def test_what_the_target_says_no_to_is_refused(error: Exception) -> None:
    found = classify(error, where="account 1")
    assert isinstance(found, RefusedError)
    assert str(found).startswith("account 1: CreateChangeSet: ")


def denied(operation: str, said: str) -> ClientError:
    return ClientError({"Error": {"Code": "AccessDenied", "Message": said}}, operation)


@pytest.mark.parametrize(
    ("error", "service", "words"),
    [
        (
            denied("GetResources", "no"),
            "resourcegroupstaggingapi",
            "GetResources: no permission to look: role 'r' needs tag:GetResources: no",
        ),
        (
            denied("ExecuteChangeSet", "User: u is not authorized to perform: iam:PassRole on x"),
            "cloudformation",
            "ExecuteChangeSet: AccessDenied: role 'r' needs iam:PassRole: User: u is not "
            "authorized to perform: iam:PassRole on x",
        ),
        (
            denied("AssumeRole", "Value 'hush' at 'externalId' failed to satisfy constraint"),
            "sts",
            "could not assume the role: AccessDenied: Value '…' at 'externalId' failed to satisfy "
            "constraint: mend the role's trust policy, `role`, `external_id` or `via`",
        ),
        (
            ParamValidationError(
                report="Invalid type for parameter P, value: hush, type: <class 'str'>, valid: x"
            ),
            "cloudformation",
            "the request is not valid: Parameter validation failed:\nInvalid type for parameter P, "
            "value: …, type: <class 'str'>, valid: x",
        ),
    ],
)
def test_a_denial_names_permission_and_role_and_no_value(
    error: Exception, service: str, words: str
) -> None:
    assert str(classify(error, where="w", service=service, who="role 'r'")) == f"w: {words}"


@pytest.mark.parametrize(
    ("role", "region", "arn"),
    [
        ("rollout", "eu-central-1", "arn:aws:iam::111122223333:role/rollout"),
        ("rollout", "cn-north-1", "arn:aws-cn:iam::111122223333:role/rollout"),
        ("rollout", "us-gov-west-1", "arn:aws-us-gov:iam::111122223333:role/rollout"),
        (
            "arn:aws:iam::{account}:role/x-{region}",
            "eu-west-1",
            "arn:aws:iam::111122223333:role/x-eu-west-1",
        ),
    ],
)
def test_a_role_is_named_for_its_account_and_partition(role: str, region: str, arn: str) -> None:
    assert Access("aws", "111122223333", region).arn_of(role) == arn


def test_all_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        Access.of({}, {})
    assert len(error.value.problems) == 3


def test_a_connection_that_cannot_be_used_is_named_without_its_content(
    world: World, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {**connection, "extra": {**connection["extra"], "config_kwargs": {"hush": "hush"}}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS", json.dumps(broken))
    with pytest.raises(UnreachableError) as refused:
        world.read()
    assert str(refused.value) == (
        "connection 'aws' cannot be used (TypeError): mend its login, password or extra in Airflow"
    )


def test_a_mended_connection_is_looked_up_again(
    world: World, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {**connection, "login": "AKIAWRONG"}
    monkeypatch.setenv("AIRFLOW_CONN_AWS", json.dumps(broken))
    with pytest.raises(UnreachableError) as error:
        world.read()
    assert "sandbox" not in str(error.value)
    monkeypatch.setenv("AIRFLOW_CONN_AWS", json.dumps(connection))
    assert world.read().detail == "no stack"


def test_a_role_that_may_not_be_assumed_is_unreachable(world: World) -> None:
    arn = f"arn:aws:iam::{world.account}:role/rollout"
    world.aws.role(arn, absent=True)
    with pytest.raises(UnreachableError, match="could not assume the role: AccessDenied"):
        world.apply(world.artifact())


def test_the_external_id_is_sent(world: World) -> None:
    world.aws.role(f"arn:aws:iam::{world.account}:role/rollout", external_id="shared")
    with pytest.raises(UnreachableError, match="could not assume the role"):
        world.read()
    world.options["external_id"] = "shared"
    assert world.read().detail == "no stack"


def test_nothing_is_changed_in_an_account_that_is_not_the_targets(world: World) -> None:
    other = World(world.aws).account
    world.options["role"] = f"arn:aws:iam::{other}:role/rollout"
    with pytest.raises(UnreachableError, match=f"nothing was done.*{other}"):
        world.apply(world.artifact())
    with pytest.raises(UnreachableError, match=f"nothing was done.*{other}"):
        world.substrate.preview(world.target, world.artifact(), token="aaaa-p")
    assert world.aws.calls(account=other, operation="CreateChangeSet") == []
    assert world.mutations == 0


def test_the_account_is_asked_for_once_a_session(world: World) -> None:
    world.apply(world.artifact())
    world.apply(world.artifact(given={"Level": "debug"}), token="bbbb-1")
    assert len(world.calls("GetCallerIdentity")) == 1


def test_credentials_are_renewed_before_they_expire(world: World) -> None:
    with world.aws.with_settings(session_seconds=120):
        world.apply(world.artifact())
        assert world.read().healthy
    assumed = world.aws.calls(operation="AssumeRole")
    assert len([c for c in assumed if world.account in c["params"]["RoleArn"]]) > 1


def test_many_targets_at_once_share_one_session(
    world: World, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection["password"] = "another session"
    monkeypatch.setenv("AIRFLOW_CONN_AWS", json.dumps(connection))
    made = []
    real = access.SessionFactory.create_session

    def counted(self: Any, **arguments: Any) -> Any:
        made.append(1)
        return real(self, **arguments)

    monkeypatch.setattr(access.SessionFactory, "create_session", counted)
    worlds = [World(world.aws) for _ in range(40)]
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda w: w.apply(w.artifact()).outcome, worlds))
    assert set(outcomes) == {"done"}
    assert len(made) == 1
    assert all(w.done("ExecuteChangeSet") == 1 for w in worlds)


def test_clients_are_kept_for_the_last_accounts_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook, "_REACHABLE_ACCOUNTS", 2)
    for _ in range(4):
        World(world.aws).read()
    assert len(hook._HOOKS) == 2


def test_it_can_be_asked_from_the_triggerers_threads(world: World) -> None:
    async def asked() -> str:
        state = await sync_to_async(world.substrate.read, thread_sensitive=False)(world.target)
        return str(state.detail)

    assert asyncio.run(asked()) == "no stack"


def test_the_connections_own_client_settings_win(
    world: World, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection["extra"]["config_kwargs"] = {"read_timeout": 7}
    monkeypatch.setenv("AIRFLOW_CONN_AWS", json.dumps(connection))
    found = sessions.account(Access("aws", world.account, REGION, role="rollout"))
    config = found.client("cloudformation").meta.config
    assert (config.read_timeout, config.connect_timeout) == (7, 5)
    assert found.conn.meta.region_name == REGION


def test_a_connection_without_a_role_acts_as_itself(world: World) -> None:
    found = sessions.account(Access("aws", "999999999999", REGION))
    found.check_account()
    assert found.call("get_caller_identity", service="sts")["Account"] == "999999999999"
