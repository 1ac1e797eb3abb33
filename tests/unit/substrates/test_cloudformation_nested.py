"""Nested stacks, over HTTP against the embedded AWS."""

from __future__ import annotations

from typing import Any

import pytest

from phased_rollout.errors import RefusedError
from phased_rollout.model.digest import digest_of
from phased_rollout.model.target_state import Outcome, Preview, TargetState
from tests.unit.substrates.conftest import World

PARAMETER, STACK, TOPIC = "AWS::SSM::Parameter", "AWS::CloudFormation::Stack", "AWS::SNS::Topic"
CHILD = """\
Parameters: {Level: {Type: String}}
Resources:
  Setting: {Type: AWS::SSM::Parameter, Properties: {Name: /child, Type: String, Value: !Ref Level}}
"""
TOPICS = "  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: one}}\n"
PARENT = """\
Parameters: {{Level: {{Type: String, Default: info}}}}
Resources:
  Child:
    Type: AWS::CloudFormation::Stack
    Properties: {{TemplateURL: '{url}', Parameters: {{Level: !Ref Level}}}}
"""


class Nest:
    """A bucket with the templates of children, in the account of a world."""

    def __init__(self, world: World) -> None:
        self.world, self.bucket = world, f"nest-{world.account}"
        self.s3 = world.client_of("s3")
        where = {"LocationConstraint": world.region}
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration=where)

    def put(self, text: str, key: str = "") -> str:
        """Give the address of a template, by default one that names its content."""
        key = key or f"{digest_of(text)}.yaml"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode())
        return f"https://{self.bucket}.s3.{self.world.region}.amazonaws.com/{key}"

    def artifact(self, child: str, key: str = "", **change: Any) -> Any:
        return self.world.artifact(PARENT.format(url=self.put(child, key)), **change)

    def preview(self, artifact: Any) -> Preview:
        found: Preview = self.world.substrate.preview(self.world.target, artifact, token="aaaa-p")
        return found

    def left(self) -> list[str]:
        """What previews have left: ChangeSets of any stack, and shells."""
        left = []
        for stack in self.world.client.list_stacks()["StackSummaries"]:
            if stack["StackStatus"] == "REVIEW_IN_PROGRESS":
                left.append(stack["StackName"])
            if stack["StackStatus"] != "DELETE_COMPLETE":
                sets = self.world.client.list_change_sets(StackName=stack["StackId"])["Summaries"]
                left += [each["ChangeSetName"] for each in sets]
        return left


@pytest.fixture
def nest(world: World) -> Nest:
    return Nest(world)


def seen(preview: Preview) -> list[tuple[str, str, str, bool]]:
    return [(d.action, d.resource, d.kind, d.destructive) for d in preview.differences]


def test_a_preview_shows_what_a_nested_stack_would_be_made_of_and_leaves_nothing(
    nest: Nest,
) -> None:
    assert seen(nest.preview(nest.artifact(CHILD))) == [
        ("Add", "Child", STACK, False),
        ("Add", "Child/Setting", PARAMETER, False),
    ]
    assert nest.left() == []


@pytest.mark.parametrize("size", [1, 100])
def test_a_preview_shows_what_changes_within_a_nested_stack(nest: Nest, size: int) -> None:
    nest.world.apply(nest.artifact(CHILD + TOPICS))
    wanted = nest.artifact(CHILD, given={"Level": "debug"})
    with nest.world.aws.with_settings(page_size=size):
        found = nest.preview(wanted)
    assert seen(found) == [
        ("Modify", "Child", STACK, False),
        ("Modify", "Child/Setting", PARAMETER, False),
        ("Remove", "Child/Topic", TOPIC, True),
    ]
    assert nest.left() == []
    assert nest.world.apply(wanted, token="bbbb-1").outcome is Outcome.DONE
    assert nest.world.values("/child") == ["debug"]


