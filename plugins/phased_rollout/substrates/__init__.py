"""The contract between the engine and the systems it changes, and where adapters are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from phased_rollout.adapters import SUBSTRATES, load
from phased_rollout.errors import ChangeError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import AdapterSpec, Channel, Target
from phased_rollout.model.target_state import Artifact, Preview, Progress, TargetState

Mutation = Callable[[], AbstractContextManager[None]]
"""Entered right around each mutating call: takes the target's lock and checks that no rollback is
armed and no newer rollout has begun. Raises GuardError or LockedError instead of letting it be."""


class Substrate(Protocol):
    """How one kind of target is read, changed and restored. Knows nothing of channels' order.

    Built as ``cls(options)``. All methods may be called from many threads at once and from a worker
    or the triggerer. Each raises UnreachableError when the target could not be asked (throttled,
    timed out, reply lost, no such connection, no permission to look) and RefusedError when the
    target said no, in words that a person can act on; neither ever carries a secret.

    It may have one method more, ``platform(target) -> str | None``: the version of what the target
    runs on, such as ``v1.33.1``. The preview warns of neighbouring channels that are far apart.
    """

    def render(self, change: Change, *, channel: str, target: Target) -> Artifact:
        """Give the change as this target would run it; needs no network. Raises ChangeError."""

    def check(self, change: Change, targets: Sequence[Target]) -> list[str]:
        """Say what is wrong with the change's content, each with file and line; asks no target.

        Called once, before the plan is frozen, and may take a minute. What it only doubts it logs.
        """

    def read(self, target: Target) -> TargetState:
        """Read what the target runs now."""

    def preview(self, target: Target, artifact: Artifact, *, token: str) -> Preview:
        """Ask the target what would change, and leave nothing behind."""

    def apply(
        self,
        target: Target,
        artifact: Artifact,
        *,
        token: str,
        mutation: Mutation,
        expected: str | None = None,
    ) -> Progress:
        """Take the next step towards running the artifact; call again until it is not WAITING.

        ``expected`` is the digest of the Preview that people saw; None compares nothing. When the
        target would do something else now, nothing is changed and DriftedError is raised, which
        tells the differences: for each part of a target right before that part is changed. What is
        destructive and was not previewed is never done.

        Idempotent by ``token`` (one attempt at one target): a target that runs the artifact is left
        alone, a lost reply is reconciled by reading, an attempt that failed raises RefusedError
        again and is not repeated. UNCHANGED means that the target itself says there is nothing to
        change although it reads back another digest.
        """

    def settled(self, target: Target, *, token: str) -> bool:
        """Say cheaply whether the operation that was WAITING has ended, well or badly."""

    def verify(self, target: Target, artifact: Artifact) -> TargetState:
        """Read back that the target runs the artifact, healthily; raises RefusedError if not."""

    def restore(
        self,
        target: Target,
        *,
        before: TargetState,
        applied: Artifact,
        token: str,
        mutation: Mutation,
    ) -> Progress:
        """Take the next step back to ``before``; call again until it is not WAITING.

        First waits out an operation in progress and deletes this rollout's unexecuted work. DONE
        means read back. LEFT_ALONE when the target runs neither ``applied`` nor a partial apply of
        it: somebody else changed it since.
        """


@runtime_checkable
class Identifies(Protocol):
    """What a substrate may know besides, when one target can be reached in several ways."""

    def identity(self, target: Target) -> str:
        """Name what the target is, whatever way it is reached; empty when nobody can say.

        Asked once a rollout, before anything is touched: two targets of one name are refused.
        Reads, and raises, as ``read`` does.
        """


@runtime_checkable
class HasMembers(Protocol):
    """What a substrate has besides whose targets are many things at once, such as hosts."""

    def members(self, target: Target) -> tuple[str, ...]:
        """Find what a target consists of now, each under a name that nothing else has.

        Called once, for the plan, which freezes them as the target's ``members``; all other methods
        get it so and obey it. Raises RefusedError when there are none.
        """


def build(spec: AdapterSpec) -> Substrate:
    """Build the substrate that a definition names."""
    substrate: Substrate = load(spec, group=SUBSTRATES)
    return substrate


def problems_of(spec: AdapterSpec, change: Change, channels: Iterable[Channel]) -> list[str]:
    """Say why the targets of these channels could not run the change; asks no target."""
    substrate, listed = build(spec), list(channels)
    problems: dict[str, None] = {}
    for channel in listed:
        for target in channel.targets:
            try:
                substrate.render(change, channel=channel.name, target=target)
            except ChangeError as error:
                problems |= dict.fromkeys(str(error).splitlines())
    return [*problems, *substrate.check(change, [t for c in listed for t in c.targets])]
