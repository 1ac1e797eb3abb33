"""What AWS puts in the way: policies, service roles, permissions, regions, trust."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.unit.sandbox.looks import events
from tests.unit.sandbox.templates import STACK as TEMPLATE
from tests.unit.sandbox.templates import STACK_WITH_QUEUE as WITH_QUEUE

ALLOW = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}


def reasons(account, status="UPDATE_FAILED"):
    return [e["ResourceStatusReason"] for e in events(account) if e["ResourceStatus"] == status]


def test_a_stack_policy_refuses_in_awss_words(account):
    deny = {"Effect": "Deny", "Action": "Update:Replace", "Principal": "*", "Resource": "*"}
    account.create(TEMPLATE, StackPolicyBody=json.dumps({"Statement": [ALLOW, deny]}))
    renamed = account.change_set(TEMPLATE.replace("/baseline/metadata", "/other"))
    assert account.execute(renamed) == "UPDATE_ROLLBACK_COMPLETE"
    assert reasons(account) == [
        "Action denied by stack policy: Statement [#2] does not allow [Update:Replace] for "
        "resource [LogicalResourceId/Metadata]"
    ]


def test_a_stack_policy_may_be_about_a_type(account):
    condition = {"StringEquals": {"ResourceType": ["AWS::Logs::LogGroup"]}}
    deny = {**ALLOW, "Effect": "Deny", "Condition": condition}
    account.create(TEMPLATE, StackPolicyBody=json.dumps({"Statement": [ALLOW, deny]}))
    assert account.execute(account.change_set(parameters={"Days": "9"})) == (
        "UPDATE_ROLLBACK_COMPLETE"
    )
    assert "LogicalResourceId/Log]" in reasons(account)[0]


def test_a_service_role_has_to_be_passed_and_sticks(account, refused):
    role = f"arn:aws:iam::{account.id}:role/service"
    account.create(TEMPLATE, RoleARN=role)
    account.aws.ban("iam:PassRole", account=account.id)
    args = {"StackName": "baseline", "UsePreviousTemplate": True, "RoleARN": role}
    try:
        assert refused(account.cfn.update_stack, **args) == (
            "AccessDenied",
            f"User: arn:aws:sts::{account.id}:assumed-role/sandbox-operator/sandbox-client is not "
            f"authorized to perform: iam:PassRole on resource: {role}",
        )
        without = account.change_set(parameters={"Days": "9"})
    finally:
        account.aws.clear_bans()
    assert account.execute(without) == "UPDATE_COMPLETE"
    assert account.stack()["RoleARN"] == role


def test_a_service_role_that_is_absent_cannot_be_assumed(account, refused):
    role = f"arn:aws:iam::{account.id}:role/absent"
    account.aws.role(role, absent=True)
    args = {"StackName": "baseline", "TemplateBody": TEMPLATE, "RoleARN": role}
    assert refused(account.cfn.create_stack, **args) == (
        "ValidationError", f"Role {role} is invalid or cannot be assumed",
    )  # fmt: skip


def test_resources_are_handled_with_the_service_roles_rights(account):
    role = f"arn:aws:iam::{account.id}:role/weak"
    account.aws.deny(account=account.id, resource_type="AWS::SQS::Queue", role="role/weak",
                     actions=["create", "delete"])  # fmt: skip
    account.create(WITH_QUEUE)
    account.cfn.delete_stack(StackName="baseline", RoleARN=role)
    assert account.settled() == "DELETE_FAILED"
    account.cfn.delete_stack(StackName="baseline", RetainResources=["Queue"])
    gone = [s["StackId"] for s in account.cfn.list_stacks()["StackSummaries"]]
    assert account.settled(gone[0]) == "DELETE_COMPLETE"


def test_a_creation_that_cannot_be_undone_is_rollback_failed(account):
    account.aws.deny(account=account.id, resource_type="AWS::SQS::Queue")
    account.aws.deny(account=account.id, resource_type="AWS::SSM::Parameter", actions=["delete"])
    assert account.create(WITH_QUEUE) == "ROLLBACK_FAILED"


def test_a_permission_is_taken_away_by_name(account, refused):
    account.aws.ban("cloudformation:describe*", account=account.id, caller="sandbox-operator")
    try:
        code, message = refused(account.cfn.describe_stacks)
    finally:
        account.aws.clear_bans()
    assert (code, "not authorized to perform: cloudformation:DescribeStacks" in message) == (
        "AccessDenied", True,
    )  # fmt: skip
    assert account.cfn.describe_stacks()["Stacks"] == []


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("cloudformation", "InvalidClientTokenId"),
        ("ssm", "UnrecognizedClientException"),
        ("ec2", "AuthFailure"),
    ],
)
def test_a_region_that_is_not_enabled_knows_no_credentials(account, refused, service, code):
    account.aws.disable_region(account.id, "eu-central-1")
    call = {
        "cloudformation": "describe_stacks", "ssm": "describe_parameters", "ec2": "describe_vpcs",
    }[service]  # fmt: skip
    assert refused(getattr(account.client(service), call))[0] == code
    elsewhere = account.aws.client("cloudformation", account.id, region="eu-west-1")
    assert elsewhere.describe_stacks()["Stacks"] == []


def test_identities_end_at_the_border_of_their_partition(account, refused):
    sts = account.aws.management_client("sts", region="cn-north-1")
    args = {"RoleArn": f"arn:aws:iam::{account.id}:role/any", "RoleSessionName": "here"}
    assert refused(sts.assume_role, **args)[0] == "AccessDenied"
    assert ":aws-cn:" in sts.get_caller_identity()["Arn"]


def test_a_role_may_trust_some_principals_only(aws, account, refused):
    role = f"arn:aws:iam::{account.id}:role/inner"
    args = {"RoleArn": role, "RoleSessionName": "here"}
    aws.role(role, trusts=[f"arn:aws:iam::{account.id}:role/sandbox-operator"])
    assert refused(aws.management_client("sts").assume_role, **args)[0] == "AccessDenied"
    account.client("sts").assume_role(**args)


def test_any_error_can_be_injected(account, refused):
    said = {"code": "LimitExceededException", "message": "Too many change sets"}
    cfn = account.cfn
    account.aws.fault("error", account=account.id, region="eu-west-1", **said)
    assert cfn.describe_stacks()["Stacks"] == []
    account.aws.clear_faults()
    account.aws.fault("error", account=account.id, region="eu-central-1", **said)
    assert refused(cfn.describe_stacks) == (said["code"], said["message"])


def test_an_error_may_be_no_xml(account):
    cfn = account.cfn
    account.aws.fault("not_xml", account=account.id)
    with pytest.raises(ClientError) as caught:
        cfn.describe_stacks()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_a_connection_may_be_reset_after_the_effect(account):
    account.aws.fault("reset_after", account=account.id, operation="CreateStack")
    with pytest.raises(ConnectionClosedError):
        account.cfn.create_stack(StackName="baseline", TemplateBody=TEMPLATE)
    assert account.settled() == "CREATE_COMPLETE"


def test_ended_sessions_are_expired_though_their_time_has_not_come(account, refused):
    cfn = account.cfn
    account.aws.expire_sessions(account.id)
    assert refused(cfn.describe_stacks)[0] == "ExpiredToken"
    assert account.cfn.describe_stacks()["Stacks"] == []
