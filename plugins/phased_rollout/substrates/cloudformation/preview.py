"""What a change would do to a stack, from a ChangeSet that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from phased_rollout.aws_errors import is_transient
from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.model.target_state import Artifact, Difference, Preview, TargetState
from phased_rollout.substrates.cloudformation.api import StackApi
from phased_rollout.substrates.cloudformation.irreversible import irreversible
from phased_rollout.substrates.cloudformation.remedies import mended
from phased_rollout.substrates.cloudformation.stack import ChangeSet, Stack
from phased_rollout.substrates.cloudformation.states import (
    Names,
    is_created_by,
    refuse_unusable,
    state_of,
    words_of,
)
from phased_rollout.substrates.cloudformation.steps import REMAINS

PATIENCE = 120.0  # seconds that a preview waits for its ChangeSet


def preview(api: StackApi, artifact: Artifact, *, names: Names) -> Preview:
    """Ask by a ChangeSet of its own; deletes it, and the shell of a stack that it had to create."""
    stack = api.describe()
    if stack and stack.in_progress:
        raise UnreachableError(f"{words_of(api)}: cannot be previewed now: {stack.words}")
    if stack and stack.status in REMAINS and is_created_by(api, stack, names):
        return Preview(differences=(_anew(api, stack),))
    refuse_unusable(api, stack)
    state = state_of(api, stack)
    if state.digest == artifact.digest:
        return Preview()
    api.hook.check_account()
    name = names.preview
    shell = {found.name for found in api.sets(stack)} if stack and stack.is_shell else set()
    own_shell = (stack is None or stack.is_shell) and shell <= {name}
    made: ChangeSet | None = None
    try:
        if stack and (left := api.find_set(name, stack=stack)):  # by a process that was killed
            api.delete_set(api.await_set(left, seconds=PATIENCE))
        made = api.create_set(name, stack=stack, body=artifact.body)
        return _previewed(api, made, state=state, artifact=artifact)
    finally:
        _leave_nothing(api, made, name=name, own_shell=own_shell)


def _leave_nothing(api: StackApi, made: ChangeSet | None, *, name: str, own_shell: bool) -> None:
    """Delete a preview's ChangeSet, also one whose reply was lost, and the shell it created."""
    stack = api.describe()
    if stack is None:
        return
    made = made or api.find_set(name, stack=stack)
    if made:
        made = api.await_set(made, seconds=PATIENCE)
        api.delete_set(made)
    if own_shell:
        api.drop_shell(stack.arn, client_token=name)


def _previewed(
    api: StackApi, made: ChangeSet, *, state: TargetState, artifact: Artifact
) -> Preview:
    made = api.await_set(made, seconds=PATIENCE)
    if made.pending:
        raise UnreachableError(f"{words_of(api)}: its preview was not ready in {PATIENCE:.0f} s")
    if made.no_change:
        return Preview(notes=("CloudFormation sees nothing to change",))
    if made.status != "CREATE_COMPLETE":
        if is_transient(made.reason):
            raise UnreachableError(f"{words_of(api)}: its preview failed: {made.reason}")
        raise RefusedError(
            f"{words_of(api)} refuses the change: {mended(made.reason or made.status)}"
        )
    changes = list(api.changes(made))
    return Preview(
        differences=tuple(_difference(change) for change in changes) or (_of_no_resource(api),),
        notes=tuple(_tags_removed(state, artifact)),
        irreversible=tuple(irreversible(state, artifact, changes, has_bucket=bool(api.bucket))),
    )


def _anew(api: StackApi, stack: Stack) -> Difference:
    return Difference(
        action="Add",
        resource=api.name,
        kind="AWS::CloudFormation::Stack",
        detail=f"deletes first what its failed creation by this rollout left: {stack.status}",
    )


def _tags_removed(state: TargetState, artifact: Artifact) -> Iterator[str]:
    earlier = state.running.body["tags"] if state.running else {}
    if removed := sorted(set(earlier) - set(artifact.body["tags"])):
        yield f"removes tags that the change does not declare: {', '.join(removed)}"


def _of_no_resource(api: StackApi) -> Difference:
    return Difference(
        action="Modify",
        resource=api.name,
        kind="AWS::CloudFormation::Stack",
        detail="no resource changes: outputs, parameters, metadata or tags only",
    )


def _difference(change: Mapping[str, Any]) -> Difference:
    action, replacement = change["Action"], change.get("Replacement")
    policy = change.get("PolicyAction", "")
    modify = action in ("Modify", "Dynamic")
    because = sorted(
        {
            detail["Target"]["Name"]
            for detail in change.get("Details", [])
            if detail.get("Target", {}).get("Name")
        }
    )
    words = [
        f"because of {', '.join(because)}" if because else "",
        f"replacement: {replacement or 'not said'}" if modify and replacement != "False" else "",
        f"policy: {policy}" if policy else "",
    ]
    return Difference(
        action="Replace" if modify and replacement == "True" else _ACTIONS.get(action, action),
        resource=change["LogicalResourceId"],
        kind=change.get("ResourceType", ""),
        destructive=action == "Remove"
        or (modify and replacement != "False")
        or policy in ("Delete", "ReplaceAndDelete"),
        detail="; ".join(word for word in words if word),
    )


_ACTIONS = {"Dynamic": "Modify", "Import": "Add"}
