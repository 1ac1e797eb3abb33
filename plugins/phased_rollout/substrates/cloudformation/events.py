"""What a stack's events tell: which operation was whose, how it ended, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phased_rollout.aws import AccountHook
from phased_rollout.aws_errors import RefusedByAwsError
from phased_rollout.errors import UnreachableError
from phased_rollout.substrates.cloudformation.stack import NESTED, Operation

Event = Mapping[str, Any]

_LOOKED_AT = 300  # to find out whether an operation was ours
_OF_ONE = 5000  # of an operation that was
_OF_NESTED = 1000  # of a nested stack, in an operation that failed
_DEPTH = 5  # of nested stacks that are asked for a cause
_REASONS = 5
_STARTS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")


def operation(hook: AccountHook, stack_arn: str, *, token: str | None) -> Operation | None:
    """Give the operation with that token, or the latest; None when the events tell of none."""
    ours = list(_of_operation(hook, stack_arn, token=token))
    own = [event for event in ours if event.get("PhysicalResourceId") == stack_arn]
    if not own:
        return None
    causes = list(_causes(hook, ours, stack_arn, since=ours[-1].get("Timestamp"), depth=_DEPTH))
    causes = causes or [_reason(event) for event in reversed(own) if _is_bad(event)]
    more = len(causes) - _REASONS
    return Operation(
        token=own[0].get("ClientRequestToken") or "",
        status=own[0]["ResourceStatus"],
        failures=(*causes[:_REASONS], *([f"and {more} more"] if more > 0 else [])),
    )


def created_by(hook: AccountHook, stack_arn: str) -> str:
    """Give the client request token of the operation that created the stack, or nothing."""
    created = ""
    for event in _events(hook, stack_arn):
        if (
            event.get("PhysicalResourceId") == stack_arn
            and event["ResourceStatus"] == "CREATE_IN_PROGRESS"
        ):
            created = event.get("ClientRequestToken") or ""
    return created


def _events(hook: AccountHook, stack_arn: str) -> Iterator[Event]:
    return hook.pages("describe_stack_events", "StackEvents", StackName=stack_arn)


def _of_operation(hook: AccountHook, stack_arn: str, *, token: str | None) -> Iterator[Event]:
    """Give the events of one operation, newest first."""
    found = 0
    for number, event in enumerate(_events(hook, stack_arn)):
        if number >= (_OF_ONE if found else _LOOKED_AT):
            return
        own = event.get("PhysicalResourceId") == stack_arn
        if token is None and own:
            token = event.get("ClientRequestToken") or ""
        if token is not None and (event.get("ClientRequestToken") or "") == token:
            found += 1
            yield event
            if own and event["ResourceStatus"] in _STARTS:
                return


def _causes(
    hook: AccountHook, events: Sequence[Event], stack_arn: str, *, since: Any, depth: int
) -> Iterator[str]:
    """Say what failed, the first cause first; of a nested stack what failed within it.

    Resources that were only cancelled because another one failed are no cause.
    """
    for event in reversed(events):
        arn = event.get("PhysicalResourceId")
        failed = event["ResourceStatus"].endswith("_FAILED") and arn != stack_arn
        if not failed or "cancelled" in _reason(event).lower():
            continue
        name, kind = event["LogicalResourceId"], event.get("ResourceType", "")
        within = []
        if kind == NESTED and arn and depth:
            within = _within(hook, arn, since=since, depth=depth - 1)
        yield from (f"{name}/{cause}" for cause in within)
        if not within:
            yield f"{name} ({kind}): {_reason(event)}"


def _within(hook: AccountHook, stack_arn: str, *, since: Any, depth: int) -> list[str]:
    """Say what failed in a nested stack since its parent's operation began, if it can be asked.

    Not by token or by the latest operation: a nested stack whose creation failed is deleted after.
    """
    found = list[Event]()
    try:
        for number, event in enumerate(_events(hook, stack_arn)):
            if number >= _OF_NESTED or (since and event["Timestamp"] < since):
                break
            found.append(event)
    except (RefusedByAwsError, UnreachableError):  # its parent's words have to do
        return []
    return list(_causes(hook, found, stack_arn, since=since, depth=depth))


def _reason(event: Event) -> str:
    return str(event.get("ResourceStatusReason") or event["ResourceStatus"])


def _is_bad(event: Event) -> bool:
    status = event["ResourceStatus"]
    return bool(event.get("ResourceStatusReason")) and ("ROLLBACK" in status or "FAILED" in status)
