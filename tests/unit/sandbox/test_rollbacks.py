"""What becomes of stacks when something fails."""

from __future__ import annotations

import json

from tests.unit.sandbox.looks import described, retention, statuses
from tests.unit.sandbox.templates import STACK as TEMPLATE
from tests.unit.sandbox.templates import STACK_WITH_QUEUE as WITH_QUEUE


def test_a_refused_resource_rolls_an_update_back_to_what_was_there(account):
    account.create(TEMPLATE, parameters={"Days": "14"}, tags={"owner": "a"})
    before = described(account)
    account.aws.deny(account=account.id, resource_type="AWS::SQS::Queue", logical_id="Queue")
    change = account.change_set(WITH_QUEUE, parameters={"Days": "30"}, tags={"owner": "b"})
    assert [c["ResourceChange"]["Action"] for c in change["Changes"]] == ["Modify", "Modify", "Add"]
    assert account.execute(change) == "UPDATE_ROLLBACK_COMPLETE"
    assert described(account) == before
    assert (account.parameter("/baseline/metadata"), retention(account)) == ("keep 14", 14)
    assert account.client("sqs").list_queues().get("QueueUrls") is None
    assert account.evaluated(change["ChangeSetId"])["ExecutionStatus"] == "EXECUTE_FAILED"
    assert statuses(account, "baseline")[-4:] == [
        "UPDATE_IN_PROGRESS",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
    ]
    events = account.cfn.describe_stack_events(StackName="baseline")["StackEvents"]
    (failed,) = [e for e in events if e["ResourceStatus"] == "CREATE_FAILED"]
    assert "not authorized to perform: sqs:createqueue" in failed["ResourceStatusReason"]
    assert "explicit deny in a service control policy" in failed["ResourceStatusReason"]
    assert account.execute(account.change_set(parameters={"Days": "8"})) == "UPDATE_COMPLETE"


def test_a_replaced_resource_is_back_after_a_rollback(account):
    account.create(TEMPLATE)
    account.aws.deny(account=account.id, resource_type="AWS::SQS::Queue")
    change = account.change_set(WITH_QUEUE.replace("/baseline/metadata", "/other"))
    assert account.execute(change) == "UPDATE_ROLLBACK_COMPLETE"
    assert account.parameter("/baseline/metadata") == "keep 7"
    assert account.parameter("/other") is None


def test_a_failing_create_is_rolled_back_and_cannot_be_updated(account, refused):
    account.aws.deny(account=account.id, resource_type="AWS::SQS::Queue")
    assert account.create(WITH_QUEUE) == "ROLLBACK_COMPLETE"
    assert account.parameter("/baseline/metadata") is None
    stack = account.stack()["StackId"]
    assert statuses(account, stack) == [
        "CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE",
    ]  # fmt: skip
    args = {"StackName": "baseline", "ChangeSetName": "again", "TemplateBody": TEMPLATE}
    assert refused(account.cfn.create_change_set, **args) == (
        "ValidationError",
        f"Stack:{stack} is in ROLLBACK_COMPLETE state and can not be updated.",
    )


def test_a_create_change_set_may_delete_the_stack_that_fails(account):
    account.aws.deny(account=account.id, resource_type="AWS::SQS::Queue")
    change = account.change_set(WITH_QUEUE, ChangeSetType="CREATE", OnStackFailure="DELETE")
    assert account.execute(change) == "DELETE_COMPLETE"
    assert account.parameter("/baseline/metadata") is None


def test_a_rollback_that_fails_can_be_continued_without_the_resource(account):
    template = WITH_QUEUE.replace("QueueName: audit", "QueueName: audit, DelaySeconds: !Ref Days")
    account.create(template)
    last = "  Last: {Type: AWS::SNS::Topic, DependsOn: Queue}\n"
    account.aws.deny(account=account.id, resource_type="AWS::SNS::Topic")
    account.aws.deny(account=account.id, resource_type="AWS::SQS::Queue", actions=["rollback"])
    change = account.change_set(template.replace("Outputs:", last + "Outputs:"),
                                parameters={"Days": "8"})  # fmt: skip
    assert account.execute(change) == "UPDATE_ROLLBACK_FAILED"
    account.cfn.continue_update_rollback(StackName="baseline", ResourcesToSkip=["Queue"])
    assert account.settled() == "UPDATE_ROLLBACK_COMPLETE"
    assert retention(account) == 7


def test_an_update_may_be_told_not_to_roll_back(account):
    account.create(TEMPLATE)
    account.aws.deny(account=account.id, resource_type="AWS::SQS::Queue")
    change = account.change_set(WITH_QUEUE, parameters={"Days": "30"})
    assert account.execute(change, DisableRollback=True) == "UPDATE_FAILED"
    assert retention(account) == 30


def test_a_stack_policy_refuses_a_replacement(account):
    statement = {"Effect": "Deny", "Action": "Update:Replace", "Principal": "*"}
    allow = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}
    deny = statement | {"Resource": "LogicalResourceId/Metadata"}
    account.create(TEMPLATE, StackPolicyBody=json.dumps({"Statement": [allow, deny]}))
    assert account.execute(account.change_set(parameters={"Days": "9"})) == "UPDATE_COMPLETE"
    renamed = account.change_set(TEMPLATE.replace("/baseline/metadata", "/other"))
    assert account.execute(renamed) == "UPDATE_ROLLBACK_COMPLETE"
    assert account.parameter("/baseline/metadata") == "keep 9"


def test_a_stack_policy_refuses_a_removal(account):
    allow = {"Effect": "Allow", "Action": "Update:Modify", "Principal": "*", "Resource": "*"}
    account.create(WITH_QUEUE, StackPolicyBody=json.dumps({"Statement": [allow]}))
    assert account.execute(account.change_set(TEMPLATE)) == "UPDATE_ROLLBACK_COMPLETE"
    assert len(account.client("sqs").list_queues()["QueueUrls"]) == 1


def test_a_named_resource_cannot_be_replaced_under_its_name(account):
    topic = "Resources: {T: {Type: AWS::SNS::Topic, Properties: {TopicName: t}}}"
    account.create(topic)
    change = account.change_set(topic.replace("TopicName: t", "TopicName: t, FifoTopic: true"))
    assert account.execute(change) == "UPDATE_ROLLBACK_COMPLETE"
    events = account.cfn.describe_stack_events(StackName="baseline")["StackEvents"]
    (failed,) = [e for e in events if e["ResourceStatus"] == "UPDATE_FAILED"]
    assert "custom-named resource requires replacing. Rename t " in failed["ResourceStatusReason"]


def test_an_impossible_output_fails_the_stack(account):
    template = "Resources: {T: {Type: AWS::SNS::Topic}}\nOutputs: {O: {Value: !GetAtt T.Nope}}"
    assert account.create(template) == "ROLLBACK_COMPLETE"