def test_a_preview_waits_until_the_nested_changesets_are_gone_too(nest: Nest) -> None:
    """AWS deletes a hierarchy of them in its own time."""
    nest.world.apply(nest.artifact(CHILD))
    wanted = nest.artifact(CHILD, given={"Level": "debug"})
    nest.world.aws.settings(slow={nest.world.account: 1.0})
    assert len(nest.preview(wanted).differences) == 2
    assert nest.left() == []


def test_a_nested_stack_that_stays_as_it_is_is_no_difference(nest: Nest) -> None:
    nest.world.apply(nest.artifact(CHILD))
    commented = nest.world.artifact("# more\n" + PARENT.format(url=nest.put(CHILD)))
    assert nest.preview(commented) == Preview(notes=("CloudFormation sees nothing to change",))
    assert nest.left() == []


def test_a_preview_of_nested_stacks_that_was_killed_is_cleared_away(nest: Nest) -> None:
    wanted = nest.artifact(CHILD)
    nest.world.client.create_change_set(
        StackName="app",
        ChangeSetName="phased-preview-aaaa-p",
        ChangeSetType="CREATE",
        TemplateBody=wanted.body["template"],
        IncludeNestedStacks=True,
    )
    assert len(nest.preview(wanted).differences) == 2
    assert nest.left() == []


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("child.yaml", 1),
        ("v1.2/child.yaml", 1),
        ("0123456789abcdef0123456789abcdef.template", 0),
        ("child.yaml?versionId=abc", 0),
    ],
)
def test_a_template_that_may_change_under_its_address_needs_an_authorization(
    nest: Nest, key: str, said: int
) -> None:
    url = nest.put(CHILD, key.partition("?")[0]) + key[len(key.partition("?")[0]) :]
    found = nest.preview(nest.world.artifact(PARENT.format(url=url)))
    words = (
        f"Child ({STACK}): the content of {url} may change under the same address: a rollback may "
        "bring back another than ran before, and a new content alone is not rolled out: put a "
        "version or a digest into the address"
    )
    assert found.irreversible == (words,) * said


@pytest.mark.parametrize(
    "template",
    [
        PARENT.replace("'{url}'", "!Ref Url"),
        PARENT.replace("'{url}'", "!Sub '${{Url}}'"),
        PARENT.replace("'{url}'", "{{Ref: Url}}"),
        PARENT.replace("'{url}'", "{{'Fn::Sub': '${{Url}}'}}"),
    ],
)
def test_an_address_that_is_a_parameter_is_looked_at_too(nest: Nest, template: str) -> None:
    text = template.format().replace("Parameters: {", "Parameters: {Url: {Type: String}, ", 1)
    for key, count in (("child.yaml", 1), ("", 0)):
        wanted = nest.world.artifact(text, given={"Url": nest.put(CHILD, key)})
        assert len(nest.preview(wanted).irreversible) == count


def test_the_address_that_ran_before_is_named_too(nest: Nest) -> None:
    nest.world.apply(nest.artifact(CHILD, "child.yaml"))
    (said,) = nest.preview(nest.artifact(CHILD, given={"Level": "debug"})).irreversible
    assert "child.yaml may change under the same address" in said


def test_an_earlier_nested_template_comes_back(nest: Nest) -> None:
    nest.world.apply(nest.artifact(CHILD), token="0000-1")
    before = nest.world.read()
    changed = nest.artifact(CHILD.replace("/child", "/other"))
    nest.world.apply(changed)
    assert nest.world.values("/child", "/other") == [None, "info"]
    assert nest.world.restore(before, changed).outcome is Outcome.DONE
    assert nest.world.values("/child", "/other") == ["info", None]


