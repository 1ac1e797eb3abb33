"""Run Command of the sandbox: hosts, documents, outcomes, pages, and what AWS refuses."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.runcommand.shell import run

REGION = "eu-central-1"

DEPLOY = {
    "schemaVersion": "2.2",
    "parameters": {"Version": {"type": "String"}, "Path": {"type": "String", "default": "/v"}},
    "mainSteps": [
        {
            "action": "aws:runShellScript",
            "name": "deploy",
            "inputs": {"runCommand": ["set -e", "echo {{ Version }} > {{ Path }}"]},
        }
    ],
}


@contextmanager
def refusal(code: str, words: str = "") -> Iterator[None]:
    with pytest.raises(ClientError, match=words or None) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code


@pytest.fixture
def hosts(account: Any):
    """Three hosts of a slice, and one of another."""
    tags = [("i-1", "canary"), ("i-2", "canary"), ("i-3", "canary"), ("i-4", "main")]
    account.aws.hosts(
        *(
            {"id": i, "account": account.id, "region": REGION, "tags": {"slice": s, "fleet": "web"}}
            for i, s in tags
        )
    )
    yield account
    account.aws.clear_outcomes()


def send(account: Any, *lines: str, hosts=("i-1", "i-2", "i-3"), **more):
    sent = account.client("ssm").send_command(
        DocumentName="AWS-RunShellScript",
        InstanceIds=list(hosts),
        Parameters={"commands": list(lines)},
        **more,
    )
    return sent["Command"]["CommandId"]


def ended(account: Any, command: str):
    """The invocations of a command once all have ended, by host."""
    ssm = account.client("ssm")

    def look():
        status = ssm.list_commands(CommandId=command)["Commands"][0]["Status"]
        return status not in ("Pending", "InProgress")

    give_up = time.monotonic() + 10
    while not look():
        assert time.monotonic() < give_up
    found = ssm.list_command_invocations(CommandId=command, Details=True)["CommandInvocations"]
    return {each["InstanceId"]: each for each in found}


def statuses(account: Any, command: str):
    return {host: each["StatusDetails"] for host, each in ended(account, command).items()}


def test_nodes_are_found_by_all_their_tags_and_paged(hosts):
    ssm = hosts.client("ssm")
    tags = [{"Key": "tag:fleet", "Values": ["web"]}, {"Key": "tag:slice", "Values": ["canary"]}]
    pages = ssm.get_paginator("describe_instance_information").paginate(
        Filters=tags, PaginationConfig={"PageSize": 5}
    )
    found = [n["InstanceId"] for page in pages for n in page["InstanceInformationList"]]
    assert found == ["i-1", "i-2", "i-3"]
    with hosts.aws.with_settings(page_size=2):
        first = ssm.describe_instance_information(Filters=tags)
        assert [n["InstanceId"] for n in first["InstanceInformationList"]] == ["i-1", "i-2"]
        rest = ssm.describe_instance_information(Filters=tags, NextToken=first["NextToken"])
    assert [n["PingStatus"] for n in rest["InstanceInformationList"]] == ["Online"]


def test_tags_are_combined_with_no_other_filter(hosts):
    filters = [{"Key": "tag:fleet", "Values": ["web"]}, {"Key": "PingStatus", "Values": ["Online"]}]
    with refusal("InvalidInstanceInformationFilterValue"):
        hosts.client("ssm").describe_instance_information(Filters=filters)


def test_a_command_runs_on_each_host_and_tells_what_it_said(hosts):
    ended(hosts, send(hosts, "echo 1.4 > /version"))
    command = send(hosts, "cat /version", hosts=("i-1", "i-4"))
    found = ended(hosts, command)
    assert found["i-1"]["CommandPlugins"][0]["Output"] == "1.4\n"
    assert found["i-4"]["Status"] == "Failed"
    assert "----------ERROR-------\ncat: /version" in found["i-4"]["CommandPlugins"][0]["Output"]
    one = hosts.client("ssm").get_command_invocation(CommandId=command, InstanceId="i-1")
    assert (one["Status"], one["StandardOutputContent"]) == ("Success", "1.4\n")


def test_after_too_many_errors_the_rest_is_terminated(hosts):
    command = send(hosts, "exit 1", MaxConcurrency="1", MaxErrors="1")
    assert statuses(hosts, command) == {"i-1": "Failed", "i-2": "Failed", "i-3": "Terminated"}


def test_hosts_that_do_not_answer_are_no_errors(hosts):
    aws = hosts.aws
    aws.hosts({"id": "i-1", "account": hosts.id, "region": REGION, "ping": "ConnectionLost"})
    aws.host_outcome("ExecutionTimedOut", account=hosts.id, instance="i-3", output="too slow")
    command = send(hosts, "true", MaxConcurrency="1", MaxErrors="1")
    assert statuses(hosts, command) == {
        "i-1": "DeliveryTimedOut",
        "i-2": "Success",
        "i-3": "ExecutionTimedOut",
    }


def test_a_host_that_is_gone_lets_the_whole_command_be_refused(hosts):
    hosts.aws.lose_host(hosts.id, REGION, "i-2")
    with refusal("InvalidInstanceId", "i-2"):
        send(hosts, "true")
    assert hosts.client("ssm").list_commands()["Commands"] == []


def test_a_command_has_50_hosts_and_100_characters_of_comment_at_most(hosts):
    with refusal("ValidationException"):
        send(hosts, "true", hosts=[f"i-{n}" for n in range(51)])
    with refusal("ValidationException"):
        send(hosts, "true", Comment="x" * 101)


def test_versions_of_a_document_are_run_as_they_were(hosts):
    ssm = hosts.client("ssm")
    ssm.create_document(Name="Deploy", Content=json.dumps(DEPLOY), DocumentType="Command")
    later = json.dumps({**DEPLOY, "description": "later"}).replace("echo", "echo v2")
    ssm.update_document(Name="Deploy", Content=later, DocumentVersion="$LATEST")

    def deploy(**more):
        given = {"Parameters": {"Version": ["1.5"]}, "InstanceIds": ["i-1"], **more}
        return ssm.send_command(DocumentName="Deploy", **given)["Command"]["CommandId"]

    for version, shown in (("1", "1.5\n"), ("2", "v2 1.5\n")):
        ended(hosts, deploy(DocumentVersion=version))
        assert next(h for h in hosts.aws.known_hosts() if h["account"] == hosts.id)["files"] == {
            "/v": shown
        }
    with refusal("InvalidDocumentVersion"):
        deploy(DocumentVersion="3")
    with refusal("InvalidParameters"):
        deploy(Parameters={"Version": ["1"], "Versoin": ["2"]})
    with refusal("InvalidParameters"):
        deploy(Parameters={})


def test_commands_are_listed_newest_first_from_a_moment_on_and_late(hosts):
    ssm = hosts.client("ssm")
    first = send(hosts, "true", Comment="one")
    moment = ssm.list_commands(CommandId=first)["Commands"][0]["RequestedDateTime"].isoformat()
    with hosts.aws.with_settings(command_lag=60.0):
        late = send(hosts, "true", Comment="late")
    second = send(hosts, "true", Comment="two")
    after = [{"key": "InvokedAfter", "value": moment}]
    assert [c["CommandId"] for c in ssm.list_commands(Filters=after)["Commands"]] == [second, first]
    assert ssm.list_commands(CommandId=late)["Commands"] == []
    before = [{"key": "InvokedBefore", "value": moment}]
    assert ssm.list_commands(Filters=before)["Commands"] == []


@pytest.mark.parametrize(
    ("script", "code", "out"),
    [
        ("echo a\necho b", 0, "a\nb\n"),
        ("false\necho on", 0, "on\n"),
        ("set -e\nfalse\necho on", 1, ""),
        ("set -e\ntest -f /no && cat /no\necho on", 0, "on\n"),
        ("set -e\ntest -f /no || cat /no\necho on", 1, ""),
        ("false || echo else && echo then", 0, "else\nthen\n"),
        ("exit 3\necho on", 3, ""),
        ("test -f /there && cat /there || echo none", 0, "x"),
        ("test -z '' && echo empty", 0, "empty\n"),
        ("test a = b; echo $?", 0, "$?\n"),
        ("systemctl restart web", 127, ""),
        ("rm -f /there\ntest -f /there", 1, ""),
    ],
)
def test_the_shell_of_a_host(script: str, code: int, out: str) -> None:
    result = run(script, {"/there": "x"})
    assert (result.code, result.out) == (code, out)
