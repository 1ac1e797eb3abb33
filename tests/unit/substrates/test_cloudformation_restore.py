"""Restoring what ran before, over HTTP against the embedded AWS."""

from __future__ import annotations

from typing import Any

import pytest

from phased_rollout.errors import RefusedError
from phased_rollout.model.target_state import Outcome, TargetState
from phased_rollout.substrates.cloudformation.api import poll
from tests.unit.substrates.conftest import APPLY, TEMPLATE, World

NOTHING = TargetState(running=None)


def updated(world: World) -> tuple[TargetState, Any]:
    """A stack that runs an earlier configuration, captured, and then a change to it."""
    world.apply(world.artifact(tags={"team": "a"}), token="0000-1")
    before = world.read()
    change = world.artifact(TEMPLATE + "  More: {Value: x}\n", given={"Level": "debug"})
    world.apply(change)
    assert world.value() == "debug"
    return before, change


def test_the_earlier_template_parameters_and_tags_come_back(world: World) -> None:
    before, change = updated(world)
    assert world.restore(before, change).outcome is Outcome.DONE
    assert world.read().running == before.running
    assert world.value() == "info"


def test_restoring_again_finds_it_done_and_executes_nothing(world: World) -> None:
    before, change = updated(world)
    world.restore(before, change)
    executed = world.done("ExecuteChangeSet")
    again = world.restore(before, change, token="aaaa-again")
    assert again.outcome is Outcome.DONE
    assert world.done("ExecuteChangeSet") == executed


def test_a_stack_that_the_rollout_created_is_deleted(world: World) -> None:
    change = world.artifact()
    world.apply(change)
    assert world.restore(NOTHING, change).outcome is Outcome.DONE
    assert world.read().running is None
    assert world.value() is None


def test_termination_protection_is_respected_in_words(world: World) -> None:
    change = world.artifact()
    world.apply(change)
    world.client.update_termination_protection(StackName="app", EnableTerminationProtection=True)
    with pytest.raises(RefusedError, match="termination protection"):
        world.restore(NOTHING, change)
    assert world.done("DeleteStack") == 0


def test_a_failed_update_that_rolled_itself_back_is_already_as_before(world: World) -> None:
    world.apply(world.artifact(), token="0000-1")
    before = world.read()
    world.aws.deny(account=world.account, resource_type="AWS::SSM::Parameter")
    change = world.artifact(given={"Level": "debug"})
    with pytest.raises(RefusedError):
        world.apply(change)
    executed = world.done("ExecuteChangeSet")
    assert world.restore(before, change).outcome is Outcome.DONE
    assert world.done("ExecuteChangeSet") == executed


def test_a_stack_left_rolled_back_by_somebody_can_be_captured_and_restored(world: World) -> None:
    world.apply(world.artifact(), token="0000-1")
    denial = world.aws.deny(account=world.account, resource_type="AWS::SSM::Parameter")
    with pytest.raises(RefusedError):
        world.apply(world.artifact(given={"Level": "theirs"}), token="9999-1")
    world.aws.clear_denials(denial)
    before = world.read()
    assert before.running == world.artifact()
    assert before.healthy
    change = world.artifact(given={"Level": "debug"})
    world.apply(change)
    assert world.restore(before, change).outcome is Outcome.DONE
    assert world.read().running == before.running


def test_what_a_failed_creation_left_is_deleted(world: World) -> None:
    world.aws.deny(account=world.account, resource_type="AWS::SSM::Parameter")
    change = world.artifact()
    with pytest.raises(RefusedError):
        world.apply(change)
    assert world.restore(NOTHING, change).outcome is Outcome.DONE
    assert world.client.list_stacks(StackStatusFilter=["ROLLBACK_COMPLETE"])["StackSummaries"] == []


def test_a_stack_that_somebody_changed_since_is_left_alone(world: World) -> None:
    before, change = updated(world)
    world.by_hand("theirs")
    left = world.restore(before, change)
    assert left.outcome is Outcome.LEFT_ALONE
    assert "somebody else" in left.reason
    assert world.value() == "theirs"


