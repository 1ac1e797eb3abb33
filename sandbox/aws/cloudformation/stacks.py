"""The operations that change stacks directly."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sandbox.aws.cloudformation import policy
from sandbox.aws.cloudformation.changesets import check_updatable
from sandbox.aws.cloudformation.compare import compare, has_changes
from sandbox.aws.cloudformation.engine import Engine
from sandbox.aws.cloudformation.intake import flag, listed, read_desired, stack_name
from sandbox.aws.cloudformation.model import Json, Region
from sandbox.aws.cloudformation.registry import find_stack, need_stack
from sandbox.aws.errors import AwsError, validation_error

_UNDELETABLE = frozenset({
    "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
})  # fmt: skip


@dataclass(slots=True)
class Stacks:
    """Create, update, delete and guard stacks; the region's lock is held."""

    engine: Engine

    def create(self, region: Region, params: Json) -> Json:
        name = stack_name(params)
        known = region.stacks.get(name)
        token = params.get("ClientRequestToken")
        if known is not None:
            if token and known.token == token and known.status == "CREATE_IN_PROGRESS":
                return {"StackId": known.arn}
            raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists")
        stack = region.add(name, "CREATE_IN_PROGRESS")
        try:
            desired = read_desired(params, region=region, stack=stack)
        except AwsError:  # a refused request leaves nothing behind
            del region.stacks[name], region.archive[stack.arn]
            raise
        stack.protected = flag(params, "EnableTerminationProtection")
        if text := params.get("StackPolicyBody"):
            stack.policy = policy.checked(text)
        self.engine.start_create(region, stack, desired, token=token,
                                 on_failure=_on_failure(params))  # fmt: skip
        return {"StackId": stack.arn}

    def update(self, region: Region, params: Json) -> Json:
        stack = need_stack(region, params)
        check_updatable(stack)
        desired = read_desired(params, region=region, stack=stack)
        old = stack.desired
        if old is not None:
            changes = compare(old=old, new=desired, resources=stack.resources)
            if not has_changes(old=old, new=desired, changes=changes):
                raise validation_error("No updates are to be performed.")
        if text := params.get("StackPolicyBody"):
            stack.policy = policy.checked(text)
        for change_set in stack.change_sets.values():
            if change_set.execution_status == "AVAILABLE":
                change_set.execution_status = "OBSOLETE"
        self.engine.start_update(region, stack, desired, token=params.get("ClientRequestToken"),
                                 on_failure=_on_failure(params))  # fmt: skip
        return {"StackId": stack.arn}

    def delete(self, region: Region, params: Json) -> Json:
        stack = find_stack(region, str(params.get("StackName", "")))
        if stack is None or stack.status in ("DELETE_COMPLETE", "DELETE_IN_PROGRESS"):
            return {}
        if stack.protected:
            raise validation_error(
                f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            )
        if stack.status in _UNDELETABLE:
            raise validation_error(
                f"Stack [{stack.arn}] cannot be deleted while in status {stack.status}"
            )
        retain = frozenset(listed(params, "RetainResources") or ())
        if retain and stack.status != "DELETE_FAILED":
            raise validation_error(
                f"Invalid operation on stack [{stack.arn}]. RetainResources can only be used when "
                "the stack is in DELETE_FAILED state."
            )
        if (role := params.get("RoleARN")) and stack.desired is not None:
            stack.desired = replace(stack.desired, role_arn=str(role))
        self.engine.start_delete(region, stack, token=params.get("ClientRequestToken"),
                                 retain=retain)  # fmt: skip
        return {}

    def protect(self, region: Region, params: Json) -> Json:
        stack = need_stack(region, params)
        stack.protected = flag(params, "EnableTerminationProtection")
        return {"StackId": stack.arn}

    def set_policy(self, region: Region, params: Json) -> Json:
        stack = need_stack(region, params)
        stack.policy = policy.checked(str(params.get("StackPolicyBody", "")))
        return {}

    def get_policy(self, region: Region, params: Json) -> Json:
        return {"StackPolicyBody": need_stack(region, params).policy}

    def continue_rollback(self, region: Region, params: Json) -> Json:
        stack = need_stack(region, params)
        if stack.status != "UPDATE_ROLLBACK_FAILED":
            raise validation_error(
                f"Stack:{stack.arn} is in {stack.status} state and can not continue rollback."
            )
        skip = frozenset(listed(params, "ResourcesToSkip") or ())
        token = params.get("ClientRequestToken")
        self.engine.start_continue_rollback(stack, token=token, skip=skip)
        return {}


def _on_failure(params: Json) -> str:
    if flag(params, "DisableRollback"):
        return "DO_NOTHING"
    return str(params.get("OnFailure", "ROLLBACK"))
