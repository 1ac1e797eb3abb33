"""Templates and options as teams use them, over HTTP against the embedded AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.model.target_state import Outcome, TargetState
from tests.unit.substrates.conftest import TEMPLATE, World

NOTHING = TargetState(running=None)
SHORT_FORMS = """\
# every short intrinsic that a ChangeSet of this account can evaluate
Transform: AWS::LanguageExtensions
Parameters:
  Stage: {Type: String, Default: test}
  Names: {Type: CommaDelimitedList, Default: "a,b"}
Mappings:
  Sizes:
    test: {Small: s}
    prod: {Small: l}
Conditions:
  IsTest: !Equals [!Ref Stage, test]
  IsOther: !Not [!Condition IsTest]
  Both: !And [!Condition IsTest, !Not [!Condition IsOther]]
  Either: !Or [!Condition IsTest, !Condition IsOther]
Resources:
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: topic}}
  Queue:
    Type: AWS::SQS::Queue
    Condition: Both
    Properties: {QueueName: !Join ['-', [queue, !Select [1, !Ref Names]]]}
  Unmade: {Type: AWS::SNS::Topic, Condition: IsOther}
  Setting:
    Type: AWS::SSM::Parameter
    Properties:
      Name: /app/level
      Type: String
      Description: !If [Either, !Sub "${AWS::Region} ${Stage}", !Ref AWS::NoValue]
      Value: !Join
        - ' '
        - - !GetAtt Topic.TopicName
          - !GetAtt [Topic, TopicName]
          - !Sub ['${Text}-${!Literal}-${Stage}', {Text: !FindInMap [Sizes, !Ref Stage, Small]}]
          - !Sub |
            ${Topic.TopicName}
          - !Select [0, !Split [',', 'x,y']]
          - !Base64 text
          - !Select [0, !GetAZs '']
          - !Select [1, !Cidr [10.0.0.0/16, 2, 8]]
          - !Length [1, 2]
          - !ToJsonString {a: [1]}
