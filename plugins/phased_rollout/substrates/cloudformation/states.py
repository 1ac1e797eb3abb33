"""What a stack's status means, and how the things of a rollout are named on AWS."""

from __future__ import annotations

import re
from dataclasses import dataclass

from phased_rollout.errors import ChangeError, RefusedError
from phased_rollout.model.digest import digest_of
from phased_rollout.model.target_state import Artifact, Outcome, Progress, TargetState
from phased_rollout.substrates.cloudformation.api import StackApi
from phased_rollout.substrates.cloudformation.remedies import OF_STATUS
from phased_rollout.substrates.cloudformation.stack import Stack
from phased_rollout.substrates.cloudformation.template import (
    HIDDEN,
    artifact,
    canonical,
    declared,
    parsed,
    too_long,
)

# After a failed update was rolled back, the stack runs the earlier configuration, whole: its digest
# says which. Calling that unhealthy would keep the earlier change off the stack for ever, since
# CloudFormation sees nothing to change.
_RUNNING = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "IMPORT_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
_APPLIES, _PREVIEWS = "phased-rollout-", "phased-preview-"  # begin the names of all ChangeSets here


@dataclass(frozen=True, slots=True)
class Names:
    """What a token is called on AWS: ChangeSets and requests name the rollout and the attempt.

    :param token: ``<rollout>-<attempt>``
    """

    token: str

    @property
    def rollout(self) -> str:
        """Start of the names of all that this rollout applies and restores."""
        return f"{_APPLIES}{_slug(self.token.partition('-')[0])}-"

    @property
    def previews(self) -> str:
        """Start of the names of all that this rollout previews."""
        return f"{_PREVIEWS}{_slug(self.token.partition('-')[0])}-"

    @property
    def attempt(self) -> str:
        """Name of the ChangeSet, and client token of the operation."""
        return self.rollout + self._slug_of_attempt

    @property
    def preview(self) -> str:
        """Name of the ChangeSet of a preview."""
        return self.previews + self._slug_of_attempt

    @property
    def _slug_of_attempt(self) -> str:
        return _slug(self.token.partition("-")[2] or "0")


def _slug(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9-]{1,40}", text) else digest_of(text)[:16]


def words_of(api: StackApi) -> str:
    """Name the stack and where it is."""
    return f"stack {api.name!r} in {api.hook.access}"


def waiting(stack: Stack) -> Progress:
    """Say that an operation is under way."""
    return Progress(Outcome.WAITING, f"stack {stack.name!r}: {stack.words}")


def unchanged(api: StackApi) -> Progress:
    """Say that CloudFormation has nothing to do."""
    return Progress(Outcome.UNCHANGED, f"{words_of(api)}: CloudFormation sees nothing to change")


def state_of(api: StackApi, stack: Stack | None) -> TargetState:
    """Say what a stack runs; ``CloudFormationSubstrate.read`` tells the rules."""
    if stack is None:
        return TargetState(running=None, detail="no stack")
    if stack.is_shell:
        return TargetState(running=None, detail=f"{stack.status}: nothing was created yet")
    if stack.status == "ROLLBACK_COMPLETE":
        return TargetState(running=None, healthy=False, detail=stack.words)
    if stack.status in _RUNNING:
        return TargetState(running=_reported(api, stack), detail=stack.words)
    unknown = {"unknown": stack.status, "stack": stack.arn}
    return TargetState(
        running=Artifact(digest=digest_of(unknown), body=unknown),
        settled=not stack.in_progress,
        healthy=stack.in_progress,
        detail=stack.words,
    )


def _reported(api: StackApi, stack: Stack) -> Artifact:
    text = api.template(stack)
    try:
        known = declared(parsed(text))
    except ChangeError:  # CloudFormation took it, so it is a template all the same
        known = {}
    hidden = {name for name, parameter in known.items() if parameter.hidden}
    hidden |= {name for name, value in stack.parameters.items() if value == HIDDEN}
    shown = {name: value for name, value in stack.parameters.items() if name not in hidden}
    return artifact(
        text,
        parameters=shown,
        hidden=frozenset(hidden),
        tags=stack.tags,
        capabilities=stack.capabilities,
    )


def differing(running: Artifact | None, wanted: Artifact) -> str:
    """Name what differs; never a value."""
    if running is None:
        return "nothing is there"
    if "unknown" in running.body:
        return "what it runs cannot be said"
    templates = {canonical(each.body["template"]) for each in (running, wanted)}
    parts = ["the template differs"] if len(templates) > 1 else []
    for what in ("parameters", "tags"):
        ours, theirs = wanted.body[what], running.body[what]
        names = sorted(k for k in {*ours, *theirs} if ours.get(k) != theirs.get(k))
        parts += [f"{what} differ: {', '.join(names)}"] if names else []
    return "; ".join(parts) or "it reads back another digest"


def broken(api: StackApi, stack: Stack) -> str:
    """Say what a broken stack needs."""
    return f"{words_of(api)} is in {stack.words}: {OF_STATUS[stack.status]}, then try again"


def is_created_by(api: StackApi, stack: Stack, names: Names) -> bool:
    """Whether this rollout created the stack, and nobody else has worked on it since."""
    latest = api.operation(stack.arn)
    ours = latest is not None and latest.token.startswith(names.rollout)
    return ours and api.created_by(stack.arn).startswith(names.rollout)


def refuse_unusable(api: StackApi, stack: Stack | None) -> None:
    """Raise RefusedError for a stack that takes no change in its status, or is somebody else's."""
    if stack and stack.status in OF_STATUS:
        raise RefusedError(broken(api, stack))
    if stack and stack.is_shell:
        names = [found.name for found in api.sets(stack)]
        if theirs := [name for name in names if not name.startswith((_APPLIES, _PREVIEWS))]:
            raise RefusedError(
                f"{words_of(api)} is about to be created by somebody else: it is in {stack.words} "
                f"with the ChangeSets {', '.join(theirs)}: have them executed or deleted, then try "
                "again"
            )


def refuse_unrestorable(api: StackApi, earlier: Artifact) -> None:
    """Raise RefusedError for an earlier configuration that cannot be put back."""
    if "unknown" in earlier.body:
        raise RefusedError(
            f"{words_of(api)} cannot be restored: it was in {earlier.body['unknown']} before"
        )
    if what := too_long(earlier.body["template"], has_bucket=bool(api.bucket)):
        raise RefusedError(f"{words_of(api)} cannot be restored: its earlier template has {what}")
