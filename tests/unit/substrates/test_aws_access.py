"""The ways into accounts: roles one through the other, sessions that end, permissions."""

from __future__ import annotations

from typing import Any

import pytest

from phased_rollout import aws as sessions
from phased_rollout.aws import Access
from phased_rollout.errors import UnreachableError
from phased_rollout.model.target_state import Outcome
from tests.unit.substrates.conftest import APPLY, World
from tests.unit.substrates.test_aws_connection import edited

HUB, INNER = "888888888888", "777777777777"
HUB_ROLE, INNER_ROLE = f"arn:aws:iam::{HUB}:role/hub", f"arn:aws:iam::{INNER}:role/inner"
MUTATIONS = ("CreateChangeSet", "ExecuteChangeSet", "DeleteChangeSet", "DeleteStack")


def role_of(world: World) -> str:
    return f"arn:aws:iam::{world.account}:role/rollout"


@pytest.fixture
def chained(world: World) -> World:
    """A world whose role trusts one role only, which trusts another one only."""
    world.aws.role(role_of(world), trusts=[INNER_ROLE], external_id="of-target")
    world.aws.role(INNER_ROLE, trusts=[HUB_ROLE], external_id="of-inner")
    world.aws.role(HUB_ROLE, external_id="of-hub")
    world.aws.clear_calls()
    world.options |= {
        "external_id": "of-target",
        "via": [
            {"role": HUB_ROLE, "external_id": "of-hub"},
            {"role": INNER_ROLE, "external_id": "of-inner"},
        ],
    }
    return world


def assumed(world: World) -> dict[str, list[str]]:
    """The names of the sessions that were opened, for each role."""
    found: dict[str, list[str]] = {}
    for call in world.aws.calls(operation="AssumeRole"):
        if call["error"] is None and call["params"]["RoleSessionName"] != "sandbox-client":
            found.setdefault(call["params"]["RoleArn"], []).append(
                call["params"]["RoleSessionName"]
            )
    return found


def test_a_role_is_reached_through_others_each_with_its_external_id(chained: World) -> None:
    assert chained.apply(chained.artifact()).outcome is Outcome.DONE
    assert assumed(chained) == {
        HUB_ROLE: ["phased-rollout-via-1"],
        INNER_ROLE: ["phased-rollout-via-2"],
        role_of(chained): ["phased-rollout"],
    }
    callers = {c["caller"] for c in chained.calls("ExecuteChangeSet")}
    assert callers == {f"arn:aws:sts::{chained.account}:assumed-role/rollout/phased-rollout"}


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_each_role_on_the_way_refuses_without_its_external_id(chained: World, missing: int) -> None:
    if missing == 2:
        del chained.options["external_id"]
    else:
        del chained.options["via"][missing]["external_id"]
    with pytest.raises(UnreachableError, match="could not assume the role: AccessDenied") as error:
        chained.read()
    assert "of-" not in str(error.value)


def test_a_role_that_trusts_the_hub_only_refuses_the_connection(chained: World) -> None:
    del chained.options["via"]
    with pytest.raises(UnreachableError, match=r"sts:AssumeRole on resource: .*:role/rollout"):
        chained.read()


def test_the_roles_on_the_way_are_assumed_once_for_all_targets(chained: World) -> None:
    for _ in range(3):
        other = World(chained.aws)
        other.options = {**chained.options}
        chained.aws.role(role_of(other), trusts=[INNER_ROLE])
        assert other.read().detail == "no stack"
    assert len(assumed(chained)[HUB_ROLE]) == len(assumed(chained)[INNER_ROLE]) == 1