def test_what_cannot_be_looked_into_is_called_destructive_and_may_then_be_applied(
    nest: Nest,
) -> None:
    """As what one nested stack gives another: it is not known before the execution."""

    def both(first: str, second: str) -> Any:
        other = PARENT.format(url=nest.put(second)).partition("Resources:")[2]
        other = other.replace("Child:", "Second:\n    DependsOn: Child")
        return nest.world.artifact(PARENT.format(url=nest.put(first)) + other[1:])

    second = CHILD.replace("/child", "/second")
    nest.world.apply(both(CHILD, second))
    gives = CHILD + "Outputs: {O: {Value: given, Export: {Name: given}}}\n"
    wanted = both(gives, second.replace("!Ref Level", "!ImportValue given"))
    found = nest.preview(wanted)
    assert seen(found) == [("Modify", "Child", STACK, True), ("Modify", "Second", STACK, True)]
    assert "what changes within it cannot be previewed" in found.differences[0].detail
    (note,) = found.notes
    assert note.startswith("nested stacks cannot be looked into: No export named given")
    assert nest.left() == []
    assert nest.world.apply(wanted, token="bbbb-1", expected=found.digest).outcome is Outcome.DONE
    assert nest.world.values("/second") == ["given"]


def test_a_capability_that_a_nested_stack_lacks_is_refused_and_named(nest: Nest) -> None:
    nest.world.apply(nest.artifact(CHILD))
    role = "  R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}\n"
    wanted = nest.artifact(CHILD + role)
    with pytest.raises(RefusedError, match=r"Requires capabilities : \[CAPABILITY_IAM\]; grant"):
        nest.preview(wanted)
    with pytest.raises(RefusedError, match=r"Requires capabilities : \[CAPABILITY_IAM\]; grant"):
        nest.world.apply(wanted, token="bbbb-1", expected="any")
    assert nest.left() == []


def test_a_failure_within_a_nested_stack_is_told_by_its_own_cause(nest: Nest) -> None:
    inner = nest.put(CHILD)
    middle = PARENT.format(url=inner).replace("Child:", "Inner:")
    nest.world.apply(nest.artifact(middle))
    nest.world.aws.deny(account=nest.world.account, resource_type=TOPIC, reason="not today")
    deeper = PARENT.format(url=nest.put(CHILD + TOPICS)).replace("Child:", "Inner:")
    with pytest.raises(RefusedError) as error:
        nest.world.apply(nest.artifact(deeper), token="bbbb-1")
    assert "): Child/Inner/Topic (AWS::SNS::Topic): " in str(error.value)
    assert "not today" in str(error.value)
    assert "Embedded stack" not in str(error.value)


def test_a_nested_stack_that_was_deleted_since_still_tells_its_cause(nest: Nest) -> None:
    nest.world.aws.deny(account=nest.world.account, resource_type=TOPIC, reason="not today")
    wanted = nest.artifact(CHILD + TOPICS)
    with pytest.raises(RefusedError, match=r"\(ROLLBACK_COMPLETE\): Child/Topic .*not today"):
        nest.world.apply(wanted)
    assert nest.world.restore(TargetState(running=None), wanted).outcome is Outcome.DONE


def test_an_earlier_failure_of_a_nested_stack_is_not_told_again(nest: Nest) -> None:
    nest.world.apply(nest.artifact(CHILD))
    for kind, reason in ((TOPIC, "on monday"), (PARAMETER, "on tuesday")):
        nest.world.aws.clear_denials()
        nest.world.aws.deny(account=nest.world.account, resource_type=kind, reason=reason)
        wanted = nest.artifact(CHILD + TOPICS, given={"Level": reason})
        with pytest.raises(RefusedError, match=reason) as error:
            nest.world.apply(wanted, token=f"bbbb-{kind[-1]}")
    assert "on monday" not in str(error.value)


def test_a_nested_cause_that_cannot_be_asked_for_leaves_the_parents_words(
    nest: Nest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phased_rollout.substrates.cloudformation.events._DEPTH", 0)
    nest.world.aws.deny(account=nest.world.account, resource_type=TOPIC, reason="not today")
    with pytest.raises(RefusedError, match=r"Child \(AWS::CloudFormation::Stack\): Embedded stack"):
        nest.world.apply(nest.artifact(CHILD + TOPICS))
