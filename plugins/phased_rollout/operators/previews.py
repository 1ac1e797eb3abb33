"""Previews of many targets at once."""

from __future__ import annotations

from collections.abc import Iterable

from phased_rollout.errors import RefusedError, RolloutError, UnreachableError
from phased_rollout.model.definition import Channel, Target
from phased_rollout.model.target_state import Preview
from phased_rollout.rollout import Rollout, for_each

Previews = dict[str, Preview | None]
"""Target name to what would change; None for a target that already runs the change."""


def previews_of(rollout: Rollout, channels: Iterable[Channel], *, attempt: str) -> Previews:
    """Ask each target what would change.

    Raises UnreachableError when targets could not be asked, and RefusedError when one has refused.

    :param attempt: tells the previews of one task from those of another
    """
    channel_of = {t.name: c.name for c in channels for t in c.targets}

    def preview(target: Target) -> Preview | None:
        if rollout.runs(channel_of[target.name], target):
            return None
        artifact = rollout.artifact(channel_of[target.name], target)
        token = rollout.token(attempt, target.name)
        return rollout.substrate.preview(target, artifact, token=token)

    targets = [t for c in rollout.plan.channels for t in c.targets if t.name in channel_of]
    answers = for_each(targets, preview)
    errors = {n: a for n, a in answers.items() if isinstance(a, RolloutError)}
    if errors:
        text = "\n".join(f"{name}: {error}" for name, error in errors.items())
        unreachable = all(isinstance(e, UnreachableError) for e in errors.values())
        raise UnreachableError(text) if unreachable else RefusedError(text)
    return {n: a for n, a in answers.items() if not isinstance(a, RolloutError)}


def digests_of(previews: Previews) -> dict[str, str]:
    """Name what would change, by target; empty for a target that already runs the change."""
    return {name: preview.digest if preview else "" for name, preview in previews.items()}
