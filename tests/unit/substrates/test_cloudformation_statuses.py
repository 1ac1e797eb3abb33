"""Stacks in bad states: mended when they are this rollout's own, else named with the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.model.target_state import Outcome, Progress, TargetState
from tests.unit.substrates.conftest import APPLY, RESTORE, TEMPLATE, World

NOTHING = TargetState(running=None)
PARAMETER = "AWS::SSM::Parameter"
AGAIN = "aaaa-2"  # another attempt of the same rollout
TWO = TEMPLATE.replace(
    "Outputs:",
    "  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: t}, DependsOn: Setting}\nOutputs:",
)


def preview(world: World, artifact: Any) -> Any:
    return world.substrate.preview(world.target, artifact, token="aaaa-p")


def fail_to_create(world: World, *, token: str = APPLY, by: str = "") -> None:
    """Leave the stack in ROLLBACK_COMPLETE, or in ROLLBACK_FAILED when even that is denied."""
    world.aws.deny(account=world.account, resource_type="AWS::SNS::Topic", reason="no topics")
    if by:
        world.aws.deny(
            account=world.account, resource_type=PARAMETER, reason="stuck", actions=("delete", by)
        )
    with pytest.raises(RefusedError, match="no topics"):
        world.apply(world.artifact(TWO), token=token)
    world.aws.clear_denials()


def stuck_update(world: World, artifact: Any, *, token: str = APPLY) -> None:
    """Leave the stack in UPDATE_ROLLBACK_FAILED."""
    world.aws.deny(account=world.account, resource_type="AWS::SNS::Topic", reason="no topics")
    world.aws.deny(
        account=world.account, resource_type=PARAMETER, reason="stuck", actions=("rollback",)
    )
    with pytest.raises(RefusedError, match="no topics"):
        world.apply(artifact, token=token)
    assert world.status() == "UPDATE_ROLLBACK_FAILED"


def test_the_remains_of_this_rollouts_failed_creation_are_deleted_when_it_is_tried_again(
    world: World,
) -> None:
    fail_to_create(world)
    assert world.status() == "ROLLBACK_COMPLETE"
    wanted = world.artifact(TWO)
    assert "deletes first" in preview(world, wanted).differences[0].detail
    assert world.apply(wanted, token=AGAIN).outcome is Outcome.DONE
    assert world.started() == ["CREATE", "DELETE", "CREATE"]
    assert world.read().running == wanted
    assert world.restore(NOTHING, wanted).outcome is Outcome.DONE


def test_the_same_attempt_is_not_tried_again(world: World) -> None:
    fail_to_create(world)
    with pytest.raises(RefusedError, match="no topics"):
        world.apply(world.artifact(TWO))
    assert world.started() == ["CREATE"]


@pytest.mark.parametrize("fault", ["lost_reply", "lost_503"])
def test_remains_whose_deletion_was_not_acknowledged_are_deleted_once(
    world: World, fault: str
) -> None:
    fail_to_create(world)
    world.aws.fault(fault, account=world.account, operation="DeleteStack")
    assert world.apply(world.artifact(TWO), token=AGAIN).outcome is Outcome.DONE
    assert world.started() == ["CREATE", "DELETE", "CREATE"]


def test_remains_that_somebody_protects_are_left_where_they_are(world: World) -> None:
    fail_to_create(world)
    world.client.update_termination_protection(StackName="app", EnableTerminationProtection=True)
    with pytest.raises(RefusedError, match="termination protection: turn that off"):
        world.apply(world.artifact(TWO), token=AGAIN)
    assert world.started() == ["CREATE"]


def test_remains_that_resist_are_a_refusal_and_not_asked_for_ever(world: World) -> None:
    fail_to_create(world)
    world.aws.deny(
        account=world.account, resource_type=PARAMETER, reason="stuck", actions=("delete",)
    )
    wanted = world.artifact(TWO)
    assert world.apply(wanted, token=AGAIN).outcome is Outcome.DONE
    for _ in range(2):
        with pytest.raises(RefusedError, match=r"could not be deleted \(DELETE_FAILED\).*stuck"):
            world.restore(NOTHING, wanted)
    assert world.started() == ["CREATE", "DELETE", "CREATE", "DELETE"]
    world.aws.clear_denials()
    again = world.restore(NOTHING, wanted, token="aaaa-restore2")
    assert again.outcome is Outcome.DONE
    assert world.status() is None


def test_a_creation_that_could_not_be_undone_is_cleared_away_by_the_restore(world: World) -> None:
    fail_to_create(world, by="rollback")
    assert world.status() == "ROLLBACK_FAILED"
    assert world.restore(NOTHING, world.artifact(TWO)).outcome is Outcome.DONE
    assert (world.status(), world.value()) == (None, None)


@pytest.mark.parametrize("by", ["", "rollback"])
def test_the_remains_of_somebody_elses_creation_are_refused_and_stay(world: World, by: str) -> None:
    fail_to_create(world, token="9999-1", by=by)
    status = world.status()
    for act in (preview, World.apply):
        with pytest.raises(RefusedError, match=rf"{status}.*delete the stack, then try again"):
            act(world, world.artifact())
    assert world.started() == ["CREATE"]


def test_a_failed_creation_of_somebody_else_is_nothing_to_restore(world: World) -> None:
    fail_to_create(world, token="9999-1")
    assert world.restore(NOTHING, world.artifact()).outcome is Outcome.DONE
    assert world.status() == "ROLLBACK_COMPLETE"


def test_an_update_of_this_rollout_that_could_not_be_undone_is_undone_by_the_restore(
    world: World,
) -> None:
    world.apply(world.artifact(), token="0000-1")
    before = world.read()
    changed = world.artifact(TWO, given={"Level": "debug"})
    stuck_update(world, changed)
    world.aws.clear_denials()
    assert world.restore(before, changed).outcome is Outcome.DONE
    assert world.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert world.value() == "info"


@pytest.mark.parametrize("fault", ["lost_reply", "lost_503"])
def test_an_acknowledgement_of_continuing_that_was_lost_is_reconciled(
    world: World, fault: str
) -> None:
    world.apply(world.artifact(), token="0000-1")
    before = world.read()
    changed = world.artifact(TWO, given={"Level": "debug"})
    stuck_update(world, changed)
    world.aws.clear_denials()
    world.aws.fault(fault, account=world.account, operation="ContinueUpdateRollback")
    assert world.restore(before, changed).outcome is Outcome.DONE
    assert len(world.calls("ContinueUpdateRollback")) == 1


def test_what_cannot_be_undone_either_is_a_refusal_with_the_remedy_and_asked_once(
    world: World,
) -> None:
    world.apply(world.artifact(), token="0000-1")
    before = world.read()
    changed = world.artifact(TWO, given={"Level": "debug"})
    stuck_update(world, changed)
    for _ in range(2):
        with pytest.raises(RefusedError, match=r"continue-update-rollback.*then try again.*stuck"):
            world.restore(before, changed)
    assert len(world.calls("ContinueUpdateRollback")) == 1


def test_an_update_of_somebody_else_that_is_stuck_is_refused_and_left_alone(world: World) -> None:
    world.apply(world.artifact(), token="0000-1")
    before = world.read()
    stuck_update(world, world.artifact(TWO, given={"Level": "theirs"}), token="9999-1")
    for act in (preview, World.apply):
        with pytest.raises(RefusedError, match=r"UPDATE_ROLLBACK_FAILED.*continue-update-rollback"):
            act(world, world.artifact(given={"Level": "debug"}))
    left = world.restore(before, world.artifact(given={"Level": "debug"}))
    assert left.outcome is Outcome.LEFT_ALONE
    assert "UPDATE_ROLLBACK_FAILED" in left.reason
    assert world.calls("ContinueUpdateRollback") == []


def test_what_somebody_could_not_delete_is_refused_with_the_remedy(world: World) -> None:
    world.apply(world.artifact(), token="0000-1")
    before = world.read()
    world.aws.deny(
        account=world.account, resource_type=PARAMETER, reason="stuck", actions=("delete",)
    )
    world.client.delete_stack(StackName="app")
    assert world.settle() == "DELETE_FAILED"
    for act in (preview, World.apply):
        with pytest.raises(RefusedError, match=r"DELETE_FAILED.*keeping the resources that resist"):
            act(world, world.artifact(given={"Level": "debug"}))
    left = world.restore(before, world.artifact(given={"Level": "debug"}))
    assert left.outcome is Outcome.LEFT_ALONE
    assert "DELETE_FAILED" in left.reason


def test_an_update_that_somebody_left_half_done_is_refused_with_the_remedy(world: World) -> None:
    world.apply(world.artifact(), token="0000-1")
    before = world.read()
    world.aws.deny(account=world.account, resource_type=PARAMETER, reason="no")
    world.client.update_stack(
        StackName="app",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Level", "ParameterValue": "theirs"}],
        DisableRollback=True,
    )
    assert world.settle() == "UPDATE_FAILED"
    wanted = world.artifact(given={"Level": "debug"})
    for act in (preview, World.apply):
        with pytest.raises(RefusedError, match=r"UPDATE_FAILED.*rollback-stack"):
            act(world, wanted)
    assert world.restore(before, wanted).outcome is Outcome.LEFT_ALONE
    assert world.started() == ["CREATE", "UPDATE"]


def test_a_creation_that_somebody_left_half_done_is_refused_with_the_remedy(world: World) -> None:
    world.aws.deny(account=world.account, resource_type=PARAMETER, reason="no")
    world.client.create_stack(StackName="app", TemplateBody=TEMPLATE, DisableRollback=True)
    assert world.settle() == "CREATE_FAILED"
    for act in (preview, World.apply):
        with pytest.raises(RefusedError, match=r"CREATE_FAILED.*delete the stack"):
            act(world, world.artifact())
    left = world.restore(NOTHING, world.artifact())
    assert left.outcome is Outcome.LEFT_ALONE
    assert "created by somebody else since: it is CREATE_FAILED" in left.reason
    assert world.started() == ["CREATE"]


def test_an_operation_of_somebody_else_holds_the_preview_as_unreachable(world: World) -> None:
    world.apply(world.artifact(), token="0000-1")
    with world.aws.held(world.account):
        world.client.delete_stack(StackName="app")
        with pytest.raises(UnreachableError, match="cannot be previewed now: DELETE_IN_PROGRESS"):
            preview(world, world.artifact(given={"Level": "debug"}))
        step = world.substrate.restore(
            world.target,
            before=NOTHING,
            applied=world.artifact(),
            token=RESTORE,
            mutation=world.mutation,
        )
        assert step == Progress(Outcome.WAITING, "stack 'app': DELETE_IN_PROGRESS: User Initiated")


def test_an_empty_shell_that_somebody_left_is_used(world: World) -> None:
    world.client.create_change_set(
        StackName="app", ChangeSetName="theirs", ChangeSetType="CREATE", TemplateBody=TEMPLATE
    )
    world.client.get_waiter("change_set_create_complete").wait(
        StackName="app", ChangeSetName="theirs", WaiterConfig={"Delay": 0.1, "MaxAttempts": 50}
    )
    world.client.delete_change_set(StackName="app", ChangeSetName="theirs")
    assert world.status() == "REVIEW_IN_PROGRESS"
    assert world.apply(world.artifact()).outcome is Outcome.DONE


def test_a_shell_of_an_earlier_rollout_that_died_is_used(world: World) -> None:
    world.client.create_change_set(
        StackName="app",
        ChangeSetName="phased-rollout-bbbb-1",
        ChangeSetType="CREATE",
        TemplateBody=TEMPLATE,
    )
    assert world.apply(world.artifact()).outcome is Outcome.DONE
    assert world.status() == "CREATE_COMPLETE"


def test_a_stack_policy_is_respected_and_the_error_says_what_to_do(world: World) -> None:
    world.apply(world.artifact(), token="0000-1")
    policy = '{"Statement": [{"Effect": "Deny", "Action": "Update:*", "Resource": "*"}]}'
    world.client.set_stack_policy(StackName="app", StackPolicyBody=policy)
    with pytest.raises(RefusedError, match=r"denied by stack policy.*never overridden: have it"):
        world.apply(world.artifact(given={"Level": "debug"}))
    assert world.value() == "info"
    assert world.client.get_stack_policy(StackName="app")["StackPolicyBody"] == policy


def test_protection_does_not_hinder_an_update_and_its_restore(world: World) -> None:
    world.apply(world.artifact(), token="0000-1")
    world.client.update_termination_protection(StackName="app", EnableTerminationProtection=True)
    before = world.read()
    changed = world.artifact(given={"Level": "debug"})
    world.apply(changed)
    assert world.restore(before, changed).outcome is Outcome.DONE
    stack = world.client.describe_stacks(StackName="app")["Stacks"][0]
    assert stack["EnableTerminationProtection"]