def test_a_created_stack_that_somebody_changed_since_is_left_alone(world: World) -> None:
    change = world.artifact()
    world.apply(change)
    world.by_hand("theirs")
    assert world.restore(NOTHING, change).outcome is Outcome.LEFT_ALONE
    assert world.value() == "theirs"


def test_a_stack_that_somebody_else_created_meanwhile_is_never_deleted(world: World) -> None:
    world.client.create_stack(StackName="app", TemplateBody=TEMPLATE)
    change = world.artifact(given={"Level": "debug"})
    world.apply(change)
    left = world.restore(NOTHING, change)
    assert (left.outcome, "created by somebody else" in left.reason) == (Outcome.LEFT_ALONE, True)
    assert world.done("DeleteStack") == 0


def test_a_stack_that_somebody_deleted_since_is_left_alone(world: World) -> None:
    before, change = updated(world)
    world.client.delete_stack(StackName="app")
    assert world.restore(before, change).outcome is Outcome.LEFT_ALONE


def test_this_rollouts_unexecuted_changesets_are_deleted_and_others_stay(world: World) -> None:
    world.apply(world.artifact(), token="0000-1")
    before = world.read()
    change = world.artifact(given={"Level": "debug"})
    for name in ("phased-rollout-aaaa-1", "phased-preview-aaaa-p", "phased-rollout-bbbb-1"):
        world.client.create_change_set(
            StackName="app",
            ChangeSetName=name,
            UsePreviousTemplate=True,
            Parameters=[{"ParameterKey": "Level", "ParameterValue": "debug"}],
        )
    assert world.restore(before, change).outcome is Outcome.DONE
    assert world.left() == ["phased-rollout-bbbb-1"]
    assert world.value() == "info"


def test_the_shell_of_a_changeset_that_was_never_executed_is_deleted(world: World) -> None:
    world.client.create_change_set(
        StackName="app",
        ChangeSetName="phased-rollout-aaaa-1",
        ChangeSetType="CREATE",
        TemplateBody=TEMPLATE,
    )
    assert world.restore(NOTHING, world.artifact()).outcome is Outcome.DONE
    assert (
        world.client.list_stacks(StackStatusFilter=["REVIEW_IN_PROGRESS"])["StackSummaries"] == []
    )


def test_an_operation_in_progress_is_waited_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.apply(world.artifact(), token="0000-1")
    before = world.read()
    change = world.artifact(given={"Level": "debug"})
    with monkeypatch.context() as impatient:
        impatient.setattr("phased_rollout.substrates.cloudformation.steps.STEP", 0.0)
        world.aws.settings(slow={world.account: 0.3})
        progress = poll(
            lambda: world.substrate.apply(
                world.target, change, token=APPLY, mutation=world.mutation
            ),
            until=lambda step: "UPDATE_IN_PROGRESS" in step.reason,
            seconds=20,
        )
    assert progress.outcome is Outcome.WAITING
    assert world.restore(before, change).outcome is Outcome.DONE
    assert world.value() == "info"


def test_a_restore_that_the_target_refuses_says_why_and_is_not_repeated(world: World) -> None:
    before, change = updated(world)
    world.aws.deny(account=world.account, resource_type="AWS::SSM::Parameter", reason="frozen")
    executed = world.done("ExecuteChangeSet")
    for _ in range(2):
        with pytest.raises(RefusedError, match="frozen"):
            world.restore(before, change)
    assert world.done("ExecuteChangeSet") == executed + 1


def test_a_noecho_value_survives_the_way_there_and_back(world: World) -> None:
    template = TEMPLATE.replace("Resources:", "  Secret: {Type: String, NoEcho: true}\nResources:")
    world.client.create_stack(
        StackName="app",
        TemplateBody=template.replace("!Ref Level", "!Ref Secret"),
        Parameters=[{"ParameterKey": "Secret", "ParameterValue": "hunter2"}],
    )
    world.driven(lambda: world.restore(NOTHING, world.artifact()), token="aaaa-1")
    before = world.read()
    change = world.artifact(template)
    world.apply(change)
    assert world.value() == "info"
    assert world.restore(before, change).outcome is Outcome.DONE
    assert world.value() == "hunter2"
