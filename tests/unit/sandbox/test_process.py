"""The sandbox as a process of its own."""

from __future__ import annotations

import http.client
import json

from sandbox.aws.client import SandboxAws


def test_it_says_where_it_listens_logs_resets_and_stops(tmp_path):
    log = tmp_path / "calls.jsonl"
    with SandboxAws.start(log=log) as aws:
        assert aws.health()["status"] == "ok"
        aws.fault("throttle", service="ec2")
        aws.settings(phase=9, slow={"1": 2})
        attached = SandboxAws(aws.endpoint)
        template = "Resources: {T: {Type: AWS::SNS::Topic}}"
        cfn = attached.client("cloudformation", "400000000001")
        cfn.create_stack(StackName="s", TemplateBody=template)
        attached.reset()
        assert cfn.describe_stacks()["Stacks"] == []
        assert (attached.faults(), attached.settings()) == (
            [],
            {"phase": 0.3, "slow": {}, "held": [], "page_size": 100, "session_seconds": None,
             "command_lag": 0.0},
        )  # fmt: skip
    assert aws.process is not None
    assert aws.process.returncode == 0
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["operation"] for entry in logged] == [
        "AssumeRole", "CreateStack", "DescribeStacks",
    ]  # fmt: skip


def test_it_ends_when_whoever_started_it_is_gone():
    aws = SandboxAws.start()
    assert aws.process is not None
    assert aws.process.stdin is not None
    aws.process.stdin.close()
    assert aws.process.wait(timeout=20) == 0
    aws.stop()


def test_a_call_without_credentials_is_refused(aws):
    connection = http.client.HTTPConnection(aws.endpoint.removeprefix("http://"), timeout=5)
    connection.request("POST", "/", body="Action=GetCallerIdentity&Version=2011-06-15")
    response = connection.getresponse()
    assert (response.status, b"MissingAuthenticationToken" in response.read()) == (403, True)
