"""Injected faults, the log of calls, alarms."""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

TEMPLATE = "Resources: {T: {Type: AWS::SNS::Topic}}"


@pytest.mark.parametrize(
    ("kind", "service", "code", "status"),
    [
        ("throttle", "cloudformation", "Throttling", 400),
        ("throttle", "ssm", "ThrottlingException", 400),
        ("throttle", "cloudwatch", "ThrottlingException", 400),
        ("error_500", "cloudformation", "InternalFailure", 500),
        ("error_500", "cloudwatch", "InternalServerError", 500),
        ("error_503", "sts", "ServiceUnavailable", 503),
        ("error_503", "cloudwatch", "ServiceUnavailable", 503),
        ("denied", "cloudformation", "AccessDenied", 403),
        ("denied", "ssm", "AccessDeniedException", 400),
    ],
)
def test_an_injected_error_is_one_of_the_service_and_hits_once(
    account, kind, service, code, status
):
    call = {
        "cloudformation": lambda c: c.describe_stacks(),
        "ssm": lambda c: c.describe_parameters(),
        "cloudwatch": lambda c: c.describe_alarms(),
        "sts": lambda c: c.get_caller_identity(),
    }[service]
    client = account.client(service)
    before = account.aws.calls()[-1]["id"]
    account.aws.fault(kind, account=account.id, service=service)
    with pytest.raises(ClientError) as caught:
        call(client)
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (
        code,
        status,
    )
    call(client)
    logged = account.aws.calls(after=before, account=account.id)
    assert [(c["fault"], c["error"], c["status"]) for c in logged] == [
        (kind, code, status),
        (None, None, 200),
    ]


@pytest.mark.parametrize("kind", ["timeout", "reset", "lost_reply"])
def test_a_broken_connection_gets_no_answer(account, kind):
    cfn = account.cfn
    account.aws.fault(kind, account=account.id, operation="CreateStack", seconds=0.05)
    with pytest.raises(ConnectionClosedError):
        cfn.create_stack(StackName="baseline", TemplateBody=TEMPLATE)
    done = [stack["StackName"] for stack in cfn.describe_stacks()["Stacks"]]
    assert done == (["baseline"] if kind == "lost_reply" else [])
    (call,) = account.aws.calls(account=account.id, operation="CreateStack")
    assert (call["fault"], call["status"]) == (kind, None)


def test_a_lost_acknowledgement_may_also_be_an_error(account, refused):
    cfn = account.cfn
    account.aws.fault("lost_503", account=account.id, operation="CreateStack")
    args = {"StackName": "baseline", "TemplateBody": TEMPLATE}
    assert refused(cfn.create_stack, **args)[0] == "ServiceUnavailable"
    assert refused(cfn.create_stack, **args)[0] == "AlreadyExistsException"


def test_a_slow_call_is_answered_late(account):
    cfn = account.cfn
    account.aws.fault("slow", account=account.id, operation="DescribeStacks", seconds=0.2)
    started = time.monotonic()
    assert cfn.describe_stacks()["Stacks"] == []
    assert time.monotonic() - started >= 0.2


def test_a_fault_skips_and_counts(account, refused):
    cfn = account.cfn
    account.aws.fault("throttle", account=account.id, skip=1, count=2)

    def outcome():
        try:
            cfn.describe_stacks()
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "ok"

    assert [outcome() for _ in range(5)] == ["ok", "Throttling", "Throttling", "ok", "ok"]


def test_a_fault_without_count_lasts_until_it_is_lifted(account, refused):
    fault = account.aws.fault("denied", account=account.id, service="cloudformation", count=None)
    cfn = account.cfn
    assert [refused(cfn.describe_stacks)[0] for _ in range(3)] == ["AccessDenied"] * 3
    account.aws.clear_faults(fault)
    assert cfn.describe_stacks()["Stacks"] == []


def test_a_fault_can_hit_the_way_into_an_account(aws, account, refused):
    aws.fault("denied", account=account.id, service="sts", operation="AssumeRole")
    sts = aws.management_client("sts")
    args = {"RoleArn": f"arn:aws:iam::{account.id}:role/any", "RoleSessionName": "here"}
    assert refused(sts.assume_role, **args)[0] == "AccessDenied"


def test_an_unknown_kind_of_fault_is_refused(aws):
    with pytest.raises(Exception, match="unknown fault 'explode'; use one of throttle"):
        aws.fault("explode")


def test_calls_are_logged_without_secrets(account):
    account.cfn.create_stack(
        StackName="baseline",
        TemplateBody="Parameters: {Secret: {Type: String, NoEcho: true}}\n" + TEMPLATE,
        Parameters=[{"ParameterKey": "Secret", "ParameterValue": "hunter2"}],
        Tags=[{"Key": "owner", "Value": "hunter3"}],
        ClientRequestToken="token-1",
    )
    (call,) = account.aws.calls(account=account.id, service="cloudformation")
    kept = {k: v for k, v in call.items() if k not in ("time", "seconds", "id")}
    assert kept == {
        "account": account.id,
        "region": "eu-central-1",
        "service": "cloudformation",
        "operation": "CreateStack",
        "params": {
            "StackName": "baseline",
            "ClientRequestToken": "token-1",
            "Parameters": ["Secret"],
            "Tags": ["owner"],
        },
        "status": 200,
        "error": None,
        "fault": None,
        "caller": f"arn:aws:sts::{account.id}:assumed-role/sandbox-operator/sandbox-client",
    }
    assert "hunter" not in str(account.aws.calls(account=account.id))


def test_alarms_are_described_in_pages_with_their_tags(account):
    cloudwatch = account.client("cloudwatch")
    for name in ("b", "c", "a"):
        cloudwatch.put_metric_alarm(
            AlarmName=f"baseline-{name}",
            Namespace="N",
            MetricName="M",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            Tags=[{"Key": "rollout", "Value": "watch"}],
        )
    with account.aws.with_settings(page_size=2):
        pages = list(
            cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix="baseline-")
        )
    names = [[alarm["AlarmName"] for alarm in page["MetricAlarms"]] for page in pages]
    assert names == [["baseline-a", "baseline-b"], ["baseline-c"]]
    arn = pages[0]["MetricAlarms"][0]["AlarmArn"]
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [
        {"Key": "rollout", "Value": "watch"}
    ]
