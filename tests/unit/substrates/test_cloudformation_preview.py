"""Previews, over HTTP against the embedded AWS: readable, and nothing is left behind."""

from __future__ import annotations

from typing import Any

import pytest

from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.model.target_state import Difference, Preview
from tests.unit.substrates.conftest import TEMPLATE

TOPIC = """\
Resources:
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: one, DisplayName: x}}
  Other: {Type: AWS::SNS::Topic}
"""


def previewed(world: Any, artifact: Any) -> Preview:
    found: Preview = world.substrate.preview(world.target, artifact, token="aaaa-p")
    return found


def shells(world: Any) -> list[Any]:
    """Stacks that a ChangeSet made and none was executed."""
    found = world.client.list_stacks(StackStatusFilter=["REVIEW_IN_PROGRESS"])
    return list(found["StackSummaries"])


def test_a_preview_of_an_absent_stack_lists_what_it_adds_and_leaves_no_shell(world: Any) -> None:
    assert previewed(world, world.artifact()) == Preview(
        (Difference("Add", "Setting", "AWS::SSM::Parameter"),)
    )
    assert shells(world) == []


def test_a_preview_of_a_running_stack_leaves_no_changeset(world: Any) -> None:
    world.apply(world.artifact())
    before = world.read()
    found = previewed(world, world.artifact(given={"Level": "debug"}))
    assert [(d.action, d.resource, d.destructive) for d in found.differences] == [
        ("Modify", "Setting", False)
    ]
    assert world.left() == []
    assert world.read() == before


def test_what_runs_already_needs_no_changeset(world: Any) -> None:
    world.apply(world.artifact())
    world.aws.clear_calls()
    assert previewed(world, world.artifact()) == Preview()
    assert world.calls("CreateChangeSet") == []


def test_nothing_to_change_in_cloudformations_eyes_is_said(world: Any) -> None:
    world.apply(world.artifact())
    found = previewed(world, world.artifact(TEMPLATE + "# only a comment\n"))
    assert found == Preview(notes=("CloudFormation sees nothing to change",))
    assert world.left() == []


def test_a_change_of_outputs_alone_is_still_a_change(world: Any) -> None:
    world.apply(world.artifact())
    found = previewed(world, world.artifact(TEMPLATE + "  More: {Value: x}\n"))
    assert [d.kind for d in found.differences] == ["AWS::CloudFormation::Stack"]


def test_replacements_and_removals_are_destructive(world: Any) -> None:
    world.apply(world.artifact(TOPIC))
    changed = "Resources:\n  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: two}}\n"
    with world.aws.with_settings(page_size=1):  # read from all pages
        found = previewed(world, world.artifact(changed))
    assert {(d.action, d.resource, d.destructive) for d in found.differences} == {
        ("Replace", "Topic", True),
        ("Remove", "Other", True),
    }
    replaced = next(d for d in found.differences if d.action == "Replace")
    assert "TopicName" in replaced.detail


def test_a_refused_preview_leaves_nothing(world: Any) -> None:
    broken = TEMPLATE + "  Broken: {Value: !Ref Missing}\n"
    with pytest.raises(RefusedError, match="Missing"):
        previewed(world, world.artifact(broken))
    assert world.client.list_stacks()["StackSummaries"] == []


@pytest.mark.usefixtures("impatient")
def test_a_preview_that_cannot_be_read_leaves_nothing(world: Any) -> None:
    world.aws.fault("error_503", account=world.account, operation="DescribeChangeSet")
    with pytest.raises(UnreachableError):
        previewed(world, world.artifact())
    assert shells(world) == []


def test_a_preview_whose_reply_was_lost_is_found_again(world: Any) -> None:
    world.aws.fault("lost_reply", account=world.account, operation="CreateChangeSet")
    assert len(previewed(world, world.artifact()).differences) == 1
    assert shells(world) == []


def test_a_stack_that_somebody_is_about_to_create_is_refused_and_left_as_it_is(world: Any) -> None:
    world.client.create_change_set(
        StackName="app", ChangeSetName="theirs", ChangeSetType="CREATE", TemplateBody=TOPIC
    )
    for act in (lambda: previewed(world, world.artifact()), lambda: world.apply(world.artifact())):
        with pytest.raises(RefusedError, match=r"by somebody else.*theirs: have them executed"):
            act()
    assert world.left() == ["theirs"]
    assert world.done("CreateChangeSet") == 1


def test_what_a_killed_preview_left_is_cleared_away(world: Any) -> None:
    world.client.create_change_set(
        StackName="app",
        ChangeSetName="phased-preview-aaaa-p",
        ChangeSetType="CREATE",
        TemplateBody=TOPIC,
    )
    assert [d.resource for d in previewed(world, world.artifact()).differences] == ["Setting"]
    assert shells(world) == []


def test_a_lost_noecho_value_is_noted(world: Any) -> None:
    template = TEMPLATE.replace("Resources:", "  Secret: {Type: String, NoEcho: true}\nResources:")
    world.client.create_stack(
        StackName="app",
        TemplateBody=template,
        Parameters=[{"ParameterKey": "Secret", "ParameterValue": "hunter2"}],
    )
    world.apply(world.artifact(template))
    notes = previewed(world, world.artifact(given={"Level": "debug"})).irreversible
    assert notes == ("the earlier value of the NoEcho parameter 'Secret' cannot be restored",)
