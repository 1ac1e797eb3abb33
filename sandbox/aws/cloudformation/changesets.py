"""The change set operations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sandbox.aws.cloudformation import views
from sandbox.aws.cloudformation.compare import NO_CHANGES, compare, has_changes
from sandbox.aws.cloudformation.engine import USER, Engine
from sandbox.aws.cloudformation.intake import (
    flag,
    missing_capabilities,
    read_desired,
    stack_name,
)
from sandbox.aws.cloudformation.model import ChangeSet, Desired, Json, Region, Stack
from sandbox.aws.cloudformation.nested_sets import drop_nested, has_nested, look_into_nested
from sandbox.aws.cloudformation.registry import (
    find_change_set,
    find_stack,
    need_change_set,
    need_stack,
)
from sandbox.aws.errors import AwsError, validation_error
from sandbox.aws.paging import page

_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
_UPDATABLE = frozenset({
    "CREATE_COMPLETE", "CREATE_FAILED", "UPDATE_COMPLETE", "UPDATE_FAILED",
    "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE",
})  # fmt: skip
_SUBMITTED = ("TemplateBody", "TemplateURL", "UsePreviousTemplate", "Parameters", "Tags",
              "Capabilities", "ChangeSetType", "RoleARN")  # fmt: skip


@dataclass(slots=True)
class ChangeSets:
    """Create, describe, list, execute and delete change sets; the region's lock is held."""

    engine: Engine

    def create(self, region: Region, params: Json) -> Json:
        name, kind = (
            str(params.get("ChangeSetName", "")),
            str(params.get("ChangeSetType", "UPDATE")),
        )
        if not _NAME.fullmatch(name):
            raise validation_error(
                f"1 validation error detected: Value '{name}' at 'changeSetName' failed to satisfy "
                "constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
            )
        stack = find_stack(region, str(params.get("StackName", "")))
        if stack is not None and (known := _same(stack, name=name, params=params)) is not None:
            return {"Id": known.arn, "StackId": stack.arn}
        stack, desired = self._submission(region, params, kind=kind, stack=stack, name=name)
        change_set = ChangeSet(
            name=name,
            arn=region.arn(f"changeSet/{name}"),
            type=kind,
            desired=desired,
            submitted={key: params[key] for key in _SUBMITTED if key in params},
            description=params.get("Description"),
            token=params.get("ClientToken"),
            on_failure=params.get("OnStackFailure"),
            nested=flag(params, "IncludeNestedStacks"),
        )
        stack.change_sets[name] = change_set
        self._evaluate_later(region, stack, change_set)
        return {"Id": change_set.arn, "StackId": stack.arn}

    def _submission(
        self, region: Region, params: Json, *, kind: str, stack: Stack | None, name: str
    ) -> tuple[Stack, Desired]:
        if kind == "UPDATE":
            stack = need_stack(region, params)
            check_updatable(stack)
            return stack, read_desired(params, region=region, stack=stack, reviewed=True)
        if kind != "CREATE":
            raise validation_error(f"ChangeSetType {kind} is not available in the sandbox.")
        if stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise validation_error(
                f"Stack [{stack.name}] already exists and cannot be created again with the "
                f"changeSet [{name}]."
            )
        if stack is not None:
            return stack, read_desired(params, region=region, stack=stack, reviewed=True)
        shell = region.add(stack_name(params), "REVIEW_IN_PROGRESS")
        try:
            desired = read_desired(params, region=region, stack=shell, reviewed=True)
        except AwsError:  # a refused request leaves nothing behind
            del region.stacks[shell.name], region.archive[shell.arn]
            raise
        shell.enter("REVIEW_IN_PROGRESS", reason=USER)
        return shell, desired

    def _evaluate_later(self, region: Region, stack: Stack, change_set: ChangeSet) -> None:
        def start() -> None:
            with region.lock:
                change_set.status = "CREATE_IN_PROGRESS"
            self.engine.after(region.account, 2 / 3, finish)

        def finish() -> None:
            with region.lock:
                _evaluate(stack, change_set)
                look_into_nested(self.engine, region, stack, change_set)

        self.engine.after(region.account, 1 / 3, start)

    def describe(self, region: Region, params: Json) -> Json:
        stack, change_set = need_change_set(region, params)
        changes, token = page(
            change_set.changes, token=params.get("NextToken"), size=self.engine.pace.page_size
        )
        if not flag(params, "IncludePropertyValues"):
            changes = [views.without_values(change) for change in changes]
        view = views.change_set_view(change_set, stack=stack, changes=changes)
        return view | {"NextToken": token}

    def list(self, region: Region, params: Json) -> Json:
        stack = need_stack(region, params)
        summaries = [views.change_set_summary(c, stack=stack) for c in stack.change_sets.values()]
        shown, token = page(
            summaries, token=params.get("NextToken"), size=self.engine.pace.page_size
        )
        return {"Summaries": shown, "NextToken": token}

    def delete(self, region: Region, params: Json) -> Json:
        found = find_change_set(region, params)
        if found is None:
            return {}
        stack, change_set = found
        running = change_set.execution_status == "EXECUTE_IN_PROGRESS"
        if running or change_set.status in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            raise AwsError(
                "InvalidChangeSetStatus",
                "An operation on this ChangeSet is currently in progress.",
            )
        if change_set.status in ("DELETE_PENDING", "DELETE_IN_PROGRESS"):
            return {}
        if has_nested(change_set):
            self._delete_later(region, stack, change_set)
        elif stack.change_sets.get(change_set.name) is change_set:
            del stack.change_sets[change_set.name]
        return {}

    def _delete_later(self, region: Region, stack: Stack, change_set: ChangeSet) -> None:
        """A hierarchy of change sets is deleted in its own time."""
        change_set.status, change_set.execution_status = "DELETE_PENDING", "UNAVAILABLE"

        def finish() -> None:
            with region.lock:
                if stack.change_sets.get(change_set.name) is change_set:
                    del stack.change_sets[change_set.name]
                    drop_nested(region, change_set)

        self.engine.after(region.account, 1 / 3, finish)

    def execute(self, region: Region, params: Json) -> Json:
        stack, change_set = need_change_set(region, params)
        _check_executable(stack, change_set)
        for other in stack.change_sets.values():
            drop_nested(region, other)
        stack.change_sets.clear()  # the others no longer fit the stack
        stack.executed = change_set
        on_failure = change_set.on_failure or "ROLLBACK"
        if flag(params, "DisableRollback"):
            on_failure = "DO_NOTHING"
        creates = stack.status == "REVIEW_IN_PROGRESS"
        start = self.engine.start_create if creates else self.engine.start_update
        start(region, stack, change_set.desired, token=params.get("ClientRequestToken"),
              change_set=change_set, on_failure=on_failure)  # fmt: skip
        return {}


