"""Bad days, over HTTP against the embedded AWS: nothing is done twice, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from phased_rollout import aws as sessions
from phased_rollout.errors import GuardError, UnreachableError
from phased_rollout.model.target_state import Outcome, TargetState
from tests.unit.substrates.conftest import TEMPLATE, World, killed_after


def test_an_apply_killed_after_any_call_resumes_and_executes_once(
    aws: Any, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call_number in range(1, 40):
        world = World(aws)
        world.apply(world.artifact(), token="0000-1")
        aws.clear_calls()
        change = world.artifact(given={"Level": "debug"})
        killed = killed_after(call_number, monkeypatch, lambda w=world, c=change: w.apply(c))
        assert world.apply(change).outcome is Outcome.DONE
        assert (world.done("CreateChangeSet"), world.done("ExecuteChangeSet")) == (1, 1)
        assert world.value() == "debug"
        if not killed:
            break
    assert call_number > 8


def test_a_restore_killed_after_any_call_resumes_and_executes_once(
    aws: Any, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call_number in range(1, 40):
        world = World(aws)
        world.apply(world.artifact(), token="0000-1")
        before = world.read()
        change = world.artifact(given={"Level": "debug"})
        world.apply(change)
        aws.clear_calls()
        killed = killed_after(
            call_number, monkeypatch, lambda w=world, b=before, c=change: w.restore(b, c)
        )
        assert world.restore(before, change).outcome is Outcome.DONE
        assert (world.done("CreateChangeSet"), world.done("ExecuteChangeSet")) == (1, 1)
        assert world.read().running == before.running
        if not killed:
            break
    assert call_number > 8


def test_a_creation_and_its_undoing_killed_after_any_call_resume(
    aws: Any, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = TargetState(running=None)
    for call_number in range(1, 40):
        world = World(aws)
        change = world.artifact()
        killed = killed_after(call_number, monkeypatch, lambda w=world, c=change: w.apply(c))
        assert world.apply(change).outcome is Outcome.DONE
        assert world.done("ExecuteChangeSet") == 1
        killed |= killed_after(
            call_number, monkeypatch, lambda w=world, c=change: w.restore(nothing, c)
        )
        assert world.restore(nothing, change).outcome is Outcome.DONE
        assert world.done("DeleteStack") == 1
        if not killed:
            break
    assert call_number > 8


def test_a_preview_killed_after_any_call_leaves_nothing_once_it_is_asked_again(
    aws: Any, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call_number in range(1, 40):
        world = World(aws)

        def preview(world: World = world) -> Any:
            return world.substrate.preview(world.target, world.artifact(), token="aaaa-p")

        killed = killed_after(call_number, monkeypatch, preview)
        assert len(preview().differences) == 1
        found = world.client.list_stacks(StackStatusFilter=["REVIEW_IN_PROGRESS"])
        assert found["StackSummaries"] == []
        if not killed:
            break
    assert call_number > 6


@pytest.mark.parametrize("fault", ["lost_reply", "lost_503"])
@pytest.mark.parametrize("operation", ["CreateChangeSet", "ExecuteChangeSet"])
def test_a_lost_acknowledgement_is_reconciled_and_nothing_is_done_twice(
    world: World, operation: str, fault: str
) -> None:
    world.apply(world.artifact(), token="0000-1")
    before = world.read()
    world.aws.clear_calls()
    change = world.artifact(given={"Level": "debug"})
    world.aws.fault(fault, account=world.account, operation=operation)
    assert world.apply(change).outcome is Outcome.DONE
    assert world.value() == "debug"
    world.aws.fault(fault, account=world.account, operation=operation)
    assert world.restore(before, change).outcome is Outcome.DONE
    assert world.value() == "info"
    assert world.aws.faults() == []
    assert len(world.calls("CreateChangeSet")) == 2
    assert len(world.calls("ExecuteChangeSet")) == 2
    assert world.started() == ["CREATE", "UPDATE", "UPDATE"]


@pytest.mark.parametrize("fault", ["lost_reply", "lost_503"])
def test_a_lost_acknowledgement_of_a_deletion_is_reconciled(world: World, fault: str) -> None:
    change = world.artifact()
    world.apply(change)
    world.aws.fault(fault, account=world.account, operation="DeleteStack")
    assert world.restore(TargetState(running=None), change).outcome is Outcome.DONE
    assert world.aws.faults() == []
    assert len(world.calls("DeleteStack")) == 1
    assert world.started() == ["CREATE", "DELETE"]


@pytest.mark.parametrize("fault", ["lost_reply", "lost_503"])
def test_a_changeset_whose_deletion_was_not_acknowledged_is_gone_and_that_is_seen(
    world: World, fault: str
) -> None:
    """By a preview, by an apply that changes nothing, and by a restore that clears up."""
    world.apply(world.artifact(), token="0000-1")
    before = world.read()

    def deleted_at_once(act: Callable[[], Any]) -> Any:
        world.aws.clear_calls()
        world.aws.fault(fault, account=world.account, operation="DeleteChangeSet")
        done = act()
        assert world.aws.faults() == []
        assert len(world.calls("DeleteChangeSet")) == 1
        assert world.left() == []
        return done

    change = world.artifact(given={"Level": "debug"})
    found = deleted_at_once(lambda: world.substrate.preview(world.target, change, token="aaaa-p"))
    assert len(found.differences) == 1
    commented = world.artifact("# a comment\n" + TEMPLATE)
    assert deleted_at_once(lambda: world.apply(commented)).outcome is Outcome.UNCHANGED
    world.client.create_change_set(
        StackName="app",
        ChangeSetName="phased-rollout-aaaa-1",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Level", "ParameterValue": "debug"}],
    )
    assert deleted_at_once(lambda: world.restore(before, change)).outcome is Outcome.DONE
    assert world.started() == ["CREATE"]


@pytest.mark.parametrize("operation", ["CreateChangeSet", "ExecuteChangeSet"])
@pytest.mark.parametrize("fault", ["error_500", "error_503", "reset"])
def test_a_mutation_that_did_not_happen_is_unreachable_and_a_new_try_succeeds(
    world: World, operation: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phased_rollout.substrates.cloudformation.api._GRACE", 0.0)
    world.apply(world.artifact(), token="0000-1")
    world.aws.clear_calls()
    world.aws.fault(fault, account=world.account, operation=operation)
    change = world.artifact(given={"Level": "debug"})
    with pytest.raises(UnreachableError, match=world.account):
        world.apply(change)
    assert world.apply(change).outcome is Outcome.DONE
    performed = [c for c in world.calls(operation) if c["fault"] is None]
    assert len(performed) == 1


@pytest.mark.parametrize("fault", ["throttle", "error_503", "reset"])
def test_a_read_that_fails_is_retried(world: World, fault: str) -> None:
    world.aws.fault(fault, account=world.account, operation="DescribeStacks")
    assert world.apply(world.artifact()).outcome is Outcome.DONE


@pytest.mark.parametrize("operation", ["CreateChangeSet", "ExecuteChangeSet"])
def test_a_throttled_mutation_is_retried_since_nothing_happened(
    world: World, operation: str
) -> None:
    world.aws.fault("throttle", account=world.account, operation=operation, count=2)
    assert world.apply(world.artifact()).outcome is Outcome.DONE
    assert world.done("ExecuteChangeSet") == 1


def test_a_lasting_throttle_is_unreachable_not_a_refusal(world: World) -> None:
    world.aws.fault("throttle", account=world.account, operation="CreateChangeSet", count=None)
    with pytest.raises(UnreachableError, match="Rate exceeded"):
        world.apply(world.artifact())


def test_no_permission_to_look_is_unreachable(world: World) -> None:
    world.aws.fault("denied", account=world.account, operation="DescribeStacks", count=None)
    with pytest.raises(UnreachableError, match="no permission to look"):
        world.read()


def test_a_guard_that_says_no_stops_the_call_it_guards(world: World) -> None:
    def armed() -> Any:
        raise GuardError("a rollback is armed")

    with pytest.raises(GuardError):
        world.substrate.apply(world.target, world.artifact(), token="aaaa-1", mutation=armed)
    assert world.calls("CreateChangeSet") == []


def test_an_execution_that_does_not_show_yet_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DescribeStacks may answer from before: the ChangeSet and the events tell more."""
    world.apply(world.artifact(), token="0000-1")
    stale = world.client.describe_stacks(StackName="app")
    change = world.artifact(given={"Level": "debug"})
    real = sessions.AccountHook.call
    looks = []

    def call(self: Any, operation: str, **arguments: Any) -> dict[str, Any]:
        reply = real(self, operation, **arguments)
        looks.append(operation)
        old = operation == "describe_stacks" and looks.count(operation) < 8
        return stale if old else reply

    monkeypatch.setattr(sessions.AccountHook, "call", call)
    assert world.apply(change).outcome is Outcome.DONE
    assert world.done("ExecuteChangeSet") == 2
