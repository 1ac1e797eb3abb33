"""Previews of many targets at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from phased_rollout.errors import RefusedError, RolloutError, UnreachableError
from phased_rollout.model.definition import Channel, Target
from phased_rollout.model.target_state import Preview
from phased_rollout.rollout import Rollout, for_each
from phased_rollout.substrates import Identifies

Answer = TypeVar("Answer")
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
    return _all(for_each(targets, preview))


def refuse_twins(rollout: Rollout, channels: Iterable[Channel]) -> None:
    """Refuse targets that are the same thing, reached in two ways: one is in one channel, once.

    Asks each target; raises as ``previews_of`` does.
    """
    substrate = rollout.substrate
    if not isinstance(substrate, Identifies):
        return
    places = [(target, channel.name) for channel in channels for target in channel.targets]
    same: dict[str, list[str]] = {}
    for name, identity in _all(for_each([t for t, _ in places], substrate.identity)).items():
        same.setdefault(identity, []).append(name)
    where = {target.name: f"{target.name} in {name}" for target, name in places}
    twins = [names for identity, names in same.items() if identity and len(names) > 1]
    if twins:
        found = (f"{' and '.join(where[n] for n in names)} are the same target" for names in twins)
        raise RefusedError("\n".join(f"{what}: keep one of them" for what in found))


def _all(answers: Mapping[str, Answer | RolloutError]) -> dict[str, Answer]:
    """Give all answers; raises what was said instead of one."""
    errors = {n: a for n, a in answers.items() if isinstance(a, RolloutError)}
    if errors:
        text = "\n".join(f"{name}: {error}" for name, error in errors.items())
        unreachable = all(isinstance(e, UnreachableError) for e in errors.values())
        raise UnreachableError(text) if unreachable else RefusedError(text)
    return {n: a for n, a in answers.items() if not isinstance(a, RolloutError)}


def digests_of(previews: Previews) -> dict[str, str]:
    """Name what would change, by target; empty for a target that already runs the change."""
    return {name: preview.digest if preview else "" for name, preview in previews.items()}
