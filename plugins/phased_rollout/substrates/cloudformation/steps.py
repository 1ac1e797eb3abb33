"""The steps of an apply and of a restore. Each looks first, so that a killed process may resume."""

from __future__ import annotations

import re
from dataclasses import replace

from phased_rollout.aws_errors import RefusedByAwsError, is_transient
from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.model.target_state import Artifact, Outcome, Progress, TargetState
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.cloudformation.api import StackApi, poll
from phased_rollout.substrates.cloudformation.binding import Bound
from phased_rollout.substrates.cloudformation.nested import cause_of, is_blind
from phased_rollout.substrates.cloudformation.remedies import mended
from phased_rollout.substrates.cloudformation.stack import ChangeSet, Stack
from phased_rollout.substrates.cloudformation.states import (
    Names,
    differing,
    is_created_by,
    refuse_unusable,
    state_of,
    unchanged,
    waiting,
    words_of,
)

REMAINS = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")
"""Statuses of a stack whose creation failed, or that could not be deleted."""
STEP = 2.0  # seconds that one step waits for AWS before it says WAITING
_BUSY = re.compile(r"is in (?!REVIEW_)\w+_IN_PROGRESS state")


def advance(
    api: StackApi,
    stack: Stack | None,
    wanted: Artifact,
    *,
    names: Names,
    mutation: Mutation,
    bound: Bound | None = None,
) -> Progress:
    """Bring a settled stack that runs something else one step nearer to what is wanted.

    :param bound: what is executed only if it was previewed so; None executes whatever it is
    """
    name = names.attempt
    if stack and not stack.is_shell and (past := _outcome(api, stack, wanted, name=name)):
        return past
    if stack and stack.status in REMAINS and is_created_by(api, stack, names):
        token = f"{name}-remains"
        if left := deleted(api, stack, client_token=token, mutation=mutation):
            return left
        stack, bound = None, bound and replace(bound, state=TargetState(running=None))
    refuse_unusable(api, stack)
    try:
        return _changed(api, stack, wanted, name=name, mutation=mutation, bound=bound)
    except RefusedByAwsError as error:
        if error.code == "OperationInProgressException" or _BUSY.search(error.said):
            return Progress(Outcome.WAITING, f"{words_of(api)}: another operation is in progress")
        raise


def _changed(
    api: StackApi,
    stack: Stack | None,
    wanted: Artifact,
    *,
    name: str,
    mutation: Mutation,
    bound: Bound | None,
) -> Progress:
    """Create this attempt's ChangeSet, execute it, and look how that goes."""
    nested = bound is not None  # the execution needs no look into nested stacks
    found = _prepared(api, stack, wanted, name=name, mutation=mutation, nested=nested)
    if found.pending:
        return Progress(Outcome.WAITING, f"{words_of(api)}: its ChangeSet is being created")
    if found.status == "FAILED":
        return _without_change(api, found, name=name, mutation=mutation)
    if not found.started:
        if found.execution != "AVAILABLE":
            what = found.execution or "unknown"
            return Progress(Outcome.WAITING, f"{words_of(api)}: its ChangeSet is {what}")
        api.hook.check_account()
        if bound:
            bound.check(api, found, wanted, mutation=mutation)
        with mutation():
            api.execute(found, client_token=name)
    return _followed(api, found, wanted, name=name)


def deleted(
    api: StackApi, stack: Stack, *, client_token: str, mutation: Mutation
) -> Progress | None:
    """Delete a stack that this rollout created; None once it is gone."""
    if (attempt := api.operation(stack.arn, token=client_token)) and not attempt.running:
        causes = "; ".join(attempt.failures) or stack.reason
        raise RefusedError(
            f"{words_of(api)} could not be deleted ({attempt.status}): {mended(causes)}"
        )
    if stack.protected:
        raise RefusedError(
            f"{words_of(api)} was created by this rollout but has termination protection: "
            "turn that off and try again, or keep the stack"
        )
    api.hook.check_account()
    with mutation():
        api.delete(stack, client_token=client_token)
    left = poll(lambda: api.describe(stack.arn), until=lambda s: s is None, seconds=STEP)
    return waiting(left) if left else None


def _prepared(
    api: StackApi,
    stack: Stack | None,
    wanted: Artifact,
    *,
    name: str,
    mutation: Mutation,
    nested: bool,
) -> ChangeSet:
    """Give this attempt's ChangeSet: found again, or created."""
    found = api.find_set(name, stack=stack) if stack else None
    if found and found.execution == "OBSOLETE":  # somebody changed the stack after it was created
        with mutation():
            api.delete_set(found)
        found = None
    if found is None:
        api.hook.check_account()
        with mutation():
            found = api.create_set(name, stack=stack, body=wanted.body, nested=nested)
    found = api.await_set(found, seconds=STEP)
    if is_blind(found, cause_of(api, found)):
        with mutation():
            api.delete_set(found)
            found = api.create_set(name, stack=stack, body=wanted.body)
        found = api.await_set(found, seconds=STEP)
    return found


def _without_change(api: StackApi, failed: ChangeSet, *, name: str, mutation: Mutation) -> Progress:
    """Delete a ChangeSet that failed; nothing to change is no error."""
    cause = cause_of(api, failed)
    with mutation():
        api.delete_set(failed)
        api.drop_shell(failed.stack_arn, client_token=name)
    if failed.no_change:
        return unchanged(api)
    if is_transient(cause):
        raise UnreachableError(f"{words_of(api)}: its ChangeSet failed: {cause}")
    raise RefusedError(f"{words_of(api)} refused the change: {mended(cause)}")


def _followed(api: StackApi, executed: ChangeSet, wanted: Artifact, *, name: str) -> Progress:
    """Look for a moment whether the execution ends."""
    stack = poll(
        lambda: api.describe(executed.stack_arn),
        until=lambda s: s is None or not (s.in_progress or s.is_shell),
        seconds=STEP,
    )
    if stack is None:
        raise RefusedError(f"{words_of(api)} vanished while the change was executed")
    if stack.in_progress or stack.is_shell:
        return waiting(stack)
    if state_of(api, stack).digest == wanted.digest:
        return Progress(Outcome.DONE, f"{words_of(api)} runs it: {stack.words}")
    if past := _outcome(api, stack, wanted, name=name):
        return past
    if executed.execution in ("EXECUTE_COMPLETE", "EXECUTE_FAILED"):
        raise RefusedError(f"{words_of(api)} does not run the change: {executed.execution}")
    return Progress(Outcome.WAITING, f"{words_of(api)}: its execution does not show yet")


def _outcome(api: StackApi, stack: Stack, wanted: Artifact, *, name: str) -> Progress | None:
    """Tell how this attempt ended, if it was executed before; raises when it failed."""
    attempt = api.operation(stack.arn, token=name)
    if attempt is None:
        return None
    if attempt.running:
        return waiting(stack)
    if attempt.succeeded:  # what was read of the stack may be older than its events
        state = poll(
            lambda: state_of(api, api.describe(stack.arn)),
            until=lambda read: read.digest == wanted.digest,
            seconds=STEP,
        )
        if state.digest == wanted.digest:
            return Progress(Outcome.DONE, f"{words_of(api)} runs it: {state.detail}")
        raise RefusedError(
            f"{words_of(api)} executed the change, but does not run it: "
            f"{differing(state.running, wanted)}"
        )
    causes = "; ".join(attempt.failures) or stack.reason or "no reason was given"
    raise RefusedError(f"{words_of(api)} refused the change ({attempt.status}): {mended(causes)}")