"""
IN_THE_LONG_FORM = json.dumps(
    {
        "Parameters": {"Stage": {"Type": "String", "Default": "test"}},
        "Conditions": {"IsTest": {"Fn::Equals": [{"Ref": "Stage"}, "test"]}},
        "Resources": {
            "Setting": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {
                    "Name": "/app/level",
                    "Type": "String",
                    "Value": {"Fn::If": ["IsTest", {"Fn::Sub": "${AWS::Region}"}, "x"]},
                },
            }
        },
    },
    indent=2,
)
ROLE = """\
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: '2012-10-17', Statement: []}
"""


def preview(world: World, artifact: Any) -> Any:
    return world.substrate.preview(world.target, artifact, token="aaaa-p")


@pytest.mark.parametrize("template", [SHORT_FORMS, IN_THE_LONG_FORM], ids=["yaml", "json"])
def test_a_template_with_every_intrinsic_reads_back_its_digest_and_comes_back(
    world: World, template: str
) -> None:
    first = world.artifact(template)
    assert world.apply(first, token="0000-1").outcome is Outcome.DONE
    before = world.substrate.verify(world.target, first)
    assert before.digest == first.digest
    changed = world.artifact(template, given={"Stage": "prod"})
    assert world.apply(changed).outcome is Outcome.DONE
    assert world.restore(before, changed).outcome is Outcome.DONE
    assert world.read().digest == first.digest


def test_the_short_forms_mean_what_they_mean(world: World) -> None:
    world.apply(world.artifact(SHORT_FORMS))
    assert world.value() == (
        'topic topic s-${Literal}-test topic\n x dGV4dA== eu-central-1a 10.0.1.0/24 2 {"a":[1]}'
    )


@pytest.mark.parametrize("macro", ["", "Transform: AWS::LanguageExtensions\n"])
def test_a_capability_that_is_missing_is_named_by_preview_and_apply(
    world: World, macro: str
) -> None:
    """A ChangeSet says so at once, or, when macros have to be expanded first, by its status."""
    for act in (preview, World.apply):
        with pytest.raises(RefusedError, match=r"\[CAPABILITY_IAM\]; grant it under"):
            act(world, world.artifact(macro + ROLE))
    assert world.status() is None


@pytest.mark.parametrize("where", ["change", "substrate"])
def test_a_capability_may_be_granted_by_the_change_or_by_the_substrate(
    world: World, where: str
) -> None:
    granted = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    if where == "substrate":
        world.options["capabilities"] = granted
    more: dict[str, Any] = {"capabilities": tuple(granted)} if where == "change" else {}
    wanted = world.artifact("Transform: AWS::LanguageExtensions\n" + ROLE, **more)
    assert world.apply(wanted).outcome is Outcome.DONE


def test_the_earlier_capabilities_are_granted_again_to_restore(world: World) -> None:
    world.apply(world.artifact(ROLE, capabilities=("CAPABILITY_IAM",)), token="0000-1")
    before = world.read()
    changed = world.artifact()
    world.apply(changed)
    assert world.restore(before, changed).outcome is Outcome.DONE
    assert world.read().digest == before.digest


def test_an_unknown_macro_is_a_refusal_in_cloudformations_words(world: World) -> None:
    with pytest.raises(RefusedError, match="No transform named Alien found"):
        preview(world, world.artifact("Transform: Alien\n" + ROLE))


def test_the_service_role_is_passed_to_create_restore_and_delete(world: World) -> None:
    world.options["service_role"] = "cloudformation"
    arn = f"arn:aws:iam::{world.account}:role/cloudformation"
    first = world.artifact()
    world.apply(first, token="0000-1")
    before = world.read()
    changed = world.artifact(given={"Level": "debug"})
    preview(world, changed)
    world.apply(changed)
    world.restore(before, changed)
    assert world.restore(NOTHING, first, token="0000-restore").outcome is Outcome.DONE
    sent = [*world.calls("CreateChangeSet"), *world.calls("DeleteStack")]
    assert [call["params"].get("RoleARN") for call in sent] == [arn] * 5


def test_without_leave_to_pass_the_service_role_nothing_happens(world: World) -> None:
    world.options["service_role"] = "cloudformation"
    world.aws.ban("iam:PassRole", account=world.account)
    try:
        for act in (preview, World.apply):
            with pytest.raises(UnreachableError, match=r"role 'rollout' needs iam:PassRole: User"):
                act(world, world.artifact())
    finally:
        world.aws.clear_bans()
    assert world.status() is None
    assert world.apply(world.artifact()).outcome is Outcome.DONE


def test_a_service_role_that_cannot_be_assumed_holds_and_is_no_refusal(world: World) -> None:
    arn = f"arn:aws:iam::{world.account}:role/cloudformation"
    world.apply(world.artifact(), token="0000-1")
    before = world.read()
    changed = world.artifact(given={"Level": "debug"})
    world.apply(changed)
    world.options["service_role"] = "cloudformation"
    world.aws.role(arn, absent=True)
    again = world.artifact(given={"Level": "warn"})
    for act in (
        lambda: preview(world, again),
        lambda: world.apply(again, token="aaaa-2"),
        lambda: world.restore(before, changed),
    ):
        with pytest.raises(UnreachableError, match=r"cannot be assumed: create it, and let its"):
            act()
    assert world.left() == []
    world.aws.role(arn, absent=False)
    assert world.restore(before, changed).outcome is Outcome.DONE


def test_a_change_owns_the_tags_of_its_stack_and_the_preview_names_those_it_removes(
    world: World,
) -> None:
    world.client.create_stack(
        StackName="app", TemplateBody=TEMPLATE, Tags=[{"Key": "cost", "Value": "1"}]
    )
    world.settle()
    before = world.read()
    changed = world.artifact(given={"Level": "debug"}, tags={"team": "a"})
    assert preview(world, changed).notes == ("removes tags that the change does not declare: cost",)
    world.apply(changed)
    assert world.restore(before, changed).outcome is Outcome.DONE
    tags = world.client.describe_stacks(StackName="app")["Stacks"][0]["Tags"]
    assert tags == [{"Key": "cost", "Value": "1"}]


UMLAUT = TEMPLATE.replace("Type: String, Value", "Type: String, Description: Gerät, Value")


def test_what_is_beyond_ascii_survives_a_restore_when_the_template_is_the_same(
    world: World,
) -> None:
    world.apply(world.artifact(UMLAUT), token="0000-1")
    before = world.read()
    assert before.running is not None
    assert "Ger?t" in before.running.body["template"]
    changed = world.artifact(UMLAUT, given={"Level": "debug"})
    assert preview(world, changed).irreversible == ()
    world.apply(changed)
    assert world.restore(before, changed).outcome is Outcome.DONE
    assert described(world) == "Gerät"


def test_what_is_beyond_ascii_and_would_be_lost_is_named_by_the_preview(world: World) -> None:
    world.apply(world.artifact(UMLAUT), token="0000-1")
    assert preview(world, world.artifact(UMLAUT + "# Ü\n")).irreversible == ()
    found = preview(world, world.artifact(given={"Level": "debug"})).irreversible
    assert len(found) == 1
    assert "beyond ASCII" in found[0]
    assert "Ger?t" in found[0]


def test_a_question_mark_that_stays_is_no_loss(world: World) -> None:
    asking = "Description: why?\n" + TEMPLATE
    for template in (asking, json.dumps({"Description": "why?", **json.loads(IN_THE_LONG_FORM)})):
        world.apply(world.artifact(template), token="0000-1")
        more = template.replace("/app/level", "/app/other")
        assert preview(world, world.artifact(more)).irreversible == ()
        world.restore(NOTHING, world.artifact(template), token="0000-restore")


def test_a_value_that_may_have_lost_a_character_is_named(world: World) -> None:
    world.apply(world.artifact(given={"Level": "what?"}), token="0000-1")
    found = preview(world, world.artifact(given={"Level": "debug"})).irreversible
    assert found == ("the '?' in the earlier value of 'Level' may stand for a character that is "
                     "lost",)  # fmt: skip


def described(world: World) -> str:
    found = world.client_of("ssm").describe_parameters()["Parameters"]
    return str(found[0]["Description"])


RETAINED = """\
Resources:
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: one}, DeletionPolicy: Retain,
          UpdateReplacePolicy: Retain}
  Other: {Type: AWS::SNS::Topic}
