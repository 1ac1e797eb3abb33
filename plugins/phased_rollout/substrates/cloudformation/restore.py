"""The way back: to the earlier configuration, or to nothing."""

from __future__ import annotations

from phased_rollout.errors import RefusedError
from phased_rollout.model.target_state import Artifact, Outcome, Progress
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.cloudformation.api import StackApi
from phased_rollout.substrates.cloudformation.remedies import OF_STATUS
from phased_rollout.substrates.cloudformation.stack import Stack
from phased_rollout.substrates.cloudformation.states import (
    Names,
    broken,
    refuse_unrestorable,
    state_of,
    waiting,
    words_of,
)
from phased_rollout.substrates.cloudformation.steps import STEP, advance, deleted


def drop_unexecuted(
    api: StackApi, stack: Stack, *, names: Names, mutation: Mutation
) -> Progress | None:
    """Delete this rollout's ChangeSets that wait to be executed, and the shell they leave."""
    ours = [
        found
        for found in api.sets(stack)
        if found.name.startswith((names.rollout, names.previews)) and found.name != names.attempt
    ]
    ours = [api.await_set(found, seconds=STEP) for found in ours]
    if any(found.pending or found.execution == "EXECUTE_IN_PROGRESS" for found in ours):
        return Progress(
            Outcome.WAITING, f"{words_of(api)}: a ChangeSet of this rollout is under way"
        )
    unexecuted = [found for found in ours if not found.started]
    if unexecuted:
        with mutation():
            for found in unexecuted:
                api.delete_set(found)
            if stack.is_shell:
                api.drop_shell(stack.arn, client_token=names.attempt)
    return None


def _is_ours(api: StackApi, stack: Stack, names: Names) -> bool:
    latest = api.operation(stack.arn)
    return latest is not None and latest.token.startswith(names.rollout)


def to_earlier(
    api: StackApi,
    stack: Stack | None,
    *,
    earlier: Artifact,
    applied: Artifact,
    names: Names,
    mutation: Mutation,
) -> Progress:
    """Put the earlier configuration back, unless somebody else changed the stack since."""
    state = state_of(api, stack)
    if state.digest == earlier.digest:
        return Progress(Outcome.DONE, f"{words_of(api)} runs what it ran before")
    if state.digest == applied.digest:
        refuse_unrestorable(api, earlier)
        progress = advance(api, stack, earlier, names=names, mutation=mutation)
        if progress.outcome is Outcome.DONE:
            return Progress(Outcome.DONE, f"{words_of(api)} runs again what it ran before")
        return progress
    if stack and stack.status in OF_STATUS and _is_ours(api, stack, names):
        return _undone(api, stack, names=names, mutation=mutation)
    found = f"it is {stack.words}" if stack else "it does not exist any more"
    return Progress(
        Outcome.LEFT_ALONE,
        f"{words_of(api)} was changed by somebody else since: {found} and runs neither what was "
        "applied nor what ran before",
    )


def _undone(api: StackApi, stack: Stack, *, names: Names, mutation: Mutation) -> Progress:
    """Let CloudFormation try once more to undo an update of this rollout that it could not undo."""
    token = f"{names.attempt}-continue"
    tried = api.operation(stack.arn, token=token)
    if stack.status != "UPDATE_ROLLBACK_FAILED" or (tried and not tried.running):
        causes = "; ".join(tried.failures) if tried else ""
        raise RefusedError(broken(api, stack) + (f": {causes}" if causes else ""))
    api.hook.check_account()
    with mutation():
        api.continue_rollback(stack, client_token=token)
    return Progress(Outcome.WAITING, f"{words_of(api)}: CloudFormation tries again to undo")


def to_absence(api: StackApi, *, applied: Artifact, names: Names, mutation: Mutation) -> Progress:
    """Delete the stack that this rollout created; leave any other alone."""
    stack = api.describe()
    gone = Progress(Outcome.DONE, f"{words_of(api)} does not exist, as before")
    if stack is None or stack.is_shell:
        return gone
    if stack.in_progress:
        return waiting(stack)
    ours = _is_ours(api, stack, names)
    if stack.status == "ROLLBACK_COMPLETE" and not ours:
        return gone
    runs_it = state_of(api, stack).digest == applied.digest
    created = api.created_by(stack.arn).startswith(names.rollout)
    if not created or not (runs_it or ours):
        return Progress(
            Outcome.LEFT_ALONE,
            f"{words_of(api)} was {'changed' if created else 'created'} by somebody else since: "
            f"it is {stack.words}",
        )
    return deleted(api, stack, client_token=names.attempt, mutation=mutation) or gone