def check_updatable(stack: Stack) -> None:
    """Refuse an update of a stack that is busy, broken or was never created."""
    if stack.status not in _UPDATABLE:
        raise validation_error(
            f"Stack:{stack.arn} is in {stack.status} state and can not be updated."
        )


def _same(stack: Stack, *, name: str, params: Json) -> ChangeSet | None:
    """The change set that this very request has made before; another one of the name clashes."""
    candidates: list[Any] = [stack.change_sets.get(name)]
    token = params.get("ClientToken")
    if token and stack.executed and (stack.executed.name, stack.executed.token) == (name, token):
        candidates.append(stack.executed)
    known: ChangeSet | None = next((c for c in candidates if c is not None), None)
    if known is None:
        return None
    if not token or known.token != token:
        attribute = "ClientToken" if token or known.token else _mismatch(known, params)
    else:
        attribute = _mismatch(known, params)
        if attribute is None:
            return known
    reason = f"due to a mismatch with existing attribute {attribute}" if attribute else ""
    message = f"ChangeSet {name} cannot be created {reason}" if reason else (
        f"ChangeSet {name} already exists")  # fmt: skip
    raise AwsError("AlreadyExistsException", message)


def _mismatch(known: ChangeSet, params: Json) -> str | None:
    for key in _SUBMITTED:
        if known.submitted.get(key) != params.get(key):
            return "Template" if "Template" in key else key
    return None


def _evaluate(stack: Stack, change_set: ChangeSet) -> None:
    old, new = stack.desired, change_set.desired
    if missing := missing_capabilities(new.template, new.capabilities, reviewed=True):
        change_set.status, change_set.reason = "FAILED", missing
        return
    changes = compare(old=old, new=new, resources=stack.resources)
    if old is not None and not has_changes(old=old, new=new, changes=changes):
        change_set.status, change_set.reason = "FAILED", NO_CHANGES
        return
    change_set.changes = changes
    change_set.status, change_set.execution_status = "CREATE_COMPLETE", "AVAILABLE"


def _check_executable(stack: Stack, change_set: ChangeSet) -> None:
    what = f"ChangeSet [{change_set.arn}] cannot be executed in its current"
    if change_set.status != "CREATE_COMPLETE":
        message = f"{what} status of [{change_set.status}]"
        raise AwsError("InvalidChangeSetStatus", message)
    if change_set.execution_status != "AVAILABLE":
        message = f"{what} execution status of [{change_set.execution_status}]"
        raise AwsError("InvalidChangeSetStatus", message)
    if stack.busy:
        message = f"An operation on stack [{stack.arn}] is in progress: {stack.status}"
        raise AwsError("InvalidChangeSetStatus", message)
