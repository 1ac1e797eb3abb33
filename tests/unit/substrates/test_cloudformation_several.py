"""Several ordered stacks that are one target, over HTTP against the embedded AWS."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from phased_rollout.errors import (
    ChangeError,
    ConfigError,
    RefusedError,
    UnreachableError,
)
from phased_rollout.model.target_state import Artifact, Difference, Outcome, TargetState
from phased_rollout.substrates.cloudformation import CloudFormationSubstrate
from tests.unit.substrates.conftest import APPLY, RESTORE, World, killed_after

NOTHING = TargetState(running=None)
PARAMETER = """\
Parameters:
  Shared: {{Type: String, Default: a}}
  {own}: {{Type: String, Default: a}}
Resources:
  Setting:
    Type: AWS::SSM::Parameter
    Properties:
      Name: /{name}
      Type: String
      Value: !Join ['-', [!Ref Shared, !Ref {own}]]
"""
FILES = {
    "base.yaml": PARAMETER.format(name="base", own="Base"),
    "app.yaml": PARAMETER.format(name="app", own="App"),
}


@pytest.fixture
def world(world: World) -> World:
    world.several("base", "app")
    return world


def change(world: World, **given: str) -> Any:
    return world.artifact(files=FILES, given=given)


def values(world: World) -> list[str | None]:
    return world.values("/base", "/app")


def mutations_of(world: World) -> list[tuple[str, str]]:
    """Which operations were sent for which stack, in order."""
    mutations = ("CreateChangeSet", "ExecuteChangeSet", "DeleteStack")
    found = []
    for call in world.aws.calls(account=world.account):
        if call["operation"] in mutations:
            params = call["params"]
            arn = params.get("StackName") or params["ChangeSetName"]
            found.append((call["operation"], arn.split("/")[1] if "/" in arn else arn))
    return found


def test_stacks_are_created_in_order_and_the_whole_reads_back(world: World) -> None:
    wanted = change(world, Shared="x", App="y")
    assert world.read() == TargetState(running=None, detail="base: no stack; app: no stack")
    assert world.apply(wanted).outcome is Outcome.DONE
    assert values(world) == ["x-a", "x-y"]
    assert world.substrate.verify(world.target, wanted).digest == wanted.digest
    assert world.read().running == wanted
    made = [stack for operation, stack in mutations_of(world) if operation == "CreateChangeSet"]
    assert made == ["base", "app"]


def test_the_next_stack_waits_until_the_one_before_reads_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phased_rollout.substrates.cloudformation.steps.STEP", 0.0)
    wanted = change(world)
    with world.aws.held(world.account):
        for _ in range(4):
            step = world.substrate.apply(world.target, wanted, token=APPLY, mutation=world.mutation)
            assert step.outcome is Outcome.WAITING
    assert [stack for _, stack in mutations_of(world)] == ["base"]
    assert world.apply(wanted).outcome is Outcome.DONE
    assert world.substrate.settled(world.target, token=APPLY)


def test_an_operation_on_any_stack_is_waited_for_before_the_first_is_touched(
    world: World,
) -> None:
    world.apply(change(world), token="0000-1")
    with world.aws.held(world.account):
        world.client.delete_stack(StackName="app")
        step = world.substrate.apply(
            world.target, change(world, Shared="b"), token=APPLY, mutation=world.mutation
        )
    assert (step.outcome, "stack 'app': DELETE" in step.reason) == (Outcome.WAITING, True)
    assert [stack for _, stack in mutations_of(world)][4:] == ["app"]  # by somebody else
    assert world.apply(change(world, Shared="b")).outcome is Outcome.DONE
    assert values(world) == ["b-a", "b-a"]


def recorded(state: TargetState) -> TargetState:
    """What the records give back of it."""
    assert state.running is not None
    body = json.loads(json.dumps(state.running.body))
    return replace(state, running=Artifact(digest=state.running.digest, body=body))


def test_both_stacks_come_back_in_the_reverse_order(world: World) -> None:
    world.apply(change(world), token="0000-1")
    before = recorded(world.read())
    changed = change(world, Shared="b")
    world.apply(changed)
    world.aws.clear_calls()
    assert world.restore(before, changed).outcome is Outcome.DONE
    assert world.read().running == before.running
    assert [s for o, s in mutations_of(world) if o == "CreateChangeSet"] == ["app", "base"]


def test_stacks_that_the_rollout_created_are_deleted_in_the_reverse_order(world: World) -> None:
    wanted = change(world)
    world.apply(wanted)
    world.aws.clear_calls()
    assert world.restore(NOTHING, wanted).outcome is Outcome.DONE
    assert mutations_of(world) == [("DeleteStack", "app"), ("DeleteStack", "base")]
    assert values(world) == [None, None]


def test_a_failure_of_the_second_stack_leaves_the_first_applied_and_a_restore_undoes_both(
    world: World,
) -> None:
    world.apply(change(world), token="0000-1")
    before = world.read()
    changed = change(world, Shared="b")
    world.aws.deny(account=world.account, resource_type="AWS::SNS::Topic", reason="not here")
    topic = FILES["app.yaml"] + "  Topic: {Type: AWS::SNS::Topic}\n"
    changed = world.artifact(files={**FILES, "app.yaml": topic}, given={"Shared": "b"})
    for _ in range(2):
        with pytest.raises(RefusedError, match=r"stack 'app' .*not here"):
            world.apply(changed)
    assert values(world) == ["b-a", "a-a"]
    with pytest.raises(RefusedError, match=r"stack 'app' .* does not run the change"):
        world.substrate.verify(world.target, changed)
    assert world.restore(before, changed).outcome is Outcome.DONE
    assert values(world) == ["a-a", "a-a"]
    assert world.read().running == before.running
    assert world.started("base") == ["CREATE", "UPDATE", "UPDATE"]
    assert world.started("app") == ["CREATE", "UPDATE"]


def test_a_creation_of_the_second_stack_that_failed_is_undone_with_the_first(world: World) -> None:
    world.aws.deny(account=world.account, resource_type="AWS::SNS::Topic", reason="not here")
    topic = FILES["app.yaml"] + "  Topic: {Type: AWS::SNS::Topic}\n"
    wanted = world.artifact(files={**FILES, "app.yaml": topic})
    with pytest.raises(RefusedError, match="not here"):
        world.apply(wanted)
    assert (world.status("base"), world.status("app")) == ("CREATE_COMPLETE", "ROLLBACK_COMPLETE")
    assert world.restore(NOTHING, wanted).outcome is Outcome.DONE
    assert (world.status("base"), world.status("app")) == (None, None)


@pytest.mark.parametrize(("theirs", "ours"), [("base", "app"), ("app", "base")])
def test_a_stack_that_somebody_changed_is_left_alone_and_the_other_is_restored(
    world: World, theirs: str, ours: str
) -> None:
    world.apply(change(world), token="0000-1")
    before = world.read()
    changed = change(world, Shared="b")
    world.apply(changed)
    key = {"base": "Base", "app": "App"}[theirs]
    world.client.update_stack(
        StackName=theirs,
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": "Shared", "UsePreviousValue": True},
            {"ParameterKey": key, "ParameterValue": "theirs"},
        ],
    )
    world.settle(theirs)
    left = world.restore(before, changed)
    assert left.outcome is Outcome.LEFT_ALONE
    assert f"stack {theirs!r} in" in left.reason
    assert "somebody else" in left.reason
    assert f"stack {ours!r} in account {world.account}" in left.reason
    assert world.values(f"/{theirs}", f"/{ours}") == ["b-theirs", "a-a"]


def test_a_stack_that_cannot_be_restored_does_not_hold_the_others(world: World) -> None:
    wanted = change(world)
    world.apply(wanted)
    world.client.update_termination_protection(StackName="app", EnableTerminationProtection=True)
    with pytest.raises(RefusedError, match=r"'app' .*termination protection.*'base' .*not exist"):
        world.restore(NOTHING, wanted)
    assert (world.status("app"), world.status("base")) == ("CREATE_COMPLETE", None)


def test_a_stack_that_was_there_before_is_kept_when_the_other_was_created(world: World) -> None:
    world.client.create_stack(StackName="base", TemplateBody=FILES["base.yaml"])
    world.settle("base")
    before = world.read()
    wanted = change(world, Base="b")
    world.apply(wanted)
    assert world.restore(before, wanted).outcome is Outcome.DONE
    assert (world.status("base"), world.status("app")) == ("UPDATE_COMPLETE", None)
    assert world.read().running == before.running


def test_each_difference_names_its_stack_and_nothing_is_left_behind(world: World) -> None:
    def previewed(artifact: Any) -> Any:
        return world.substrate.preview(world.target, artifact, token="aaaa-p")

    kind = "AWS::SSM::Parameter"
    assert previewed(change(world)).differences == (
        Difference("Add", "base/Setting", kind),
        Difference("Add", "app/Setting", kind),
    )
    assert (world.status("base"), world.status("app")) == (None, None)
    world.apply(change(world))
    found = previewed(change(world, App="b")).differences
    assert [(d.action, d.resource) for d in found] == [("Modify", "app/Setting")]


def test_what_an_earlier_stack_exports_may_be_imported_by_a_later_one(world: World) -> None:
    files = {
        "base.yaml": FILES["base.yaml"]
        + "Outputs:\n  Out: {Value: !Ref Setting, Export: {Name: base-setting}}\n",
        "app.yaml": FILES["app.yaml"].replace("!Ref Shared", "!ImportValue base-setting"),
    }
    wanted = world.artifact(files=files)
    found = world.substrate.preview(world.target, wanted, token="aaaa-p")
    assert [(d.action, d.resource, d.destructive) for d in found.differences] == [
        ("Add", "base/Setting", False),
        ("Add", "app/*", False),
    ]
    assert "No export named base-setting" in found.differences[1].detail
    assert world.apply(wanted).outcome is Outcome.DONE
    assert values(world) == ["a-a", "/base-a"]
    assert world.restore(NOTHING, wanted).outcome is Outcome.DONE


def test_what_is_missing_for_good_fails_the_preview(world: World) -> None:
    world.apply(change(world))
    alien = FILES["app.yaml"].replace("!Ref Shared", "!ImportValue of-nobody")
    with pytest.raises(RefusedError, match="No export named of-nobody"):
        world.substrate.preview(
            world.target, world.artifact(files={**FILES, "app.yaml": alien}), token="aaaa-p"
        )


def test_what_cloudformation_calls_no_change_in_one_stack_is_no_failure(world: World) -> None:
    world.apply(change(world), token="0000-1")
    commented = {**FILES, "base.yaml": "# a comment\n" + FILES["base.yaml"]}
    wanted = world.artifact(files=commented, given={"App": "b"})
    assert world.apply(wanted).outcome is Outcome.UNCHANGED
    assert values(world) == ["a-a", "a-b"]
    assert world.started("base") == ["CREATE"]


def test_a_stack_without_change_is_not_asked_again_at_each_step(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phased_rollout.substrates.cloudformation.steps.STEP", 0.0)
    world.several("base", "app", "last")
    files = {**FILES, "last.yaml": PARAMETER.format(name="last", own="Last")}
    world.apply(world.artifact(files=files), token="0000-1")
    world.aws.clear_calls()
    files["base.yaml"] = "# a comment\n" + FILES["base.yaml"]
    wanted = world.artifact(files=files, given={"App": "b", "Last": "b"})
    assert world.apply(wanted).outcome is Outcome.UNCHANGED
    made = [stack for operation, stack in mutations_of(world) if operation == "CreateChangeSet"]
    assert made == ["base", "app", "last"]


def test_a_stack_without_change_that_somebody_changes_meanwhile_is_asked_again(
    world: World,
) -> None:
    world.apply(change(world), token="0000-1")
    commented = {**FILES, "base.yaml": "# a comment\n" + FILES["base.yaml"]}
    wanted = world.artifact(files=commented, given={"App": "b"})
    assert world.apply(wanted).outcome is Outcome.UNCHANGED
    world.client.update_stack(
        StackName="base",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Base", "ParameterValue": "theirs"}],
    )
    world.settle("base")
    assert world.apply(wanted).outcome is Outcome.DONE
    assert values(world) == ["a-a", "a-b"]


def previewed(world: World, artifact: Any) -> Any:
    return world.substrate.preview(world.target, artifact, token="aaaa-p")


def test_all_stacks_that_refuse_a_preview_are_told(world: World) -> None:
    broken = {name: text + "Outputs: {O: {Value: !Ref Gone}}\n" for name, text in FILES.items()}
    wanted = world.artifact(files=broken)
    with pytest.raises(RefusedError, match=r"base: .*\[Gone\].*\napp: .*\[Gone\]"):
        previewed(world, wanted)
    assert (world.status("base"), world.status("app")) == (None, None)


def test_a_parameter_goes_to_the_templates_that_declare_it(world: World) -> None:
    wanted = change(world, Shared="s", App="p")
    given = {part["stack"]: part["body"]["parameters"] for part in wanted.body["stacks"]}
    assert given == {
        "base": {"Shared": "s", "Base": "a"},
        "app": {"Shared": "s", "App": "p"},
    }


def test_a_parameter_that_no_template_declares_is_refused_with_all_that_are(world: World) -> None:
    with pytest.raises(ChangeError) as error:
        change(world, Alien="1")
    assert str(error.value) == (
        "change 'change': parameter 'Alien' is given but no template declares it; declared are: "
        "base.yaml: Base, Shared; app.yaml: App, Shared"
    )


def test_the_digest_is_over_all_stacks_and_not_over_their_order(world: World) -> None:
    digests = {change(world).digest, change(world, App="b").digest, change(world, Base="b").digest}
    assert len(digests) == 3
    here = change(world).digest
    world.several("app", "base")
    assert change(world).digest == here


def test_capabilities_and_service_roles_may_be_those_of_one_stack(world: World) -> None:
    world.options["capabilities"] = ["CAPABILITY_IAM"]
    world.options["service_role"] = "common"
    world.options["stacks"][1] |= {
        "capabilities": ["CAPABILITY_AUTO_EXPAND"],
        "service_role": "special",
    }
    world.apply(change(world))
    sent = {c["params"]["StackName"]: c["params"] for c in world.calls("CreateChangeSet")}
    assert sent["base"]["Capabilities"] == ["CAPABILITY_IAM"]
    assert sent["app"]["Capabilities"] == ["CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM"]
    roles = [sent[name]["RoleARN"].rpartition("/")[2] for name in ("base", "app")]
    assert roles == ["common", "special"]


def test_each_stack_has_an_attempt_of_its_own_name(world: World) -> None:
    world.apply(change(world))
    tokens = [call["params"]["ClientRequestToken"] for call in world.calls("ExecuteChangeSet")]
    assert len(set(tokens)) == 2
    assert all(token.startswith("phased-rollout-aaaa-") for token in tokens)


@pytest.mark.parametrize(
    "options", [{}, {"stack": "a", "stacks": [{"name": "b", "template": "b.yaml"}]}]
)
def test_one_stack_or_several_but_not_both(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"either options\.stack, or options\.stacks"):
        CloudFormationSubstrate({"connection": "aws", **options})


@pytest.mark.parametrize("fault", ["lost_reply", "lost_503"])
@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("operation", ["CreateChangeSet", "ExecuteChangeSet"])
def test_a_lost_acknowledgement_at_either_stack_executes_nothing_twice(
    world: World, operation: str, skip: int, fault: str
) -> None:
    world.apply(change(world), token="0000-1")
    before = world.read()
    changed = change(world, Shared="b")
    world.aws.fault(fault, account=world.account, operation=operation, skip=skip)
    assert world.apply(changed).outcome is Outcome.DONE
    world.aws.fault(fault, account=world.account, operation=operation, skip=skip)
    assert world.restore(before, changed).outcome is Outcome.DONE
    assert world.aws.faults() == []
    assert len(world.calls("CreateChangeSet")) == len(world.calls("ExecuteChangeSet")) == 6
    for name in ("base", "app"):
        assert world.started(name) == ["CREATE", "UPDATE", "UPDATE"]


@pytest.mark.parametrize("fault", ["lost_reply", "lost_503"])
@pytest.mark.parametrize("skip", [0, 1])
def test_a_lost_acknowledgement_of_either_deletion_deletes_once(
    world: World, skip: int, fault: str
) -> None:
    wanted = change(world)
    world.apply(wanted)
    world.aws.fault(fault, account=world.account, operation="DeleteStack", skip=skip)
    assert world.restore(NOTHING, wanted).outcome is Outcome.DONE
    assert world.aws.faults() == []
    assert len(world.calls("DeleteStack")) == 2
    for name in ("base", "app"):
        assert world.started(name) == ["CREATE", "DELETE"]


@pytest.mark.usefixtures("impatient")
def test_a_stack_that_cannot_be_asked_stops_the_step_where_it_is(world: World) -> None:
    world.apply(change(world), token="0000-1")
    before = world.read()
    changed = change(world, Shared="b")
    world.apply(changed)
    world.aws.fault("error_503", account=world.account, operation="DescribeStacks")
    with pytest.raises(UnreachableError):
        world.substrate.restore(
            world.target, before=before, applied=changed, token=RESTORE, mutation=world.mutation
        )
    assert world.restore(before, changed).outcome is Outcome.DONE


def test_an_apply_and_its_restore_killed_after_any_call_resume_and_execute_once(
    aws: Any, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call_number in range(1, 60, 3):
        world = World(aws)
        world.several("base", "app")
        wanted = change(world)
        killed = killed_after(call_number, monkeypatch, partial(world.apply, wanted))
        assert world.apply(wanted).outcome is Outcome.DONE
        undo = partial(world.restore, NOTHING, wanted)
        killed |= killed_after(call_number, monkeypatch, undo)
        assert undo().outcome is Outcome.DONE
        for name in ("base", "app"):
            assert world.started(name) == ["CREATE", "DELETE"]
        if not killed:
            break
    assert call_number > 15
