"""The life of change sets, and what they refuse."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.looks import actions, events, resource_changes
from tests.unit.sandbox.templates import CHANGING as TEMPLATE


def test_a_change_set_passes_through_its_stages(account, until):
    account.create(TEMPLATE)
    cfn, seen = account.cfn, []

    def look(arn):
        description = cfn.describe_change_set(ChangeSetName=arn)
        seen.append((description["Status"], description["ExecutionStatus"]))
        return seen[-1]

    with account.aws.held(account.id):
        arn = cfn.create_change_set(
            StackName="baseline", ChangeSetName="staged", TemplateBody=TEMPLATE.replace("7", "8")
        )["Id"]
        assert look(arn) == ("CREATE_PENDING", "UNAVAILABLE")
    until(lambda: look(arn) == ("CREATE_COMPLETE", "AVAILABLE"))
    with account.aws.held(account.id):
        cfn.execute_change_set(ChangeSetName=arn)
        assert look(arn) == ("CREATE_COMPLETE", "EXECUTE_IN_PROGRESS")
    until(lambda: look(arn) == ("CREATE_COMPLETE", "EXECUTE_COMPLETE"))
    assert set(seen) <= {
        ("CREATE_PENDING", "UNAVAILABLE"),
        ("CREATE_IN_PROGRESS", "UNAVAILABLE"),
        ("CREATE_COMPLETE", "AVAILABLE"),
        ("CREATE_COMPLETE", "EXECUTE_IN_PROGRESS"),
        ("CREATE_COMPLETE", "EXECUTE_COMPLETE"),
    }


def test_the_same_request_with_its_token_again_is_the_same_change_set(account, refused):
    account.create(TEMPLATE)
    args = {
        "StackName": "baseline", "ChangeSetName": "once", "ClientToken": "t-1",
        "TemplateBody": TEMPLATE.replace("Default: 7", "Default: 8"),
    }  # fmt: skip
    first = account.cfn.create_change_set(**args)["Id"]
    assert account.cfn.create_change_set(**args)["Id"] == first
    clash = "ChangeSet once cannot be created due to a mismatch with existing attribute"
    assert refused(account.cfn.create_change_set, **args | {"ClientToken": "t-2"}) == (
        "AlreadyExistsException",
        f"{clash} ClientToken",
    )
    assert refused(account.cfn.create_change_set, **args | {"TemplateBody": TEMPLATE}) == (
        "AlreadyExistsException",
        f"{clash} Template",
    )
    summaries = account.cfn.list_change_sets(StackName="baseline")["Summaries"]
    assert [summary["ChangeSetId"] for summary in summaries] == [first]


def test_a_change_set_is_executed_once_and_ends_the_others(account, refused):
    account.create(TEMPLATE)
    chosen = account.change_set(parameters={"Days": "8"}, name="chosen")
    other = account.change_set(parameters={"Days": "9"}, name="other")
    arn = chosen["ChangeSetId"]
    once = {"ChangeSetName": arn, "ClientRequestToken": "go"}
    with account.aws.held(account.id):
        account.cfn.execute_change_set(**once)
        again = refused(account.cfn.execute_change_set, **once)
    assert again == (
        "InvalidChangeSetStatus",
        f"ChangeSet [{arn}] cannot be executed in its current execution status of "
        "[EXECUTE_IN_PROGRESS]",
    )
    assert account.settled() == "UPDATE_COMPLETE"
    code, _ = refused(account.cfn.describe_change_set, ChangeSetName=other["ChangeSetId"])
    assert code == "ChangeSetNotFound"
    assert account.cfn.list_change_sets(StackName="baseline")["Summaries"] == []
    assert account.stack()["ChangeSetId"] == arn
    starts = [e for e in events(account) if e["ResourceStatus"] == "UPDATE_IN_PROGRESS"]
    assert [e["LogicalResourceId"] for e in starts].count("baseline") == 1


def test_a_failed_change_set_cannot_be_executed(account, refused):
    account.create(TEMPLATE)
    arn = account.change_set(TEMPLATE)["ChangeSetId"]
    assert refused(account.cfn.execute_change_set, ChangeSetName=arn) == (
        "InvalidChangeSetStatus",
        f"ChangeSet [{arn}] cannot be executed in its current status of [FAILED]",
    )


def test_an_update_outside_makes_a_change_set_obsolete(account):
    account.create(TEMPLATE)
    waiting = account.change_set(parameters={"Days": "8"})
    account.cfn.update_stack(
        StackName="baseline",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Days", "ParameterValue": "9"}],
    )
    assert account.settled() == "UPDATE_COMPLETE"
    again = account.evaluated(waiting["ChangeSetId"])
    assert again["ExecutionStatus"] == "OBSOLETE"


def test_a_create_change_set_leaves_a_shell_that_can_be_deleted(account, refused):
    made = account.change_set(TEMPLATE, ChangeSetType="CREATE")
    assert actions(made) == [("Add", "Log"), ("Add", "Metadata")]
    shell = account.stack()
    assert (shell["StackStatus"], shell["StackId"]) == ("REVIEW_IN_PROGRESS", made["StackId"])
    assert account.parameter("/baseline/metadata") is None
    account.cfn.delete_stack(StackName=made["StackId"])
    assert refused(account.cfn.describe_stacks, StackName="baseline") == (
        "ValidationError",
        "Stack with id baseline does not exist",
    )


def test_executing_a_create_change_set_creates_the_stack(account):
    made = account.change_set(TEMPLATE, ChangeSetType="CREATE")
    assert account.execute(made) == "CREATE_COMPLETE"
    assert account.parameter("/baseline/metadata") == "keep 7"


def test_a_large_change_set_is_described_in_pages(account):
    resources = "".join(
        f"  P{n}: {{Type: AWS::SSM::Parameter, Properties: {{Type: String, Value: x}}}}\n"
        for n in range(5)
    )
    made = account.change_set(f"Resources:\n{resources}", ChangeSetType="CREATE")
    with account.aws.with_settings(page_size=2):
        pages = account.cfn.get_paginator("describe_change_set").paginate(
            ChangeSetName=made["ChangeSetId"]
        )
        names = [[c["LogicalResourceId"] for c in resource_changes(page)] for page in pages]
    assert names == [["P0", "P1"], ["P2", "P3"], ["P4"]]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"ChangeSetType": "CREATE"}, "Stack [baseline] already exists and cannot be created again "
         "with the changeSet [bad]."),
        ({"Parameters": [{"ParameterKey": "Dayz", "ParameterValue": "1"}]},
         "Parameters: [Dayz] do not exist in the template"),
        ({"Parameters": [{"ParameterKey": "Days", "ParameterValue": "x"}]},
         "Parameter 'Days' must be a number"),
        ({"Parameters": [{"ParameterKey": "Extra", "ParameterValue": "x"}]},
         "Parameter 'Extra' must be one of AllowedValues [yes, no]"),
        ({"TemplateBody": "Resources: {}"},
         "Template format error: At least one Resources member must be defined."),
        ({"TemplateBody": "Resources: {A: {Type: AWS::Nope::Nothing}}"},
         "Template format error: Unrecognized resource types: [AWS::Nope::Nothing]"),
        ({"TemplateBody": "Resources: {A: {Type: AWS::SNS::Topic, Properties: "
                          "{TopicName: !Ref Gone}}}"},
         "Template format error: Unresolved resource dependencies [Gone] in the Resources block of "
         "the template"),
        ({"TemplateBody": "Resources: {A: {Type: AWS::SNS::Topic, DependsOn: B}, "
                          "B: {Type: AWS::SNS::Topic, DependsOn: A}}"},
         "Circular dependency between resources: [A, B]"),
        ({"TemplateBody": "Resources: [unclosed\n"},
         "Template format error: YAML not well-formed. (line 2, column 1)"),
        ({"TemplateBody": TEMPLATE.replace("AWS::Logs::LogGroup", "AWS::SQS::Queue")},
         "Update of resource type is not permitted. The new template modifies resource type of the "
         "following resources: [Log]"),
        ({"TemplateBody": TEMPLATE + "#" * 51_200},
         "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
         "Member must have length less than or equal to 51200"),
    ],
)  # fmt: skip
def test_what_aws_refuses_is_refused_and_leaves_nothing(account, refused, sent, message):
    account.create(TEMPLATE)
    args = {"StackName": "baseline", "ChangeSetName": "bad", "TemplateBody": TEMPLATE} | sent
    assert refused(account.cfn.create_change_set, **args) == ("ValidationError", message)
    assert account.cfn.list_change_sets(StackName="baseline")["Summaries"] == []


def test_a_change_set_for_no_stack_is_refused(account, refused):
    args = {"StackName": "nowhere", "ChangeSetName": "bad", "TemplateBody": TEMPLATE}
    answer = refused(account.cfn.create_change_set, **args)
    assert answer == ("ValidationError", "Stack [nowhere] does not exist")


def test_iam_resources_need_an_acknowledgement(account, refused):
    template = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: {RoleName: named, AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}}
"""
    args = {"StackName": "roles", "ChangeSetName": "a", "ChangeSetType": "CREATE"}
    create = account.cfn.create_change_set
    assert refused(create, TemplateBody=template, **args) == (
        "InsufficientCapabilitiesException",
        "Requires capabilities : [CAPABILITY_NAMED_IAM]",
    )
    create(TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"], **args)


def test_a_template_may_come_from_a_bucket(account):
    s3 = account.client("s3")
    s3.create_bucket(
        Bucket=f"templates-{account.id}",
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
    )
    body = TEMPLATE + "#" * 60_000
    s3.put_object(Bucket=f"templates-{account.id}", Key="a/b.yaml", Body=body.encode())
    url = f"https://templates-{account.id}.s3.eu-central-1.amazonaws.com/a/b.yaml"
    made = account.cfn.create_change_set(
        StackName="baseline", ChangeSetName="a", ChangeSetType="CREATE", TemplateURL=url
    )
    assert account.evaluated(made["Id"])["Status"] == "CREATE_COMPLETE"
    assert account.cfn.get_template(ChangeSetName=made["Id"])["TemplateBody"] == body
