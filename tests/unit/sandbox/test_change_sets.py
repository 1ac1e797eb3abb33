"""What change sets tell."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.looks import actions, resource_changes
from tests.unit.sandbox.templates import CHANGING as TEMPLATE

NO_CHANGES = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)


def test_a_changed_parameter_is_told_with_its_cause(account):
    account.create(TEMPLATE)
    description = account.change_set(parameters={"Days": "30"})
    target = {
        "Attribute": "Properties",
        "Name": "RetentionInDays",
        "RequiresRecreation": "Never",
    }
    assert resource_changes(description)[0] == {
        "Action": "Modify",
        "LogicalResourceId": "Log",
        "PhysicalResourceId": "/baseline/log",
        "ResourceType": "AWS::Logs::LogGroup",
        "Replacement": "False",
        "Scope": ["Properties"],
        "Details": [
            {"Target": target, "Evaluation": "Dynamic", "ChangeSource": "DirectModification"},
            {
                "Target": target,
                "Evaluation": "Static",
                "ChangeSource": "ParameterReference",
                "CausingEntity": "Days",
            },
        ],
    }
    assert actions(description)[1] == ("Modify", "Metadata", "False")


def test_a_condition_that_turns_true_adds_and_one_that_turns_false_removes(account):
    account.create(TEMPLATE)
    added = account.change_set(parameters={"Extra": "yes"})
    assert actions(added) == [("Add", "Alerts")]
    account.execute(added)
    removed = account.change_set(parameters={"Extra": "no"})
    assert actions(removed) == [("Remove", "Alerts", "Delete")]


def test_a_renamed_parameter_is_replaced(account):
    account.create(TEMPLATE)
    description = account.change_set(TEMPLATE.replace("/baseline/metadata", "/baseline/metadpata"))
    assert actions(description) == [("Modify", "Metadata", "True", "ReplaceAndDelete")]
    (detail,) = resource_changes(description)[0]["Details"]
    assert detail == {
        "Target": {"Attribute": "Properties", "Name": "Name", "RequiresRecreation": "Always"},
        "Evaluation": "Static",
        "ChangeSource": "DirectModification",
    }


def test_retain_policies_show_in_the_policy_action(account):
    policies = "DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain"
    kept = TEMPLATE.replace("AWS::Logs::LogGroup", f"AWS::Logs::LogGroup\n    {policies}")
    account.create(kept)
    replaced = account.change_set(kept.replace("/baseline/log", "/baseline/other"), name="a")
    assert actions(replaced) == [("Modify", "Log", "True", "ReplaceAndRetain")]
    start, end = kept.index("  Log:"), kept.index("  Alerts:")
    removed = account.change_set(kept[:start] + kept[end:], name="b")
    assert actions(removed) == [("Remove", "Log", "Retain")]


def test_what_follows_a_replaced_resource_may_be_replaced(account):
    template = """
Resources:
  Source: {Type: AWS::SNS::Topic, Properties: {TopicName: one}}
  Follower:
    Type: AWS::SSM::Parameter
    Properties: {Name: !Sub "/of/${Source.TopicName}", Type: String, Value: !Ref Source}
"""
    account.create(template)
    description = account.change_set(template.replace("TopicName: one", "TopicName: two"))
    assert actions(description) == [
        ("Modify", "Follower", "Conditional", "ReplaceAndDelete"),
        ("Modify", "Source", "True", "ReplaceAndDelete"),
    ]
    details = resource_changes(description)[0]["Details"]
    assert [(d["Evaluation"], d["ChangeSource"], d["CausingEntity"]) for d in details] == [
        ("Dynamic", "ResourceAttribute", "Source.TopicName"),
        ("Dynamic", "ResourceReference", "Source"),
    ]
    assert account.execute(description) == "UPDATE_COMPLETE"
    assert account.parameter("/of/one") is None
    assert account.parameter("/of/two") == f"arn:aws:sns:eu-central-1:{account.id}:two"


def test_a_stack_tag_modifies_every_taggable_resource(account):
    account.create(TEMPLATE, tags={"owner": "a"})
    description = account.change_set(parameters={}, tags={"owner": "b"})
    target = {"Attribute": "Tags", "RequiresRecreation": "Never"}
    assert [(c["LogicalResourceId"], c["Scope"]) for c in resource_changes(description)] == [
        ("Log", ["Tags"]),
        ("Metadata", ["Tags"]),
    ]
    assert resource_changes(description)[0]["Details"][0]["Target"] == target
    assert account.execute(description) == "UPDATE_COMPLETE"
    tags = account.client("logs").list_tags_log_group(logGroupName="/baseline/log")["tags"]
    assert tags == {"owner": "b"}


@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE,
        "# a comment" + TEMPLATE,
        "Description: another one" + TEMPLATE,
        "Metadata: {author: somebody}" + TEMPLATE,
        TEMPLATE.replace("Default: 7}", 'Default: "7", Description: days}'),
        TEMPLATE.replace("Conditions:", "Conditions:\n  Unused: !Not [!Condition HasExtra]"),
    ],
    ids=["same", "comment", "description", "metadata", "default", "condition"],
)
def test_what_changes_no_resource_is_no_change(account, template):
    account.create(TEMPLATE)
    description = account.change_set(template)
    keys = ("Status", "StatusReason", "ExecutionStatus", "Changes")
    assert {key: description[key] for key in keys} == {
        "Status": "FAILED",
        "StatusReason": NO_CHANGES,
        "ExecutionStatus": "UNAVAILABLE",
        "Changes": [],
    }


def test_a_new_output_is_a_change_without_resource_changes(account):
    account.create(TEMPLATE)
    description = account.change_set(TEMPLATE + "Outputs: {Log: {Value: !Ref Log}}")
    assert (description["Status"], description["Changes"]) == ("CREATE_COMPLETE", [])
    assert account.execute(description) == "UPDATE_COMPLETE"
    assert account.stack()["Outputs"] == [{"OutputKey": "Log", "OutputValue": "/baseline/log"}]


def test_property_values_are_told_on_request_only_and_secrets_never(account):
    template = """
Parameters: {Secret: {Type: String, NoEcho: true}}
Resources:
  Holder:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Value: !Sub "key=${Secret}"}
"""
    account.create(template, parameters={"Secret": "hunter1"})
    plain = account.change_set(parameters={"Secret": "hunter2"}, name="a")
    full = account.change_set(parameters={"Secret": "hunter2"}, name="b", include_values=True)
    assert set(resource_changes(plain)[0]["Details"][0]["Target"]) == {
        "Attribute", "Name", "RequiresRecreation",
    }  # fmt: skip
    assert resource_changes(full)[0]["Details"][0]["Target"] == {
        "Attribute": "Properties",
        "Name": "Value",
        "RequiresRecreation": "Never",
        "Path": "/Properties/Value",
        "BeforeValue": "key=****",
        "AfterValue": "key=****",
        "AttributeChangeType": "Modify",
    }
    assert full["Parameters"] == [{"ParameterKey": "Secret", "ParameterValue": "****"}]