"""


def test_orphans_are_named_by_the_preview(world: World) -> None:
    world.apply(world.artifact(RETAINED), token="0000-1")
    replaced = preview(world, world.artifact(RETAINED.replace("one", "two")))
    removed = preview(world, world.artifact("Resources: {Other: {Type: AWS::SNS::Topic}}\n"))
    for found in (replaced, removed):
        (what,) = found.irreversible
        assert "Topic (AWS::SNS::Topic) leaves its resource behind, which no stack manages" in what
    fresh = preview(world, world.artifact(RETAINED.replace("Topic:", "Third:")))
    assert (
        "Third (AWS::SNS::Topic) is retained: a rollback leaves what was created, and no stack"
        " manages it" in fresh.irreversible
    )


def test_a_noecho_value_that_a_dynamic_reference_replaces_is_named_and_an_untouched_one_is_not(
    world: World,
) -> None:
    template = TEMPLATE.replace("Resources:", "  Secret: {Type: String, NoEcho: true}\nResources:")
    world.client.create_stack(
        StackName="app",
        TemplateBody=template,
        Parameters=[{"ParameterKey": "Secret", "ParameterValue": "hunter2"}],
    )
    world.settle()
    kept = world.artifact(template, given={"Level": "debug"})
    assert preview(world, kept).irreversible == ()
    given = {"Level": "debug", "Secret": "{{resolve:ssm:/secret}}"}
    assert preview(world, world.artifact(template, given=given)).irreversible == (
        "the earlier value of the NoEcho parameter 'Secret' cannot be restored",
    )


def test_two_regions_of_an_account_do_not_disturb_one_another(aws: Any, world: World) -> None:
    """Two targets, perhaps of two channels: one is stuck and rolled back, one goes on."""
    other = World(aws, account=world.account, region="eu-west-1")
    for each in (world, other):
        each.apply(each.artifact(), token="0000-1")
    before, untouched = world.read(), other.read()
    changed = world.artifact(given={"Level": "debug"})
    world.apply(changed)
    assert other.read() == untouched
    assert (world.value(), other.value()) == ("debug", "info")
    assert other.apply(changed, token="aaaa-2").outcome is Outcome.DONE
    assert world.restore(before, changed).outcome is Outcome.DONE
    assert (world.value(), other.value()) == ("info", "debug")
    assert (world.started(), other.started()) == (["CREATE", "UPDATE", "UPDATE"],
                                                  ["CREATE", "UPDATE"])  # fmt: skip
    sent = [(c["region"], c["params"]["ClientRequestToken"])
            for c in world.calls("ExecuteChangeSet")]  # fmt: skip
    assert len(set(sent)) == len(sent) == 5
