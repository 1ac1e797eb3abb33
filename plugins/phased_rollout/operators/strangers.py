"""Targets that run something else than the records say, against which boundaries were checked."""

from __future__ import annotations

from functools import cache

from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.targets import few
from phased_rollout.present import left_behind
from phased_rollout.rollout import Rollout, for_each


def doubts_of(rollout: Rollout) -> list[str]:
    """Say which targets do not run what the plan took them to run, or cannot be asked.

    Nothing without declarations, nor of targets of which the plan knew nothing in the first place.
    """
    plan, records = rollout.plan, rollout.records
    if plan.boundaries is None:
        return []
    found = left_behind(records, plan.definition)
    known = {name: left for name, left in found.items() if left.running.digest}

    @cache
    def change_of(run: str) -> Change:
        return records.of(run).change()

    def runs_it(target: Target) -> bool:
        left = known[target.name]
        then = rollout.substrate.render(change_of(left.run), channel=left.channel, target=target)
        digest = rollout.substrate.read(target).digest
        return digest in (then.digest, rollout.artifact(channel_of[target.name], target).digest)

    channel_of = {t.name: c.name for c in plan.channels for t in c.targets}
    targets = [t for c in plan.channels for t in c.targets if t.name in known]
    other = [name for name, answer in for_each(targets, runs_it).items() if answer is not True]
    what = "not known to run what the records say, by which the mixed states were checked"
    return [f"{what}: {few(other)}"] if other else []
