"""Shows stacks, change sets and resources in the shapes of the API."""

from __future__ import annotations

from sandbox.aws.cloudformation.model import ChangeSet, Desired, Json, Resource, Stack
from sandbox.aws.cloudformation.nested_sets import family

_DRIFT = {"StackDriftStatus": "NOT_CHECKED"}
_RESOURCE_DRIFT = {"StackResourceDriftStatus": "NOT_CHECKED"}
_VALUES = frozenset({"Path", "BeforeValue", "AfterValue", "AttributeChangeType"})


def stack_view(stack: Stack) -> Json:
    """A member of ``DescribeStacks``."""
    desired = stack.desired
    return {
        "StackId": stack.arn,
        "StackName": stack.name,
        "ChangeSetId": stack.executed.arn if stack.executed else None,
        "Description": _description(desired),
        "Parameters": _parameters(desired),
        "CreationTime": stack.created,
        "DeletionTime": stack.deleted,
        "LastUpdatedTime": stack.updated,
        "RollbackConfiguration": {},
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "DisableRollback": stack.disable_rollback,
        "NotificationARNs": list(desired.notification_arns) if desired else [],
        "Capabilities": list(desired.capabilities) if desired else [],
        "Outputs": stack.outputs,
        "RoleARN": desired.role_arn if desired else None,
        "ParentId": stack.parent.arn if stack.parent else None,
        "RootId": stack.root.arn if stack.parent else None,
        "Tags": _tags(desired),
        "EnableTerminationProtection": stack.protected,
        "DriftInformation": _DRIFT,
    }


def stack_summary(stack: Stack) -> Json:
    """A member of ``ListStacks``."""
    return {
        "StackId": stack.arn,
        "StackName": stack.name,
        "TemplateDescription": _description(stack.desired),
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "DriftInformation": _DRIFT,
    }


def change_set_summary(change_set: ChangeSet, *, stack: Stack) -> Json:
    """A member of ``ListChangeSets``."""
    return {
        "StackId": stack.arn,
        "StackName": stack.name,
        "ChangeSetId": change_set.arn,
        "ChangeSetName": change_set.name,
        "ExecutionStatus": change_set.execution_status,
        "Status": change_set.status,
        "StatusReason": change_set.reason,
        "CreationTime": change_set.created,
        "Description": change_set.description,
    } | family(change_set)


def change_set_view(change_set: ChangeSet, *, stack: Stack, changes: list[Json]) -> Json:
    """``DescribeChangeSet`` with one page of changes."""
    desired = change_set.desired
    return change_set_summary(change_set, stack=stack) | {
        "Parameters": _parameters(desired),
        "NotificationARNs": list(desired.notification_arns),
        "RollbackConfiguration": {},
        "Capabilities": list(desired.capabilities),
        "Tags": _tags(desired),
        "Changes": changes,
        "OnStackFailure": change_set.on_failure,
    }


def without_values(change: Json) -> Json:
    """A change without the property values, which only ``IncludePropertyValues`` shows."""
    shown = dict(change["ResourceChange"])
    shown["Details"] = [
        detail | {"Target": {k: v for k, v in detail["Target"].items() if k not in _VALUES}}
        for detail in shown["Details"]
    ]
    return {**change, "ResourceChange": shown}


def resource_summary(resource: Resource) -> Json:
    """A member of ``ListStackResources``."""
    return {
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.type,
        "LastUpdatedTimestamp": resource.timestamp,
        "ResourceStatus": resource.status,
        "ResourceStatusReason": resource.reason,
        "DriftInformation": _RESOURCE_DRIFT,
    }


def resource_view(resource: Resource, *, stack: Stack) -> Json:
    """A member of ``DescribeStackResources``."""
    summary = resource_summary(resource)
    stamp = {"Timestamp": summary.pop("LastUpdatedTimestamp")}
    return {"StackName": stack.name, "StackId": stack.arn, **summary, **stamp}


def resource_detail(resource: Resource, *, stack: Stack) -> Json:
    """``DescribeStackResource``."""
    return {"StackName": stack.name, "StackId": stack.arn, **resource_summary(resource)}


def _description(desired: Desired | None) -> str | None:
    return desired.template.get("Description") if desired else None


def _parameters(desired: Desired | None) -> list[Json]:
    return [p.shown() for p in desired.parameters.values()] if desired else []


def _tags(desired: Desired | None) -> list[Json]:
    tags = desired.tags if desired else {}
    return [{"Key": key, "Value": value} for key, value in tags.items()]
