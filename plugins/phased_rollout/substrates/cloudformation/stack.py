"""Snapshots of a stack, its ChangeSets and its operations, as CloudFormation reports them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

_NO_CHANGE = frozenset(
    {
        "The submitted information didn't contain changes. "
        "Submit different information to create a change set.",
        "No updates are to be performed.",
    }
)
_IN_THE_NEST = re.compile(r"Nested change set (arn:\S+)")
NESTED = "AWS::CloudFormation::Stack"
"""The type of a stack that is a resource of another."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as DescribeStacks reports it, without the tags that AWS itself sets.

    :param executed: ARN of the ChangeSet that its latest operation executed, if one did
    :param changed_at: start of that operation
    """

    arn: str
    name: str
    status: str
    reason: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    protected: bool = False
    executed: str = ""
    changed_at: datetime | None = None

    @property
    def is_shell(self) -> bool:
        """Whether a ChangeSet made it and none was executed: nothing is there."""
        return self.status == "REVIEW_IN_PROGRESS"

    @property
    def in_progress(self) -> bool:
        """Whether an operation is under way, clean-up and rollback included."""
        return self.status.endswith("_IN_PROGRESS") and not self.is_shell

    @property
    def words(self) -> str:
        """The status in CloudFormation's own words."""
        return f"{self.status}: {self.reason}" if self.reason else self.status

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> Stack:
        """Read one entry of DescribeStacks' reply."""
        return cls(
            arn=reply["StackId"],
            name=reply["StackName"],
            status=reply["StackStatus"],
            reason=reply.get("StackStatusReason") or "",
            parameters={
                p["ParameterKey"]: p.get("ParameterValue", "") for p in reply.get("Parameters", [])
            },
            tags={
                t["Key"]: t["Value"]
                for t in reply.get("Tags", [])
                if not t["Key"].startswith("aws:")
            },
            capabilities=tuple(reply.get("Capabilities", [])),
            protected=bool(reply.get("EnableTerminationProtection")),
            executed=reply.get("ChangeSetId") or "",
            changed_at=reply.get("LastUpdatedTime") or reply.get("CreationTime"),
        )


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A ChangeSet, addressed by its ARN."""

    arn: str
    name: str
    status: str
    stack_arn: str
    execution: str = ""
    reason: str = ""
    has_nested: bool = False
    created_at: datetime | None = None

    @property
    def pending(self) -> bool:
        """Whether CloudFormation is still working it out, or deleting it."""
        return self.status.endswith(("_PENDING", "_IN_PROGRESS"))

    @property
    def failed_inside(self) -> str | None:
        """ARN of the nested stack's ChangeSet for which this one failed."""
        found = _IN_THE_NEST.match(self.reason) if self.status == "FAILED" else None
        return found[1] if found else None

    @property
    def no_change(self) -> bool:
        """Whether it failed because there is nothing to change: two texts, matched exactly."""
        return self.status == "FAILED" and self.reason.strip() in _NO_CHANGE

    @property
    def started(self) -> bool:
        """Whether it was executed, however that went."""
        return self.execution.startswith("EXECUTE_")

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> ChangeSet:
        """Read DescribeChangeSet's reply or a summary of ListChangeSets."""
        return cls(
            arn=reply["ChangeSetId"],
            name=reply["ChangeSetName"],
            status=reply["Status"],
            execution=reply.get("ExecutionStatus") or "",
            reason=reply.get("StatusReason") or "",
            stack_arn=reply["StackId"],
            created_at=reply.get("CreationTime"),
            has_nested=bool(reply.get("NextToken"))
            or any(
                each.get("ResourceChange", {}).get("ChangeSetId")
                for each in reply.get("Changes", [])
            ),
        )


@dataclass(frozen=True, slots=True)
class Operation:
    """What the events tell about one operation on a stack.

    :param token: the client request token it was started with
    :param status: the stack's latest status in it
    :param failures: what failed, the first cause first
    """

    token: str
    status: str
    failures: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether it ended as it was asked to."""
        return self.status.endswith("_COMPLETE") and "ROLLBACK" not in self.status

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status.endswith("_IN_PROGRESS")
