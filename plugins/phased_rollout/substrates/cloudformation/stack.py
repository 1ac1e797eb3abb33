"""Snapshots of a stack, its ChangeSets and its operations, as CloudFormation reports them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_NO_CHANGE = frozenset(
    {
        "The submitted information didn't contain changes. "
        "Submit different information to create a change set.",
        "No updates are to be performed.",
    }
)
_REASONS = 5


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as DescribeStacks reports it, without the tags that AWS itself sets."""

    arn: str
    name: str
    status: str
    reason: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    protected: bool = False

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

    @property
    def pending(self) -> bool:
        """Whether CloudFormation is still working it out."""
        return self.status in ("CREATE_PENDING", "CREATE_IN_PROGRESS")

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

    @classmethod
    def of(cls, events: Sequence[Mapping[str, Any]], stack_arn: str) -> Operation | None:
        """Sum up one operation's events, given newest first; None when the stack's own are missing.

        Resources that were only cancelled because another one failed are no cause.
        """
        own = [event for event in events if event.get("PhysicalResourceId") == stack_arn]
        if not own:
            return None
        causes = [
            f"{event['LogicalResourceId']} ({event.get('ResourceType', '')}): {_reason(event)}"
            for event in reversed(events)
            if event["ResourceStatus"].endswith("_FAILED")
            and event.get("PhysicalResourceId") != stack_arn
            and "cancelled" not in _reason(event).lower()
        ] or [_reason(event) for event in reversed(own) if _is_bad(event)]
        more = len(causes) - _REASONS
        return cls(
            token=own[0].get("ClientRequestToken") or "",
            status=own[0]["ResourceStatus"],
            failures=(*causes[:_REASONS], *([f"and {more} more"] if more > 0 else [])),
        )


def _reason(event: Mapping[str, Any]) -> str:
    return str(event.get("ResourceStatusReason") or event["ResourceStatus"])


def _is_bad(event: Mapping[str, Any]) -> bool:
    status = event["ResourceStatus"]
    return bool(event.get("ResourceStatusReason")) and ("ROLLBACK" in status or "FAILED" in status)
