"""On what the targets run: a warning where neighbouring channels are far apart."""

from __future__ import annotations

from collections.abc import Sequence

from phased_rollout.errors import RolloutError
from phased_rollout.model.definition import Channel
from phased_rollout.model.skew import skews
from phased_rollout.operators.base import RolloutOperator
from phased_rollout.rollout import Rollout, for_each


def warnings_of(task: RolloutOperator, rollout: Rollout, channels: Sequence[Channel]) -> list[str]:
    """Tell which neighbouring channels run platforms of versions that are far apart.

    Nothing for a substrate that knows no versions. A target that does not say its own is left out:
    this is a hint, which must not stop a rollout.
    """
    platform = getattr(rollout.substrate, "platform", None)
    if platform is None:
        return []
    found: list[tuple[str, dict[str, str]]] = []
    for channel in channels:
        versions: dict[str, str] = {}
        for name, answer in for_each(channel.targets, platform).items():
            if isinstance(answer, RolloutError):
                task.log.info("%s: its platform's version cannot be read: %s", name, answer)
            elif answer:
                versions[name] = str(answer)
        found.append((channel.name, versions))
    return skews(found)
