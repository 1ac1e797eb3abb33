"""The way back: to the earlier configuration, or to nothing."""

from __future__ import annotations

from phased_rollout.errors import RefusedError
from phased_rollout.model.target_state import Artifact, Outcome, Progress, TargetState
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.cloudformation.api import StackApi, poll
from phased_rollout.substrates.cloudformation.stack import Stack
from phased_rollout.substrates.cloudformation.states import (
    REMEDIES,
    Names,
    broken,
    refuse_unrestorable,
    state_of,
    waiting,
    words_of,
)
from phased_rollout.substrates.cloudformation.steps import STEP, advance


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
    before: TargetState,
    applied: Artifact,
    names: Names,
    mutation: Mutation,
) -> Progress:
    """Put the earlier configuration back, unless somebody else changed the stack since."""
    state = state_of(api, stack)
    if before.running is None or state.digest == before.digest:
        return Progress(Outcome.DONE, f"{words_of(api)} runs what it ran before")
    if state.digest == applied.digest:
        refuse_unrestorable(api, before.running)
        progress = advance(api, stack, before.running, name=names.attempt, mutation=mutation)
        if progress.outcome is Outcome.DONE:
            return Progress(Outcome.DONE, f"{words_of(api)} runs again what it ran before")
        return progress
    if stack and stack.status in REMEDIES and _is_ours(api, stack, names):
        raise RefusedError(broken(api, stack))
    found = f"it is {stack.words}" if stack else "it does not exist any more"
    return Progress(
        Outcome.LEFT_ALONE,
        f"{words_of(api)} was changed by somebody else since: {found} and runs neither what was "
        "applied nor what ran before",
    )


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
            f"{words_of(api)} was {'changed' if created else 'created'} by somebody else since",
        )
    if (attempt := api.operation(stack.arn, token=names.attempt)) and not attempt.running:
        causes = "; ".join(attempt.failures) or stack.reason
        raise RefusedError(f"{words_of(api)} could not be deleted ({attempt.status}): {causes}")
    if stack.protected:
        raise RefusedError(
            f"{words_of(api)} was created by this rollout but has termination protection: "
            "turn that off and try again, or keep the stack"
        )
    api.hook.check_account()
    with mutation():
        api.delete(stack, client_token=names.attempt)
    left = poll(lambda: api.describe(stack.arn), until=lambda s: s is None, seconds=STEP)
    return gone if left is None else waiting(left)
