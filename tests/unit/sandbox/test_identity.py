"""Who may act, and where."""

from __future__ import annotations

import boto3
from botocore.config import Config

from sandbox.aws.identity import MANAGEMENT_ACCOUNT

TEMPLATE = "Resources: {T: {Type: AWS::SNS::Topic}}"


def raw_client(aws, service, *, key, token=None):
    return boto3.client(
        service,
        region_name="eu-central-1",
        endpoint_url=aws.endpoint,
        aws_access_key_id=key,
        aws_secret_access_key="secret",
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_an_assumed_role_acts_in_its_account(account):
    identity = account.client("sts").get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (
        account.id,
        f"arn:aws:sts::{account.id}:assumed-role/sandbox-operator/sandbox-client",
    )


def test_unknown_keys_are_refused_instead_of_acting_somewhere(aws, refused):
    message = "The security token included in the request is invalid."
    sts = raw_client(aws, "sts", key="AKIAUNKNOWNUNKNOWN00")
    assert refused(sts.get_caller_identity) == ("InvalidClientTokenId", message)
    ssm = raw_client(aws, "ssm", key="AKIAUNKNOWNUNKNOWN00")
    assert refused(ssm.describe_parameters) == ("UnrecognizedClientException", message)


def test_a_session_key_needs_its_token(aws, account, refused):
    sts = aws.management_client("sts")
    assumed = sts.assume_role(
        RoleArn=f"arn:aws:iam::{account.id}:role/any", RoleSessionName="here"
    )["Credentials"]
    client = raw_client(aws, "sts", key=assumed["AccessKeyId"], token="stolen")
    code, _ = refused(client.get_caller_identity)
    assert code == "InvalidClientTokenId"


def test_the_management_account_may_not_change_stacks(aws, refused):
    cfn = aws.management_client("cloudformation")
    code, message = refused(cfn.create_stack, StackName="here", TemplateBody=TEMPLATE)
    assert code == "AccessDenied"
    assert message.startswith(f"User: arn:aws:iam::{MANAGEMENT_ACCOUNT}:user/operator is not")
    assert cfn.describe_stacks()["Stacks"] == []


def test_a_role_may_demand_an_external_id_or_not_exist(aws, account, refused):
    sts = aws.management_client("sts")
    role = f"arn:aws:iam::{account.id}:role/guarded"
    args = {"RoleArn": role, "RoleSessionName": "here"}
    aws.role(role, external_id="contract-7")
    assert refused(sts.assume_role, **args) == (
        "AccessDenied",
        f"User: arn:aws:iam::{MANAGEMENT_ACCOUNT}:user/operator is not authorized to perform: "
        f"sts:AssumeRole on resource: {role}",
    )
    sts.assume_role(**args, ExternalId="contract-7")
    aws.role(role, absent=True)
    assert refused(sts.assume_role, **args, ExternalId="contract-7")[0] == "AccessDenied"


def test_a_chained_session_lasts_an_hour_at_most(account, refused):
    sts = account.client("sts")
    args = {"RoleArn": f"arn:aws:iam::{account.id}:role/next", "RoleSessionName": "here"}
    code, message = refused(sts.assume_role, **args, DurationSeconds=7200)
    assert (code, "1 hour session limit" in message) == ("ValidationError", True)
    sts.assume_role(**args, DurationSeconds=3600)


def test_expired_credentials_are_refused(aws, account, refused):
    with aws.with_settings(session_seconds=-1):
        assumed = aws.management_client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{account.id}:role/any", RoleSessionName="here"
        )["Credentials"]
    client = raw_client(
        aws, "cloudformation", key=assumed["AccessKeyId"], token=assumed["SessionToken"]
    )
    assert refused(client.describe_stacks)[0] == "ExpiredToken"
