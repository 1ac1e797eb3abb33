"""Nested stacks: their life within their parent's, and their change sets."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.conftest import eventually
from tests.unit.sandbox.looks import actions, resource_changes, statuses

CHILD = """
Parameters: {Level: {Type: String}}
Resources:
  P: {Type: AWS::SSM::Parameter, Properties: {Name: /child, Type: String, Value: !Ref Level}}
Outputs: {Name: {Value: !Ref P}}
"""
QUEUE = "\n  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: q}}"
PARENT = """
Parameters: {{Level: {{Type: String, Default: low}}}}
Resources:
  Child:
    Type: AWS::CloudFormation::Stack
    Properties: {{TemplateURL: {url}, Parameters: {{Level: !Ref Level}}}}
  Own:
    Type: AWS::SSM::Parameter
    Properties: {{Name: /own, Type: String, Value: !GetAtt Child.Outputs.Name}}
"""
WITH_QUEUE = CHILD.replace("\nOutputs", QUEUE + "\nOutputs")
OWN_QUEUE = "  Last: {Type: AWS::SQS::Queue, DependsOn: Child, Properties: {QueueName: last}}\n"


class Nest:
    """A bucket of an account with the child's template, and the parent's template."""

    def __init__(self, account):
        self.account = account
        self.bucket = f"templates-{account.id}"
        self.s3 = account.client("s3")
        where = {"LocationConstraint": "eu-central-1"}
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration=where)
        self.parent = PARENT.format(url=self.put(CHILD))

    def put(self, text, key="child.yaml"):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode())
        return f"https://{self.bucket}.s3.eu-central-1.amazonaws.com/{key}"

    @property
    def child(self):
        found = self.account.cfn.describe_stack_resource(
            StackName="baseline", LogicalResourceId="Child"
        )["StackResourceDetail"]
        return self.account.stack(found["PhysicalResourceId"])


@pytest.fixture
def nest(account):
    return Nest(account)


def test_a_nested_stack_is_a_stack_of_its_own_with_events_of_its_own(account, nest):
    assert account.create(nest.parent) == "CREATE_COMPLETE"
    child, parent = nest.child, account.stack()
    assert child["StackName"].startswith("baseline-Child-")
    assert child["ParentId"] == child["RootId"] == parent["StackId"]
    assert (account.parameter("/child"), account.parameter("/own")) == ("low", "/child")
    assert statuses(account, child["StackId"], of="P") == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    assert statuses(account, "baseline", of="Child") == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    account.cfn.delete_stack(StackName="baseline")
    assert account.settled(parent["StackId"]) == "DELETE_COMPLETE"
    assert account.stack(child["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    assert account.parameter("/child") is None


def test_a_nested_stack_is_always_modified_and_follows_its_template(account, nest):
    account.create(nest.parent)
    change = account.change_set()
    assert actions(change) == [("Modify", "Child", "False"), ("Modify", "Own", "False")]
    assert resource_changes(change)[0]["Details"] == [
        {
            "Target": {"Attribute": "Properties", "RequiresRecreation": "Never"},
            "Evaluation": "Dynamic",
            "ChangeSource": "Automatic",
        }
    ]
    nest.put(WITH_QUEUE)
    assert account.execute(change) == "UPDATE_COMPLETE"
    assert nest.child["StackStatus"] == "UPDATE_COMPLETE"
    assert len(account.client("sqs").list_queues()["QueueUrls"]) == 1


def test_with_nested_stacks_a_change_set_looks_into_them(account, nest):
    account.create(nest.parent)
    same = account.change_set(name="same", IncludeNestedStacks=True)
    assert (same["Status"], "didn't contain changes" in same["StatusReason"]) == ("FAILED", True)
    change = account.change_set(parameters={"Level": "high"}, IncludeNestedStacks=True)
    (shown,) = [c for c in resource_changes(change) if c["LogicalResourceId"] == "Child"]
    inner = account.evaluated(shown["ChangeSetId"])
    assert actions(inner) == [("Modify", "P", "False")]
    assert (inner["ParentChangeSetId"], inner["RootChangeSetId"]) == (change["ChangeSetId"],) * 2
    child = nest.child["StackName"]
    assert account.execute(change) == "UPDATE_COMPLETE"
    assert account.parameter("/child") == "high"
    assert account.cfn.list_change_sets(StackName=child)["Summaries"] == []


def test_deleting_a_change_set_deletes_those_of_nested_stacks(account, nest):
    account.create(nest.parent)
    change = account.change_set(parameters={"Level": "high"}, IncludeNestedStacks=True)
    child = nest.child["StackName"]
    assert len(account.cfn.list_change_sets(StackName=child)["Summaries"]) == 1
    account.cfn.delete_change_set(ChangeSetName=change["ChangeSetId"])
    gone(account, change)
    assert account.cfn.list_change_sets(StackName=child)["Summaries"] == []


def gone(account, change):
    """Wait until a hierarchy of change sets is deleted."""

    def left():
        found = account.cfn.list_change_sets(StackName=change["StackId"])["Summaries"]
        assert [each["Status"] for each in found] in ([], ["DELETE_PENDING"])
        return not found

    eventually(left)


def test_a_nested_stack_that_is_yet_to_be_created_is_reviewed_and_goes_with_its_change_set(
    account, nest
):
    change = account.change_set(
        nest.parent, name="new", ChangeSetType="CREATE", IncludeNestedStacks=True
    )
    (shown,) = [c for c in resource_changes(change) if c["LogicalResourceId"] == "Child"]
    inner = account.evaluated(shown["ChangeSetId"])
    assert actions(inner) == [("Add", "P")]
    assert account.stack(inner["StackId"])["StackStatus"] == "REVIEW_IN_PROGRESS"
    account.cfn.delete_change_set(ChangeSetName=change["ChangeSetId"])
    gone(account, change)
    assert account.stack(inner["StackId"])["StackStatus"] == "DELETE_COMPLETE"


def test_a_change_set_fails_with_that_of_a_nested_stack(account, nest):
    account.create(nest.parent)
    role = "\n  R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}\nOutputs"
    nest.put(CHILD.replace("\nOutputs", role))
    change = account.change_set(IncludeNestedStacks=True)
    (inner,) = account.cfn.list_change_sets(StackName=nest.child["StackName"])["Summaries"]
    said = "Requires capabilities : [CAPABILITY_IAM]"
    assert (inner["Status"], inner["StatusReason"]) == ("FAILED", said)
    assert (change["Status"], change["StatusReason"]) == (
        "FAILED",
        f"Nested change set {inner['ChangeSetId']} was not successfully created: "
        "Currently in FAILED.",
    )


def test_a_failure_within_a_nested_stack_rolls_the_parent_back(account, nest):
    account.create(nest.parent)
    nest.put(WITH_QUEUE)
    account.aws.deny(account=account.id, resource_type="AWS::SQS::Queue")
    change = account.change_set(parameters={"Level": "high"})
    assert account.execute(change) == "UPDATE_ROLLBACK_COMPLETE"
    assert nest.child["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert account.parameter("/child") == "low"
    events = account.cfn.describe_stack_events(StackName="baseline")["StackEvents"]
    (failed,) = [e for e in events if e["ResourceStatus"] == "UPDATE_FAILED"]
    assert failed["ResourceStatusReason"] == (
        f"Embedded stack {nest.child['StackId']} was not successfully updated. Currently in "
        "UPDATE_ROLLBACK_IN_PROGRESS with reason: The following resource(s) failed to create: "
        "[Q]. "
    )


def test_a_failure_beside_a_nested_stack_takes_it_back_with_what_it_had_dropped(account, nest):
    nest.put(WITH_QUEUE)
    account.create(nest.parent)
    nest.put(CHILD)
    account.aws.deny(account=account.id, resource_type="AWS::SQS::Queue", logical_id="Last")
    change = account.change_set(nest.parent + OWN_QUEUE, parameters={"Level": "high"})
    assert account.execute(change) == "UPDATE_ROLLBACK_COMPLETE"
    assert nest.child["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert account.parameter("/child") == "low"
    assert len(account.client("sqs").list_queues()["QueueUrls"]) == 1


@pytest.mark.parametrize("where", ["within", "beside"])
def test_a_nested_stack_that_cannot_be_rolled_back_sticks_with_its_parent(account, nest, where):
    account.create(nest.parent)
    template = nest.parent
    if where == "within":
        nest.put(WITH_QUEUE.replace("QueueName: q}", "QueueName: q}, DependsOn: P"))
    else:
        template += OWN_QUEUE
    account.aws.deny(account=account.id, resource_type="AWS::SQS::Queue")
    resist = {"account": account.id, "resource_type": "AWS::SSM::Parameter", "logical_id": "P"}
    denial = account.aws.deny(**resist, actions=["rollback"])
    change = account.change_set(template, parameters={"Level": "high"})
    assert account.execute(change) == "UPDATE_ROLLBACK_FAILED"
    assert nest.child["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    account.aws.clear_denials(denial)
    account.cfn.continue_update_rollback(StackName="baseline")
    assert account.settled() == "UPDATE_ROLLBACK_COMPLETE"
    assert nest.child["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert account.parameter("/child") == "low"


def test_a_nested_stack_that_cannot_be_created_is_deleted_with_its_parent(account, nest):
    nest.put(WITH_QUEUE)
    account.aws.deny(account=account.id, resource_type="AWS::SQS::Queue")
    assert account.create(nest.parent) == "ROLLBACK_COMPLETE"
    assert account.parameter("/child") is None
    gone = account.cfn.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]
    assert [s["StackName"].rpartition("-")[0] for s in gone] == ["baseline-Child"]


def test_a_nested_template_needs_the_parents_capabilities(account, nest):
    role = "\n  R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}\nOutputs"
    nest.put(CHILD.replace("\nOutputs", role))
    assert account.create(nest.parent) == "ROLLBACK_COMPLETE"
    events = account.cfn.describe_stack_events(StackName="baseline")["StackEvents"]
    (failed,) = [e for e in events if e["ResourceStatus"] == "CREATE_FAILED"]
    assert failed["ResourceStatusReason"] == "Requires capabilities : [CAPABILITY_IAM]"


def test_a_nested_template_that_is_not_there_fails_the_parent(account, nest):
    missing = PARENT.format(url=nest.put(CHILD).replace("child.yaml", "none.yaml"))
    assert account.create(missing) == "ROLLBACK_COMPLETE"
    events = account.cfn.describe_stack_events(StackName="baseline")["StackEvents"]
    (failed,) = [e for e in events if e["ResourceStatus"] == "CREATE_FAILED"]
    assert failed["ResourceStatusReason"].startswith("S3 error: ")