def test_a_role_of_the_connection_itself_may_come_first(
    chained: World, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = connection["extra"] | {
        "role_arn": HUB_ROLE,
        "assume_role_kwargs": {"ExternalId": "of-hub"},
    }
    edited(monkeypatch, connection, extra=extra)
    chained.options["via"] = chained.options["via"][1:]
    assert chained.apply(chained.artifact()).outcome is Outcome.DONE
    extra["assume_role_kwargs"] = {"ExternalId": "guessed"}
    edited(monkeypatch, connection, extra=extra)
    sessions.forget()
    with pytest.raises(UnreachableError, match="could not assume the role") as error:
        chained.read()
    assert "guessed" not in str(error.value)


def test_an_apply_outlasts_its_sessions_and_repeats_no_change(chained: World) -> None:
    with chained.aws.with_settings(session_seconds=1, slow={chained.account: 0.5}):
        before = chained.read()
        assert chained.apply(chained.artifact()).outcome is Outcome.DONE
        assert chained.restore(before, chained.artifact()).outcome is Outcome.DONE
    assert {op: chained.done(op) for op in MUTATIONS} == {
        "CreateChangeSet": 1, "ExecuteChangeSet": 1, "DeleteChangeSet": 0, "DeleteStack": 1,
    }  # fmt: skip
    assert len(assumed(chained)[HUB_ROLE]) > 1


@pytest.mark.parametrize("ended", [HUB, INNER, "target"])
def test_sessions_that_end_before_their_time_are_renewed_in_a_long_wait(
    chained: World, ended: str
) -> None:
    account = chained.account if ended == "target" else ended
    with chained.aws.held(chained.account):
        waiting = chained.substrate.apply(
            chained.target, chained.artifact(), token=APPLY, mutation=chained.mutation
        )
        assert waiting.outcome is Outcome.WAITING
        chained.aws.expire_sessions(account)
        if ended != "target":  # what was assumed through them is to be renewed as well
            chained.aws.expire_sessions(chained.account)
        assert chained.substrate.settled(chained.target, token=APPLY) is False
    assert chained.apply(chained.artifact()).outcome is Outcome.DONE
    assert chained.done("CreateChangeSet") == chained.done("ExecuteChangeSet") == 1


def test_a_change_that_meets_an_ended_session_is_sent_again_once(world: World) -> None:
    world.apply(world.artifact())
    said = {"code": "ExpiredToken", "message": "The token is expired", "status": 403}
    world.aws.fault("error", account=world.account, operation="ExecuteChangeSet", **said)
    assert world.apply(world.artifact(given={"Level": "debug"}), token="bbbb-1").outcome == "done"
    calls = world.calls("ExecuteChangeSet")[1:]
    assert [c["error"] for c in calls] == ["ExpiredToken", None]


def test_a_session_that_cannot_be_renewed_is_unreachable(world: World) -> None:
    said = {"code": "ExpiredToken", "message": "The token is expired", "status": 403}
    world.aws.fault("error", account=world.account, operation="DescribeStacks", count=None, **said)
    with pytest.raises(UnreachableError, match="ExpiredToken: The token is expired"):
        world.read()
    assert len(world.calls("DescribeStacks")) == 2


def test_the_account_is_compared_again_for_every_new_session(world: World) -> None:
    world.apply(world.artifact())
    world.aws.expire_sessions(world.account)
    world.apply(world.artifact(given={"Level": "debug"}), token="bbbb-1")
    asked = [c for c in world.calls("GetCallerIdentity") if c["error"] is None]
    assert len(asked) == 2


def test_no_change_is_sent_unless_the_account_was_compared(world: World) -> None:
    other = World(world.aws).account
    world.options["role"] = f"arn:aws:iam::{other}:role/rollout"
    hook = sessions.account(Access.of(world.options, world.target.address))
    with pytest.raises(UnreachableError, match=f"nothing was done.*{other}"):
        hook.call("delete_stack", StackName="app")
    assert world.aws.calls(account=other, operation="DeleteStack") == []


@pytest.mark.parametrize("action", ["DescribeStacks", "DescribeChangeSet", "GetTemplate"])
def test_a_read_that_is_not_permitted_holds_and_names_permission_and_role(
    world: World, action: str
) -> None:
    world.apply(world.artifact())
    world.aws.ban(f"cloudformation:{action}", account=world.account)
    words = f"{action}: no permission to look: role 'rollout' needs cloudformation:{action}: User"
    try:
        with pytest.raises(UnreachableError, match=words):
            world.apply(world.artifact(given={"Level": "debug"}), token="bbbb-1")
    finally:
        world.aws.clear_bans()


@pytest.mark.parametrize("action", ["CreateChangeSet", "ExecuteChangeSet"])
def test_a_change_that_is_not_permitted_holds_and_names_permission_and_role(
    world: World, action: str
) -> None:
    world.aws.ban(f"cloudformation:{action}", account=world.account)
    words = f"{action}: AccessDenied: role 'rollout' needs cloudformation:{action}: User"
    try:
        with pytest.raises(UnreachableError, match=words):
            world.apply(world.artifact())
    finally:
        world.aws.clear_bans()
    assert world.apply(world.artifact()).outcome is Outcome.DONE


def test_the_account_is_asked_for_again_with_a_renewed_session(world: World) -> None:
    hook = sessions.account(Access.of(world.options, world.target.address))
    assert hook.call("describe_stacks")["Stacks"] == []
    world.aws.expire_sessions(world.account)
    hook.check_account()
    assert world.calls("GetCallerIdentity")[-1]["error"] is None
