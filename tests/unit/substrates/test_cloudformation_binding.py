"""An apply does what was previewed or nothing, over HTTP against the embedded AWS."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from phased_rollout.errors import DriftedError
from phased_rollout.model.target_state import Difference, Outcome, Preview
from tests.unit.substrates.conftest import TEMPLATE, World, killed_after

TOPIC = "  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: one}}\n"
WITH_TOPIC = TEMPLATE.replace("Outputs:", TOPIC + "Outputs:")


def previewed(world: World, artifact: Any) -> Preview:
    found: Preview = world.substrate.preview(world.target, artifact, token="aaaa-p")
    return found


def test_the_digest_of_a_preview_is_over_all_that_people_saw_but_not_its_order() -> None:
    one, two = Difference("Add", "A", "K"), Difference("Modify", "B", "K", detail="because of X")
    preview = Preview((one, two), irreversible=("x", "y"))
    assert Preview((two, one), notes=("n",), irreversible=("y", "x")).digest == preview.digest
    others = [
        Preview((one,), irreversible=("x", "y")),
        Preview((one, two), irreversible=("x",)),
        Preview((one, Difference("Modify", "B", "K", detail="because of Y"))),
        Preview((one, Difference("Modify", "B", "K", destructive=True))),
        Preview(),
    ]
    assert len({each.digest for each in [preview, *others]}) == 6


def test_two_previews_of_the_same_thing_have_one_digest(world: World) -> None:
    wanted = world.artifact(WITH_TOPIC)
    assert previewed(world, wanted).digest == previewed(world, wanted).digest
    world.apply(wanted)
    world.client.delete_stack(StackName="app")
    world.settle()
    world.apply(world.artifact())
    other = World(world.aws)
    other.apply(other.artifact())
    changed = {"given": {"Level": "debug"}}
    assert (
        previewed(world, world.artifact(WITH_TOPIC, **changed)).digest
        == previewed(other, other.artifact(WITH_TOPIC, **changed)).digest
    )


def test_what_was_previewed_is_applied_at_the_price_of_one_look(world: World) -> None:
    """That at the ChangeSet, which is polled anyhow, as the stack is."""
    asked = []
    for compares in (False, True):
        each = World(world.aws)
        each.apply(each.artifact(), token="0000-1")
        wanted = each.artifact(WITH_TOPIC, given={"Level": "debug"})
        digest = previewed(each, wanted).digest if compares else None
        each.aws.clear_calls()
        assert each.apply(wanted, expected=digest).outcome is Outcome.DONE
        operations = [call["operation"] for call in each.aws.calls(account=each.account)]
        polled = ("DescribeChangeSet", "DescribeStacks")
        asked.append([operation for operation in operations if operation not in polled])
    assert asked[0] == asked[1]


def test_what_would_change_something_else_changes_nothing_and_says_what(world: World) -> None:
    world.apply(world.artifact(), token="0000-1")
    wanted = world.artifact(given={"Level": "debug"})
    digest = previewed(world, wanted).digest
    world.client.update_stack(StackName="app", TemplateBody=WITH_TOPIC)
    world.settle()
    before = world.read()
    with pytest.raises(DriftedError) as error:
        world.apply(wanted, expected=digest)
    first, *lines = str(error.value).splitlines()
    assert f"not what was previewed ({digest[:12]})" in first
    assert lines == [
        "DESTRUCTIVE Remove AWS::SNS::Topic Topic policy: Delete",
        "Modify AWS::SSM::Parameter Setting because of Value",
    ]
    assert (world.left(), world.read()) == ([], before)
    again = previewed(world, wanted).digest
    assert world.apply(wanted, expected=again).outcome is Outcome.DONE


def test_no_more_than_five_lines_are_told(world: World) -> None:
    topics = "".join(TOPIC.replace("Topic:", f"T{n}:").replace("one", f"t{n}") for n in range(7))
    wanted = world.artifact(TEMPLATE.replace("Outputs:", topics + "Outputs:"))
    with pytest.raises(DriftedError) as error:
        world.apply(wanted, expected="0" * 64)
    assert str(error.value).splitlines()[5:] == ["and 4 more"]
    assert world.status() is None


def test_a_stack_that_drifted_into_what_was_wanted_is_left_alone(world: World) -> None:
    wanted = world.artifact(given={"Level": "debug"})
    digest = previewed(world, wanted).digest
    world.apply(wanted, token="bbbb-1")
    assert world.apply(wanted, expected=digest).outcome is Outcome.DONE


def test_without_an_expectation_nothing_is_compared(world: World) -> None:
    world.apply(world.artifact(WITH_TOPIC), token="0000-1")
    world.aws.clear_calls()
    assert world.apply(world.artifact()).outcome is Outcome.DONE
    sent = [call["params"] for call in world.calls("CreateChangeSet")]
    assert all("IncludeNestedStacks" not in params for params in sent)


def test_a_drifted_apply_that_is_killed_anywhere_never_executes(
    aws: Any, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call_number in range(1, 40):
        world = World(aws)
        world.apply(world.artifact(WITH_TOPIC), token="0000-1")
        aws.clear_calls()
        apply = partial(world.apply, world.artifact(), expected=Preview().digest)
        refused = []

        def act(apply: Any = apply, refused: list[Any] = refused) -> None:
            try:
                apply()
            except DriftedError as error:
                refused.append(error)

        killed = killed_after(call_number, monkeypatch, act)
        act()
        assert refused
        assert world.done("ExecuteChangeSet") == 0
        assert world.left() == []
        if not killed:
            break
    assert call_number > 6


def test_an_expected_apply_killed_after_any_call_resumes_and_executes_once(
    aws: Any, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call_number in range(1, 40):
        world = World(aws)
        world.apply(world.artifact(), token="0000-1")
        wanted = world.artifact(WITH_TOPIC)
        digest = previewed(world, wanted).digest
        aws.clear_calls()
        act = partial(world.apply, wanted, expected=digest)
        killed = killed_after(call_number, monkeypatch, act)
        assert act().outcome is Outcome.DONE
        assert (world.done("CreateChangeSet"), world.done("ExecuteChangeSet")) == (1, 1)
        if not killed:
            break
    assert call_number > 8


def test_the_remains_of_an_own_failed_creation_are_made_anew_as_previewed(world: World) -> None:
    wanted = world.artifact(WITH_TOPIC)
    first = previewed(world, wanted).digest
    denial = world.aws.deny(
        account=world.account, resource_type="AWS::SNS::Topic", reason="not today"
    )
    with pytest.raises(Exception, match="not today"):
        world.apply(wanted, expected=first)
    anew = previewed(world, wanted).digest
    assert anew != first
    world.aws.clear_denials(denial)
    assert world.apply(wanted, token="aaaa-2", expected=anew).outcome is Outcome.DONE


def test_what_somebody_put_in_place_of_the_remains_is_not_destroyed(world: World) -> None:
    wanted = world.artifact()
    world.aws.deny(account=world.account, resource_type="AWS::SSM::Parameter", reason="not today")
    with pytest.raises(Exception, match="not today"):
        world.apply(wanted)
    anew = previewed(world, wanted).digest
    world.aws.clear_denials()
    world.client.delete_stack(StackName="app")
    world.settle()
    world.client.create_stack(StackName="app", TemplateBody=WITH_TOPIC)
    world.settle()
    with pytest.raises(DriftedError, match="DESTRUCTIVE Remove AWS::SNS::Topic Topic"):
        world.apply(wanted, token="aaaa-2", expected=anew)
    assert world.status() == "CREATE_COMPLETE"


def test_what_changed_within_a_nested_stack_is_drift_too(world: World) -> None:
    s3, bucket = world.client_of("s3"), f"nest-{world.account}"
    where = {"LocationConstraint": world.region}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)

    def parent(text: str, **change: Any) -> Any:
        s3.put_object(Bucket=bucket, Key="child.yaml", Body=text.encode())
        url = f"https://{bucket}.s3.{world.region}.amazonaws.com/child.yaml"
        return world.artifact(
            "Parameters: {Level: {Type: String, Default: info}}\nResources:\n"
            "  Child: {Type: AWS::CloudFormation::Stack, Properties: {"
            f"TemplateURL: '{url}', Parameters: {{Level: !Ref Level}}}}}}\n",
            **change,
        )

    world.apply(parent(WITH_TOPIC), token="0000-1")
    wanted = parent(WITH_TOPIC, given={"Level": "debug"})
    digest = previewed(world, wanted).digest
    parent(TEMPLATE)  # somebody puts another template there
    with pytest.raises(DriftedError, match="DESTRUCTIVE Remove AWS::SNS::Topic Child/Topic"):
        world.apply(wanted, expected=digest)
    assert world.value() == "info"
    parent(WITH_TOPIC)
    assert world.apply(wanted, expected=digest).outcome is Outcome.DONE
    assert world.value() == "debug"
