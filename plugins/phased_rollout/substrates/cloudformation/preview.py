"""What a change would do to a stack, from a ChangeSet that leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace

from phased_rollout.aws_errors import is_transient
from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.model.target_state import Artifact, Difference, Preview, TargetState
from phased_rollout.substrates.cloudformation.api import StackApi
from phased_rollout.substrates.cloudformation.binding import roughly
from phased_rollout.substrates.cloudformation.differences import seen
from phased_rollout.substrates.cloudformation.nested import cause_of, is_blind
from phased_rollout.substrates.cloudformation.remedies import mended
from phased_rollout.substrates.cloudformation.stack import NESTED, ChangeSet, Stack
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
        return roughly(Preview(differences=(_anew(api, stack),)))
    refuse_unusable(api, stack)
    state = state_of(api, stack)
    if state.digest == artifact.digest:
        return Preview()
    api.hook.check_account()
    name = names.preview
    shell = {found.name for found in api.sets(stack)} if stack and stack.is_shell else set()
    own_shell = (stack is None or stack.is_shell) and shell <= {name}
    try:
        if stack and (left := api.find_set(name, stack=stack)):  # by a process that was killed
            api.delete_set(api.await_set(left, seconds=PATIENCE))
        return _asked(api, stack, artifact, name=name, state=state)
    finally:
        _leave_nothing(api, name=name, own_shell=own_shell)


def _leave_nothing(api: StackApi, *, name: str, own_shell: bool) -> None:
    """Delete a preview's ChangeSet, also one whose reply was lost, and the shell it created."""
    stack = api.describe()
    if stack is None:
        return
    if left := api.find_set(name, stack=stack):
        api.delete_set(api.await_set(left, seconds=PATIENCE))
    if own_shell:
        api.drop_shell(stack.arn, client_token=name)


def _asked(
    api: StackApi, stack: Stack | None, artifact: Artifact, *, name: str, state: TargetState
) -> Preview:
    """Ask with nested stacks, and without them when CloudFormation cannot look into those."""
    made = _awaited(api, api.create_set(name, stack=stack, body=artifact.body, nested=True))
    cause, notes = cause_of(api, made), tuple[str, ...]()
    if is_blind(made, cause):
        api.delete_set(made)
        made = _awaited(api, api.create_set(name, stack=stack, body=artifact.body))
        notes = (f"nested stacks cannot be looked into: {cause}",)
        cause = made.reason
    if made.no_change:
        return Preview(notes=("CloudFormation sees nothing to change",))
    if made.status != "CREATE_COMPLETE":
        if is_transient(cause):
            raise UnreachableError(f"{words_of(api)}: its preview failed: {cause}")
        raise RefusedError(f"{words_of(api)} refuses the change: {mended(cause)}")
    found = seen(api, made, state=state, artifact=artifact)
    return replace(found, notes=(*found.notes, *notes))


def _awaited(api: StackApi, made: ChangeSet) -> ChangeSet:
    made = api.await_set(made, seconds=PATIENCE)
    if made.pending:
        raise UnreachableError(f"{words_of(api)}: its preview was not ready in {PATIENCE:.0f} s")
    return made


def _anew(api: StackApi, stack: Stack) -> Difference:
    return Difference(
        action="Add",
        resource=api.name,
        kind=NESTED,
        detail=f"deletes first what its failed creation by this rollout left: {stack.status}",
    )
