"""The calls on one stack. Decides nothing but how a lost reply is settled: by looking."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from secrets import token_hex
from typing import Any, TypeVar

from phased_rollout.aws import AccountHook
from phased_rollout.aws_errors import RefusedByAwsError
from phased_rollout.changes import IN_A_REQUEST
from phased_rollout.errors import UnreachableError
from phased_rollout.substrates.cloudformation import events
from phased_rollout.substrates.cloudformation.bucket import keep
from phased_rollout.substrates.cloudformation.remedies import mended
from phased_rollout.substrates.cloudformation.stack import ChangeSet, Operation, Stack

_NO_SUCH_SET = ("ChangeSetNotFound", "ChangeSetNotFoundException")
_MADE_ALREADY = ("AlreadyExistsException", "TokenAlreadyExistsException")
_BUSY = ("InvalidChangeSetStatus", "InvalidChangeSetStatusException")
_MAYBE_STARTED = (*_BUSY, *_NO_SUCH_SET)
_PAUSE, _LONGER, _LONGEST = 0.1, 1.6, 0.5  # seconds between two looks: first, factor, longest
_GRACE = 1.0  # seconds in which what was just done has to show
_UNNEST = 30.0  # seconds in which the nested ChangeSets of one that is deleted go too
_T = TypeVar("_T")


def poll(look: Callable[[], _T], *, until: Callable[[_T], bool], seconds: float) -> _T:
    """Look again, ever more slowly, until it is so or the time is over; give the last look."""
    give_up = time.monotonic() + seconds
    pause = _PAUSE
    while True:
        found = look()
        if until(found) or time.monotonic() + pause > give_up:
            return found
        time.sleep(pause)
        pause = min(pause * _LONGER, max(_LONGEST, seconds / 40))


class StackApi:
    """The calls on one stack.

    :param name: the stack's name
    :param service_role: ARN of the role CloudFormation itself works with
    :param bucket: for templates that are too long for a request
    """

    def __init__(
        self,
        hook: AccountHook,
        *,
        name: str,
        service_role: str | None = None,
        bucket: str | None = None,
    ) -> None:
        self.hook = hook
        self.name = name
        self.bucket = bucket
        self._role = {"RoleARN": service_role} if service_role else {}

    def describe(self, arn: str | None = None) -> Stack | None:
        """Give the stack; None when it does not exist."""
        try:
            reply = self.hook.call("describe_stacks", StackName=arn or self.name)
        except RefusedByAwsError as error:
            if _is_missing(error):
                return None
            raise
        found = [Stack.of(each) for each in reply.get("Stacks", [])]
        return found[0] if found and found[0].status != "DELETE_COMPLETE" else None

    def template(self, stack: Stack) -> str:
        """Give the template as it was submitted."""
        reply = self.hook.call("get_template", StackName=stack.arn, TemplateStage="Original")
        body = reply["TemplateBody"]  # botocore reads JSON into a mapping
        return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)

    def find_set(self, name: str, *, stack: Stack | None = None) -> ChangeSet | None:
        """Give a ChangeSet by name or ARN; None when it does not exist."""
        where = {} if name.startswith("arn:") else {"StackName": stack.arn if stack else self.name}
        try:
            reply = self.hook.call("describe_change_set", ChangeSetName=name, **where)
        except RefusedByAwsError as error:
            if error.code in _NO_SUCH_SET or _is_missing(error):
                return None
            raise
        return ChangeSet.of(reply)

    def changes(self, change_set: ChangeSet) -> Iterator[dict[str, Any]]:
        """Give the resource changes of all pages."""
        for change in self.hook.pages(
            "describe_change_set", "Changes", ChangeSetName=change_set.arn
        ):
            if "ResourceChange" in change:
                yield change["ResourceChange"]

    def sets(self, stack: Stack) -> list[ChangeSet]:
        """Give the summaries of all ChangeSets of the stack that are not being deleted."""
        pages = self.hook.pages("list_change_sets", "Summaries", StackName=stack.arn)
        found = [ChangeSet.of(summary) for summary in pages]
        return [each for each in found if not each.status.startswith("DELETE_")]

    def create_set(
        self, name: str, *, stack: Stack | None, body: Mapping[str, Any], nested: bool = False
    ) -> ChangeSet:
        """Create a ChangeSet; one whose reply was lost is found again by its name.

        With ``nested`` it has ChangeSets of the nested stacks too, which are deleted with it.

        The name is what makes it the only one. A token of the same name might stand for one that
        was deleted meanwhile, so each has its own.
        """
        known = stack.parameters if stack else {}
        kept = [key for key in body["hidden"] if key not in body["parameters"] and key in known]
        arguments: dict[str, Any] = {
            "StackName": self.name,
            "ChangeSetName": name,
            "ChangeSetType": "UPDATE" if stack and not stack.is_shell else "CREATE",
            "ClientToken": f"{name}-{token_hex(4)}",
            **self._template(body["template"]),
            "Parameters": [
                *(
                    {"ParameterKey": key, "ParameterValue": value}
                    for key, value in sorted(body["parameters"].items())
                ),
                *({"ParameterKey": key, "UsePreviousValue": True} for key in kept),
            ],
            "Tags": [{"Key": key, "Value": value} for key, value in sorted(body["tags"].items())],
            "Capabilities": list(body["capabilities"]),
            **({"IncludeNestedStacks": True} if nested else {}),
            **self._role,
        }
        try:
            reply = self.hook.call("create_change_set", **arguments)
        except (UnreachableError, RefusedByAwsError) as error:
            if isinstance(error, RefusedByAwsError) and error.code not in _MADE_ALREADY:
                raise RefusedByAwsError(
                    mended(str(error)), code=error.code, said=error.said
                ) from error
            found = self.find_set(name)
            if found is None:
                raise
            return found
        return ChangeSet(
            arn=reply["Id"], name=name, status="CREATE_PENDING", stack_arn=reply["StackId"]
        )

    def _template(self, text: str) -> dict[str, str]:
        if self.bucket is None or len(text.encode()) <= IN_A_REQUEST:
            return {"TemplateBody": text}
        return {"TemplateURL": keep(self.hook, self.bucket, text)}

    def await_set(self, change_set: ChangeSet, *, seconds: float) -> ChangeSet:
        """Wait a little until CloudFormation has worked the ChangeSet out."""
        if not change_set.pending:
            return change_set
        return poll(
            lambda: self.find_set(change_set.arn) or change_set,
            until=lambda found: not found.pending,
            seconds=seconds,
        )

    def delete_set(self, change_set: ChangeSet) -> None:
        """Delete a ChangeSet that was not executed; with nested ones that takes AWS a while."""
        try:
            self.hook.call("delete_change_set", ChangeSetName=change_set.arn)
        except RefusedByAwsError as error:
            if error.code in _BUSY:
                raise UnreachableError(str(error)) from error
            if error.code not in _NO_SUCH_SET and not _is_missing(error):
                raise
        except UnreachableError:  # perhaps it was done
            found = self.find_set(change_set.arn)
            if found and not found.status.startswith("DELETE_"):
                raise
        if change_set.has_nested or change_set.failed_inside:
            poll(lambda: self.find_set(change_set.arn), until=lambda f: f is None, seconds=_UNNEST)

    def execute(self, change_set: ChangeSet, *, client_token: str) -> None:
        """Execute a ChangeSet once; a lost reply is settled by looking whether it started."""
        try:
            self.hook.call(
                "execute_change_set",
                ChangeSetName=change_set.arn,
                ClientRequestToken=client_token,
            )
        except (UnreachableError, RefusedByAwsError) as error:
            if isinstance(error, RefusedByAwsError) and error.code not in _MAYBE_STARTED:
                raise
            if not poll(
                lambda: self._started(change_set, client_token), until=bool, seconds=_GRACE
            ):
                raise

    def _started(self, change_set: ChangeSet, client_token: str) -> bool:
        found = self.find_set(change_set.arn)
        if found and found.started:
            return True
        return self.operation(change_set.stack_arn, token=client_token) is not None

    def delete(self, stack: Stack, *, client_token: str) -> None:
        """Start to delete the stack; a lost reply is settled by looking whether it started."""
        try:
            self.hook.call(
                "delete_stack", StackName=stack.arn, ClientRequestToken=client_token, **self._role
            )
        except UnreachableError:
            found = self.describe(stack.arn)
            if found and not found.status.startswith("DELETE_"):
                raise

    def continue_rollback(self, stack: Stack, *, client_token: str) -> None:
        """Try again to undo a failed update; a lost reply is settled by looking."""
        try:
            self.hook.call(
                "continue_update_rollback",
                StackName=stack.arn,
                ClientRequestToken=client_token,
                **self._role,
            )
        except UnreachableError:
            if self.operation(stack.arn, token=client_token) is None:
                raise

    def drop_shell(self, stack_arn: str, *, client_token: str) -> None:
        """Delete a stack that is but an empty shell, checked by id and status."""
        shell = self.describe(stack_arn)
        if shell is None or not shell.is_shell:
            return
        if not poll(lambda: self.sets(shell), until=lambda left: not left, seconds=_GRACE):
            self.delete(shell, client_token=client_token)

    def operation(self, stack_arn: str, *, token: str | None = None) -> Operation | None:
        """Give the operation with that token, or the latest; None when the events tell of none."""
        return events.operation(self.hook, stack_arn, token=token)

    def created_by(self, stack_arn: str) -> str:
        """Give the client request token of the operation that created the stack, or nothing."""
        return events.created_by(self.hook, stack_arn)


def _is_missing(error: RefusedByAwsError) -> bool:
    return error.code == "ValidationError" and "does not exist" in error.said
