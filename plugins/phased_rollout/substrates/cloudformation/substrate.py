"""The contract of a substrate, kept by CloudFormation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phased_rollout.aws import Access, account
from phased_rollout.errors import ConfigError, RefusedError, UnreachableError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Artifact, Outcome, Preview, Progress, TargetState
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.cloudformation.api import StackApi
from phased_rollout.substrates.cloudformation.preview import preview
from phased_rollout.substrates.cloudformation.restore import (
    drop_unexecuted,
    to_absence,
    to_earlier,
)
from phased_rollout.substrates.cloudformation.states import (
    Names,
    differing,
    state_of,
    waiting,
    words_of,
)
from phased_rollout.substrates.cloudformation.steps import advance
from phased_rollout.substrates.cloudformation.template import render


class CloudFormationSubstrate:
    """Rolls a template out to one stack per account and region.

    :param options: ``connection``, ``stack``, and optionally ``role`` (name or ARN with
        ``{account}``), ``external_id``, ``region``, ``service_role``, ``capabilities``
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        missing = [key for key in ("connection", "stack") if not options.get(key)]
        if missing:
            raise ConfigError([f"cloudformation: options.{key} is missing" for key in missing])
        self._options = options
        self._capabilities = tuple(options.get("capabilities") or ())

    def _api(self, target: Target) -> StackApi:
        access = Access.of(self._options, target.address)
        role = self._options.get("service_role")
        return StackApi(
            account(access),
            name=str(self._options["stack"]),
            service_role=access.arn_of(role) if role else None,
        )

    def render(self, change: Change, *, channel: str, target: Target) -> Artifact:
        """Give the change as this target would run it; needs no network. Raises ChangeError."""
        return render(change, channel=channel, target=target.name, capabilities=self._capabilities)

    def read(self, target: Target) -> TargetState:
        """Read what the stack runs, from what CloudFormation reports of it.

        A stack whose update was rolled back runs the earlier configuration. What a
        stack runs that is being changed, or whose rollback failed, nobody can say: it reads as an
        artifact that equals no other and cannot be restored.
        """
        api = self._api(target)
        return state_of(api, api.describe())

    def preview(self, target: Target, artifact: Artifact, *, token: str) -> Preview:
        """Ask CloudFormation by a ChangeSet of its own, and leave nothing behind."""
        return preview(self._api(target), artifact, names=Names(token))

    def apply(
        self, target: Target, artifact: Artifact, *, token: str, mutation: Mutation
    ) -> Progress:
        """Take the next step: ChangeSet, execution, read back; call again while it is WAITING."""
        api = self._api(target)
        stack = api.describe()
        if stack and stack.in_progress:
            return waiting(stack)
        if state_of(api, stack).digest == artifact.digest:
            return Progress(Outcome.DONE, f"{words_of(api)} runs it")
        return advance(api, stack, artifact, name=Names(token).attempt, mutation=mutation)

    def settled(self, target: Target, *, token: str) -> bool:
        """Say whether the operation that was WAITING has ended: one or two cheap calls."""
        api = self._api(target)
        stack = api.describe()
        if stack is None:
            return True
        if stack.in_progress:
            return False
        found = api.find_set(Names(token).attempt, stack=stack)
        return not (found and (found.pending or found.execution == "EXECUTE_IN_PROGRESS"))

    def verify(self, target: Target, artifact: Artifact) -> TargetState:
        """Read back that the stack runs the artifact."""
        api = self._api(target)
        stack = api.describe()
        state = state_of(api, stack)
        if not state.settled:
            raise UnreachableError(f"{words_of(api)}: cannot be judged now: {state.detail}")
        if state.digest != artifact.digest:
            raise RefusedError(
                f"{words_of(api)} does not run the change: {differing(state.running, artifact)} "
                f"({state.detail})"
            )
        return state

    def restore(
        self,
        target: Target,
        *,
        before: TargetState,
        applied: Artifact,
        token: str,
        mutation: Mutation,
    ) -> Progress:
        """Take the next step back to ``before``; call again while it is WAITING."""
        api, names = self._api(target), Names(token)
        stack = api.describe()
        if stack and stack.in_progress:
            return waiting(stack)
        if stack and (busy := drop_unexecuted(api, stack, names=names, mutation=mutation)):
            return busy
        if before.running is None:
            return to_absence(api, applied=applied, names=names, mutation=mutation)
        return to_earlier(
            api, stack, before=before, applied=applied, names=names, mutation=mutation
        )
