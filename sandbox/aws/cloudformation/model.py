"""Stacks, change sets and their parts, as CloudFormation keeps them."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.partitions import partition_of

Json = dict[str, Any]

MASK = "****"
STACK_TYPE = "AWS::CloudFormation::Stack"


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A stack parameter: ``value`` as submitted, ``resolved`` what ``Ref`` yields."""

    key: str
    value: str
    resolved: Any
    no_echo: bool = False
    from_ssm: bool = False

    def shown(self) -> Json:
        value = MASK if self.no_echo else self.value
        shown = {"ParameterKey": self.key, "ParameterValue": value}
        if self.from_ssm:
            shown["ResolvedValue"] = MASK if self.no_echo else self.text
        return shown

    @property
    def text(self) -> str:
        if isinstance(self.resolved, list):
            return ",".join(str(item) for item in self.resolved)
        return str(self.resolved)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A resource as the template wants it; references to other resources are still symbols."""

    type: str
    properties: Mapping[str, Any]
    tags: Mapping[str, Any]
    attributes: Mapping[str, Any]  # DeletionPolicy, UpdateReplacePolicy, Metadata, ...
    needs: frozenset[str]
    raw: Mapping[str, Any]

    def policy(self, name: str) -> str:
        return str(self.attributes.get(name, "Delete"))


@dataclass(frozen=True, slots=True)
class Desired:
    """What a stack shall be: the submitted text and all that follows from it."""

    text: str
    template: Mapping[str, Any]
    parameters: Mapping[str, Parameter]
    tags: Mapping[str, str]
    resources: Mapping[str, Wanted]  # in order of creation
    outputs: Mapping[str, Json]
    capabilities: tuple[str, ...] = ()
    role_arn: str | None = None
    notification_arns: tuple[str, ...] = ()


@dataclass(slots=True)
class Resource:
    """A physical resource; ``handle`` is moto's object."""

    logical_id: str
    type: str
    physical_id: str
    properties: Json
    tags: dict[str, Any]
    handle: Any
    status: str
    reason: str | None = None
    timestamp: dt.datetime = field(default_factory=now)


@dataclass(slots=True)
class ChangeSet:
    """A change set; ``desired`` is what executing it makes of the stack."""

    name: str
    arn: str
    type: str
    desired: Desired
    submitted: Json
    description: str | None
    token: str | None
    created: dt.datetime = field(default_factory=now)
    status: str = "CREATE_PENDING"
    execution_status: str = "UNAVAILABLE"
    reason: str | None = None
    changes: list[Json] = field(default_factory=list)
    on_failure: str | None = None
    nested: bool = False  # whether it looks into nested stacks
    parent: ChangeSet | None = None


@dataclass(slots=True)
class Stack:
    """A stack with everything that describes it."""

    name: str
    arn: str
    status: str
    created: dt.datetime = field(default_factory=now)
    reason: str | None = None
    updated: dt.datetime | None = None
    deleted: dt.datetime | None = None
    desired: Desired | None = None
    previous: Desired | None = None  # what a rollback of the running operation returns to
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)  # oldest first
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    executed: ChangeSet | None = None
    protected: bool = False
    disable_rollback: bool = False
    policy: str | None = None
    token: str | None = None  # of the running operation
    parent: Stack | None = None  # of a nested stack

    @property
    def root(self) -> Stack:
        return self.parent.root if self.parent else self

    @property
    def busy(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    def enter(self, status: str, *, reason: str | None = None) -> None:
        """Move the stack to a status and record the event."""
        self.status, self.reason = status, reason
        self.record(logical_id=self.name, physical_id=self.arn, kind=STACK_TYPE, status=status,
                    reason=reason)  # fmt: skip

    def record(
        self,
        *,
        logical_id: str,
        physical_id: str | None,
        kind: str,
        status: str,
        reason: str | None = None,
        properties: str | None = None,
    ) -> None:
        """Append a stack event, with the token of the running operation."""
        self.events.append({
            "StackId": self.arn,
            "EventId": str(uuid.uuid4()) if kind == STACK_TYPE else f"{logical_id}-{uuid.uuid4()}",
            "StackName": self.name,
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": physical_id or "",
            "ResourceType": kind,
            "Timestamp": now(),
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
            "ResourceProperties": properties,
            "ClientRequestToken": self.token,
        })  # fmt: skip


@dataclass(slots=True)
class Region:
    """CloudFormation in one region of one account; hold ``lock`` while using the rest."""

    account: str
    name: str
    lock: threading.RLock = field(default_factory=threading.RLock)
    stacks: dict[str, Stack] = field(default_factory=dict)  # by name; live ones only
    archive: dict[str, Stack] = field(default_factory=dict)  # by ARN; all of them

    def exports(self) -> dict[str, str]:
        """Exported output values by export name."""
        outputs = [output for stack in self.stacks.values() for output in stack.outputs]
        return {o["ExportName"]: o["OutputValue"] for o in outputs if o.get("ExportName")}

    def arn(self, kind: str) -> str:
        """A new ARN, of a kind such as ``stack/name``."""
        partition = partition_of(self.name)
        return f"arn:{partition}:cloudformation:{self.name}:{self.account}:{kind}/{uuid.uuid4()}"

    def add(self, name: str, status: str) -> Stack:
        arn = self.arn(f"stack/{name}")
        stack = Stack(name, arn, status)
        self.stacks[name] = self.archive[arn] = stack
        return stack

    def remove(self, stack: Stack) -> None:
        """A deleted stack is known by its ARN only."""
        stack.deleted = now()
        stack.change_sets.clear()
        if self.stacks.get(stack.name) is stack:
            del self.stacks[stack.name]
