"""Applying a change to a stack, over HTTP against the embedded AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from phased_rollout.errors import GuardError, RefusedError, UnreachableError
from phased_rollout.model.target_state import Outcome, TargetState
from tests.unit.substrates.conftest import TEMPLATE

JSON_TEMPLATE = json.dumps(
    {
        "Parameters": {"Level": {"Type": "String", "Default": "info"}},
        "Resources": {
            "Setting": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {
                    "Name": "/app/level",
                    "Type": "String",
                    "Value": {"Ref": "Level"},
                },
            }
        },
    },
    indent=4,
)


def test_an_absent_stack_is_created_and_reads_back_what_was_applied(world: Any) -> None:
    artifact = world.artifact()
    assert world.read() == TargetState(running=None, detail="no stack")
    assert world.apply(artifact).outcome is Outcome.DONE
    assert world.substrate.verify(world.target, artifact).digest == artifact.digest
    assert world.value() == "info"
    assert world.mutations == 2


def test_a_running_stack_is_updated_and_its_earlier_configuration_was_readable(world: Any) -> None:
    first = world.artifact(tags={"team": "a"})
    world.apply(first)
    before = world.read()
    second = world.artifact(given={"Level": "debug"}, tags={"team": "b"})
    assert world.apply(second, token="bbbb-1").outcome is Outcome.DONE
    assert before.running == first
    assert world.read().running == second
    assert world.value() == "debug"


def test_a_json_template_reads_back_its_own_digest(world: Any) -> None:
    artifact = world.artifact(JSON_TEMPLATE)
    assert world.apply(artifact).outcome is Outcome.DONE
    assert world.substrate.verify(world.target, artifact).digest == artifact.digest


def test_a_target_that_runs_the_change_is_left_alone(world: Any) -> None:
    artifact = world.artifact()
    world.apply(artifact)
    world.aws.clear_calls()
    assert world.apply(artifact, token="bbbb-1").outcome is Outcome.DONE
    assert world.done("CreateChangeSet") == 0


def test_what_cloudformation_calls_no_change_is_unchanged_and_leaves_no_changeset(
    world: Any,
) -> None:
    world.apply(world.artifact())
    same = world.artifact("# a comment is no change\n" + TEMPLATE)
    assert world.apply(same, token="bbbb-1").outcome is Outcome.UNCHANGED
    assert world.left() == []


def test_a_change_refused_at_its_creation_says_why(world: Any) -> None:
    template = TEMPLATE + "  Broken: {Value: !Ref Missing}\n"
    with pytest.raises(RefusedError, match="Missing"):
        world.apply(world.artifact(template))
    assert world.read().running is None


def test_missing_capabilities_are_a_refusal_that_names_them(world: Any) -> None:
    template = TEMPLATE.replace(
        "Outputs:",
        "  Role:\n    Type: AWS::IAM::Role\n    Properties:\n"
        "      AssumeRolePolicyDocument: {Version: '2012-10-17', Statement: []}\nOutputs:",
    )
    with pytest.raises(RefusedError, match="CAPABILITY_IAM"):
        world.apply(world.artifact(template))


def test_an_update_that_fails_is_refused_with_its_cause_and_not_repeated(world: Any) -> None:
    world.apply(world.artifact())
    world.aws.deny(account=world.account, resource_type="AWS::SSM::Parameter", reason="not today")
    bad = world.artifact(given={"Level": "debug"})
    for _ in range(2):
        with pytest.raises(RefusedError, match=r"Setting \(AWS::SSM::Parameter\): .*not today"):
            world.apply(bad, token="bbbb-1")
    assert world.done("ExecuteChangeSet") == 2
    state = world.read()
    assert (state.digest, state.settled, state.healthy) == (world.artifact().digest, True, True)
    with pytest.raises(RefusedError, match="parameters differ: Level"):
        world.substrate.verify(world.target, bad)
    assert world.substrate.verify(world.target, world.artifact()) == state


def test_a_creation_that_fails_is_refused_with_its_cause_and_not_repeated(world: Any) -> None:
    world.aws.deny(account=world.account, resource_type="AWS::SSM::Parameter", reason="not today")
    for _ in range(2):
        with pytest.raises(RefusedError, match="not today"):
            world.apply(world.artifact())
    assert world.done("ExecuteChangeSet") == 1
    state = world.read()
    assert (state.running, state.healthy) == (None, False)
    with pytest.raises(RefusedError, match=r"ROLLBACK_COMPLETE.*delete the stack"):
        world.apply(world.artifact(), token="bbbb-1")


def test_somebody_elses_operation_is_waited_for(world: Any) -> None:
    world.apply(world.artifact())
    world.aws.settings(slow={world.account: 0.5})
    world.client.update_stack(
        StackName="app",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Level", "ParameterValue": "warn"}],
    )
    wanted = world.artifact(given={"Level": "debug"})
    state = world.read()
    assert not state.settled
    assert state.digest not in (None, wanted.digest)
    step = world.substrate.apply(world.target, wanted, token="bbbb-1", mutation=world.mutation)
    assert step.outcome is Outcome.WAITING
    assert not world.substrate.settled(world.target, token="bbbb-1")
    with pytest.raises(UnreachableError, match="cannot be judged now"):
        world.substrate.verify(world.target, wanted)
    world.aws.settings(slow={world.account: 0.01})
    assert world.apply(wanted, token="bbbb-1").outcome is Outcome.DONE
    assert world.value() == "debug"


def test_a_slow_operation_waits_and_is_settled_when_it_ends(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phased_rollout.substrates.cloudformation.steps.STEP", 0.0)
    world.aws.settings(slow={world.account: 0.3})
    artifact = world.artifact()

    def step() -> Any:
        return world.substrate.apply(
            world.target, artifact, token="aaaa-1", mutation=world.mutation
        )

    assert step().outcome is Outcome.WAITING
    assert not world.substrate.settled(world.target, token="aaaa-1")
    assert world.driven(step, token="aaaa-1").outcome is Outcome.DONE
    assert world.substrate.settled(world.target, token="aaaa-1")
    assert (world.done("CreateChangeSet"), world.done("ExecuteChangeSet")) == (1, 1)


def test_a_changeset_that_somebody_overtook_is_made_anew(world: Any) -> None:
    world.apply(world.artifact())
    wanted = world.artifact(given={"Level": "debug"})

    taken = []

    def killed_before_execution() -> Any:
        taken.append(1)
        if len(taken) == 2:
            raise GuardError("stop")
        return world.mutation()

    with pytest.raises(GuardError):
        world.substrate.apply(
            world.target, wanted, token="bbbb-1", mutation=killed_before_execution
        )
    world.by_hand("warn")
    assert world.apply(wanted, token="bbbb-1").outcome is Outcome.DONE
    assert world.value() == "debug"


def test_tags_that_the_change_does_not_declare_are_removed(world: Any) -> None:
    world.apply(world.artifact(tags={"team": "a"}))
    assert world.apply(world.artifact(), token="bbbb-1").outcome is Outcome.DONE
    assert world.client.describe_stacks(StackName="app")["Stacks"][0].get("Tags", []) == []


def test_a_noecho_value_of_the_stack_is_kept_and_is_no_part_of_the_digest(world: Any) -> None:
    template = TEMPLATE.replace("Resources:", "  Secret: {Type: String, NoEcho: true}\nResources:")
    world.client.create_stack(
        StackName="app",
        TemplateBody=template,
        Parameters=[{"ParameterKey": "Secret", "ParameterValue": "hunter2"}],
    )
    assert world.apply(world.artifact(template)).outcome is Outcome.DONE
    wanted = world.artifact(template, given={"Level": "debug"})
    assert world.apply(wanted, token="bbbb-1").outcome is Outcome.DONE
    state = world.read()
    assert state.digest == wanted.digest
    assert "hunter2" not in json.dumps(state.running.body)


def test_the_events_of_many_pages_are_read(world: Any) -> None:
    world.apply(world.artifact())
    world.aws.deny(account=world.account, resource_type="AWS::SSM::Parameter", reason="not today")
    with (
        world.aws.with_settings(page_size=2),
        pytest.raises(RefusedError, match=r"Setting .*not today"),
    ):
        world.apply(world.artifact(given={"Level": "debug"}), token="bbbb-1")
