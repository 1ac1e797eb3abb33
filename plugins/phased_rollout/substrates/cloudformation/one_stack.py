"""One stack of a target: read, previewed, changed, restored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.model.target_state import Artifact, Outcome, Preview, Progress, TargetState
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.cloudformation.api import StackApi
from phased_rollout.substrates.cloudformation.binding import Bound
from phased_rollout.substrates.cloudformation.preview import preview
from phased_rollout.substrates.cloudformation.restore import (
    drop_unexecuted,
    to_absence,
    to_earlier,
)
from phased_rollout.substrates.cloudformation.stack import Stack
from phased_rollout.substrates.cloudformation.states import (
    Names,
    differing,
    state_of,
    unchanged,
    waiting,
    words_of,
)
from phased_rollout.substrates.cloudformation.steps import advance
from phased_rollout.substrates.cloudformation.template import recovered


@dataclass(frozen=True, slots=True)
class OneStack:
    """What ``Substrate`` promises, for one stack."""

    api: StackApi

    def read(self) -> TargetState:
        """Read what the stack runs."""
        return state_of(self.api, self.api.describe())

    def look(self) -> Stack | None:
        """Give the stack, cheaply."""
        return self.api.describe()

    def begun(self, stack: Stack | None, *, token: str) -> datetime | None:
        """Give the moment at which this attempt began to change the stack, if it has."""
        name = Names(token).attempt
        if stack and f"/{name}/" in stack.executed:
            return stack.changed_at
        found = self.api.find_set(name, stack=stack) if stack else None
        return found.created_at if found else None

    def preview(self, artifact: Artifact, *, token: str) -> Preview:
        """Ask CloudFormation by a ChangeSet of its own, and leave nothing behind."""
        return preview(self.api, artifact, names=Names(token))

    def apply(
        self,
        artifact: Artifact,
        *,
        token: str,
        mutation: Mutation,
        expected: str | None = None,
        passed: Callable[[Stack], bool] | None = None,
    ) -> Progress:
        """Take the next step: ChangeSet, execution, read back.

        :param passed: says of a stack that differs whether this attempt is past it already
        """
        stack = self.api.describe()
        if stack and stack.in_progress:
            return waiting(stack)
        state, names = state_of(self.api, stack), Names(token)
        if state.digest == artifact.digest:
            return Progress(Outcome.DONE, f"{words_of(self.api)} runs it")
        if stack and passed and passed(stack):
            return unchanged(self.api)
        bound = None if expected is None else Bound(expected=expected, state=state)
        return advance(self.api, stack, artifact, names=names, mutation=mutation, bound=bound)

    def settled(self, *, token: str) -> bool:
        """Say whether the operation that was WAITING has ended: one or two cheap calls."""
        stack = self.api.describe()
        if stack is None:
            return True
        if stack.in_progress:
            return False
        found = self.api.find_set(Names(token).attempt, stack=stack)
        return not (found and (found.pending or found.execution == "EXECUTE_IN_PROGRESS"))

    def verify(self, artifact: Artifact) -> TargetState:
        """Read back that the stack runs the artifact."""
        state = self.read()
        if not state.settled:
            raise UnreachableError(f"{words_of(self.api)}: cannot be judged now: {state.detail}")
        if state.digest != artifact.digest:
            raise RefusedError(
                f"{words_of(self.api)} does not run the change: "
                f"{differing(state.running, artifact)} ({state.detail})"
            )
        return state

    def restore(
        self, *, before: TargetState, applied: Artifact, token: str, mutation: Mutation
    ) -> Progress:
        """Take the next step back to ``before``."""
        api, names = self.api, Names(token)
        stack = api.describe()
        if stack and stack.in_progress:
            return waiting(stack)
        if stack and (busy := drop_unexecuted(api, stack, names=names, mutation=mutation)):
            return busy
        if before.running is None:
            return to_absence(api, applied=applied, names=names, mutation=mutation)
        return to_earlier(
            api,
            stack,
            earlier=recovered(before.running, known=applied),
            applied=applied,
            names=names,
            mutation=mutation,
        )
