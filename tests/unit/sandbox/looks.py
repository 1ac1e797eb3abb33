"""What tests of the sandbox look at."""

from __future__ import annotations

from typing import Any


def retention(account):
    (group,) = account.client("logs").describe_log_groups()["logGroups"]
    return group["retentionInDays"]


def statuses(account, stack, *, of="baseline"):
    """The statuses of the stack or of one resource, oldest first, each once in a row."""
    events = account.cfn.describe_stack_events(StackName=stack)["StackEvents"]
    return [e["ResourceStatus"] for e in reversed(events) if e["LogicalResourceId"] == of]


def described(account):
    """What a rollback has to bring back."""
    stack = account.stack()
    template = account.cfn.get_template(StackName="baseline")["TemplateBody"]
    return template, stack["Parameters"], stack["Tags"], stack["Outputs"]


def resource_changes(description: dict[str, Any]) -> list[dict[str, Any]]:
    return [change["ResourceChange"] for change in description["Changes"]]


def actions(description: dict[str, Any]) -> list[tuple[str, ...]]:
    keys = ("Action", "LogicalResourceId", "Replacement", "PolicyAction")
    return [tuple(c[k] for k in keys if k in c) for c in resource_changes(description)]


def events(account: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = account.cfn.describe_stack_events(StackName="baseline")[
        "StackEvents"
    ]
    return found
