"""What becomes of stacks: creation, update, deletion, guards."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from tests.unit.sandbox.looks import described, retention, statuses
from tests.unit.sandbox.templates import STACK as TEMPLATE


def test_a_created_stack_reports_what_was_submitted(account):
    assert account.create(TEMPLATE, tags={"owner": "a"}) == "CREATE_COMPLETE"
    assert described(account) == (
        TEMPLATE,
        [
            {"ParameterKey": "Days", "ParameterValue": "7"},
            {"ParameterKey": "Secret", "ParameterValue": "****"},
        ],
        [{"Key": "owner", "Value": "a"}],
        [
            {
                "OutputKey": "Where",
                "OutputValue": f"arn:aws:logs:eu-central-1:{account.id}:log-group:/baseline/log",
                "ExportName": "log",
            }
        ],
    )
    assert (account.parameter("/baseline/metadata"), retention(account)) == ("keep 7", 7)


def test_a_json_template_comes_back_unchanged(account):
    text = json.dumps({"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}, indent=3)
    assert account.create(text) == "CREATE_COMPLETE"
    cfn, bodies = account.cfn, []
    cfn.meta.events.register(  # boto3 parses JSON templates: look at the wire
        "before-parse.cloudformation.GetTemplate",
        lambda response_dict, **_: bodies.append(response_dict["body"].decode()),
    )
    cfn.get_template(StackName="baseline")
    assert text in bodies[0].replace("&quot;", '"')


def test_an_update_changes_resources_in_place_and_keeps_previous_values(account):
    account.create(TEMPLATE, parameters={"Days": "14", "Secret": "abc"})
    change = account.change_set(parameters={"Days": "30", "Secret": None})
    assert account.execute(change, ClientRequestToken="token-1") == "UPDATE_COMPLETE"
    assert (account.parameter("/baseline/metadata"), retention(account)) == ("keep 30", 30)
    ssm = account.client("ssm").get_parameter(Name="/baseline/metadata")
    assert ssm["Parameter"]["Version"] == 2
    assert statuses(account, "baseline")[-3:] == [
        "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE",
    ]  # fmt: skip
    events = account.cfn.describe_stack_events(StackName="baseline")["StackEvents"]
    assert [e.get("ClientRequestToken") for e in events[:5]] == ["token-1"] * 5


def test_an_omitted_parameter_falls_back_to_its_default(account):
    account.create(TEMPLATE, parameters={"Days": "14"})
    change = account.change_set(parameters={})
    assert account.execute(change) == "UPDATE_COMPLETE"
    assert retention(account) == 7


def test_omitted_tags_stay_and_an_empty_list_removes_them(account):
    account.create(TEMPLATE, tags={"owner": "a"})
    account.execute(account.change_set(parameters={"Days": "8"}))
    assert account.stack()["Tags"] == [{"Key": "owner", "Value": "a"}]
    account.execute(account.change_set(parameters={"Days": "8"}, tags={}))
    assert account.stack()["Tags"] == []


def test_retained_resources_outlive_removal_and_deletion(account):
    kept = TEMPLATE.replace(
        "    Type: AWS::Logs::LogGroup",
        "    Type: AWS::Logs::LogGroup\n    DeletionPolicy: Retain",
    )
    account.create(kept)
    stack = account.stack()["StackId"]
    account.cfn.delete_stack(StackName="baseline")
    assert account.settled(stack) == "DELETE_COMPLETE"
    assert (account.parameter("/baseline/metadata"), retention(account)) == (None, 7)
    assert statuses(account, stack, of="Log")[-1] == "DELETE_SKIPPED"


def test_a_deleted_stack_is_known_by_its_id_only(account, refused):
    account.create(TEMPLATE)
    stack = account.stack()["StackId"]
    account.cfn.delete_stack(StackName=stack)
    assert account.settled(stack) == "DELETE_COMPLETE"
    assert refused(account.cfn.describe_stacks, StackName="baseline") == (
        "ValidationError",
        "Stack with id baseline does not exist",
    )
    account.cfn.delete_stack(StackName="baseline")  # deleting what is not there is fine
    summaries = account.cfn.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]
    assert [summary["StackId"] for summary in summaries] == [stack]


def test_termination_protection_is_enforced(account, refused):
    account.create(TEMPLATE, EnableTerminationProtection=True)
    assert refused(account.cfn.delete_stack, StackName="baseline") == (
        "ValidationError",
        "Stack [baseline] cannot be deleted while TerminationProtection is enabled",
    )
    account.cfn.update_termination_protection(
        StackName="baseline", EnableTerminationProtection=False
    )
    account.cfn.delete_stack(StackName="baseline")


def test_a_busy_stack_takes_no_other_operation(account, refused):
    account.create(TEMPLATE)
    waiting = account.change_set(parameters={"Days": "8"}, name="waiting")["ChangeSetId"]
    args = {"StackName": "baseline", "UsePreviousTemplate": True}
    days = [{"ParameterKey": "Days", "ParameterValue": "9"}]
    with account.aws.held(account.id):
        account.cfn.update_stack(**args, Parameters=days)
        busy = account.stack()
        created = refused(account.cfn.create_change_set, ChangeSetName="x", **args)
        executed = refused(account.cfn.execute_change_set, ChangeSetName=waiting)
        deleted = refused(account.cfn.delete_stack, StackName="baseline")
    arn = busy["StackId"]
    assert (busy["StackStatus"], created, executed[0], deleted) == (
        "UPDATE_IN_PROGRESS",
        (
            "ValidationError",
            f"Stack:{arn} is in UPDATE_IN_PROGRESS state and can not be updated.",
        ),
        "InvalidChangeSetStatus",
        ("ValidationError", f"Stack [{arn}] cannot be deleted while in status UPDATE_IN_PROGRESS"),
    )
    assert account.settled() == "UPDATE_COMPLETE"


def test_events_come_newest_first_and_in_pages(account):
    account.create(TEMPLATE)
    everything = account.cfn.describe_stack_events(StackName="baseline")["StackEvents"]
    assert everything[0]["ResourceStatus"] == "CREATE_COMPLETE"
    assert everything[-1]["ResourceStatusReason"] == "User Initiated"
    with account.aws.with_settings(page_size=2):
        pages = account.cfn.get_paginator("describe_stack_events").paginate(StackName="baseline")
        paged = [[event["EventId"] for event in page["StackEvents"]] for page in pages]
    assert [len(page) for page in paged] == [2, 2, 2]
    assert [e for page in paged for e in page] == [event["EventId"] for event in everything]


def test_stacks_and_resources_are_listed_in_pages(account):
    for name in ("one", "two", "three"):
        account.cfn.create_stack(
            StackName=name, TemplateBody="Resources: {T: {Type: AWS::SNS::Topic}}"
        )
        account.settled(name)
    with account.aws.with_settings(page_size=2):
        pages = account.cfn.get_paginator("describe_stacks").paginate()
        names = [[stack["StackName"] for stack in page["Stacks"]] for page in pages]
    assert names == [["one", "two"], ["three"]]
    (resource,) = account.cfn.list_stack_resources(StackName="one")["StackResourceSummaries"]
    assert (resource["LogicalResourceId"], resource["ResourceStatus"]) == ("T", "CREATE_COMPLETE")
    (same,) = account.cfn.describe_stack_resources(StackName="one")["StackResources"]
    assert same["PhysicalResourceId"] == resource["PhysicalResourceId"]


def test_exports_are_imported_by_other_stacks(account):
    account.create(TEMPLATE)
    importer = """
Resources:
  P: {Type: AWS::SSM::Parameter, Properties: {Name: /p, Type: String, Value: !ImportValue log}}
"""
    account.cfn.create_stack(StackName="importer", TemplateBody=importer)
    assert account.settled("importer") == "CREATE_COMPLETE"
    arn = f"arn:aws:logs:eu-central-1:{account.id}:log-group:/baseline/log"
    assert account.parameter("/p") == arn


def test_a_parameter_may_come_from_parameter_store(account, refused):
    template = """
Parameters: {Name: {Type: "AWS::SSM::Parameter::Value<String>", Default: /source}}
Resources:
  P:
    Type: AWS::SSM::Parameter
    Properties: {Name: /copy, Type: String, Value: !Sub "${Name} {{resolve:ssm:/source}}"}
"""
    assert refused(account.cfn.create_stack, StackName="baseline", TemplateBody=template) == (
        "ValidationError",
        "Unable to fetch parameters [/source] from parameter store for this account.",
    )
    account.client("ssm").put_parameter(Name="/source", Value="deep", Type="String")
    assert account.create(template) == "CREATE_COMPLETE"
    assert account.parameter("/copy") == "deep deep"
    assert account.stack()["Parameters"] == [
        {"ParameterKey": "Name", "ParameterValue": "/source", "ResolvedValue": "deep"}
    ]


def test_accounts_and_regions_are_isolated_and_work_in_parallel(aws, account):
    accounts = [f"2000000000{number:02}" for number in range(12)]

    def create(number):
        client = aws.client("cloudformation", accounts[number], region="eu-west-1")
        client.create_stack(
            StackName="baseline",
            TemplateBody=TEMPLATE,
            Parameters=[{"ParameterKey": "Days", "ParameterValue": str(number + 1)}],
        )
        client.get_waiter("stack_create_complete").wait(
            StackName="baseline", WaiterConfig={"Delay": 0.05, "MaxAttempts": 200}
        )
        ssm = aws.client("ssm", accounts[number], region="eu-west-1")
        return ssm.get_parameter(Name="/baseline/metadata")["Parameter"]["Value"]

    with ThreadPoolExecutor(max_workers=12) as pool:
        values = list(pool.map(create, range(12)))
    assert values == [f"keep {number + 1}" for number in range(12)]
    elsewhere = aws.client("cloudformation", accounts[0], region="us-east-1")
    assert elsewhere.describe_stacks()["Stacks"] == []
