"""Channels in which the change changes nothing: they pass at once, on evidence, or soak."""

from __future__ import annotations

from collections.abc import Mapping

from phased_rollout.errors import RecordError
from phased_rollout.model.definition import Channel
from phased_rollout.model.guards import why_not_passed
from phased_rollout.model.ledger import Kind
from phased_rollout.operators.base import RolloutOperator
from phased_rollout.operators.shape import hold
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout, for_each

_LOOK_BACK = 30
"""Rollouts that are asked for evidence; one that left a channel out has none."""


def graduated_in(rollout: Rollout, channel: Channel) -> str | None:
    """Name the rollout that observed in this channel what its targets are to run now.

    It must be the last one that came into the channel, and have graduated there with the very same
    for each target, by no weaker gate and no shorter soak. That a target runs the change is no
    evidence by itself: a rollout that was given up leaves it behind unobserved.
    """
    wanted = digests(rollout, channel)
    records = rollout.records
    runs = records.begun()
    earlier = runs[: runs.index(records.run_id)] if records.run_id in runs else runs
    for run in reversed(earlier[-_LOOK_BACK:]):
        before = records.of(run)
        if before.ledger().happened(Kind.ENTERED, Kind.UNCHANGED, channel=channel.name):
            seen = _observed(before, channel)
            return run if all(seen.get(n) == digest for n, digest in wanted.items()) else None
    return None


def digests(rollout: Rollout, channel: Channel) -> dict[str, str]:
    """Give what each target of a channel is to run."""
    return {t.name: rollout.artifact(channel.name, t).digest for t in channel.targets}


def _observed(records: RolloutRecords, channel: Channel) -> Mapping[str, str]:
    """Give what the targets of a channel ran when they graduated; nothing if they did not."""
    try:
        plan, ledger = records.plan(), records.ledger()
        planned = plan.definition.channel(channel.name)
        weaker = not channel.gate <= planned.gate or planned.soak < channel.soak
        if weaker or plan.is_bypassed(channel.name) or why_not_passed(plan, ledger, planned):
            return {}
        if ledger.is_unchanged(channel.name):
            unchanged: dict[str, str] = records.details(Kind.UNCHANGED, channel=channel.name)[-1][
                "digests"
            ]
            return unchanged
        verified = records.details(Kind.VERIFIED, channel=channel.name, targets=True)
    except RecordError:
        return {}
    return {record["target"]: record["digest"] for record in verified}


def running(rollout: Rollout, channel: Channel) -> set[str]:
    """Name the targets of a channel that run the change now; who does not answer is not named."""
    answers = for_each(channel.targets, lambda target: rollout.runs(channel.name, target))
    return {name for name, answer in answers.items() if answer is True}


def hold_while_others_run(task: RolloutOperator, rollout: Rollout, *, channel: str) -> None:
    """Defer while a target of an earlier channel that passed unchanged runs something else."""
    ledger = rollout.records.ledger()
    for earlier in rollout.plan.before(channel):
        if not ledger.is_unchanged(earlier.name):
            continue
        missing = {t.name for t in earlier.targets} - running(rollout, earlier)
        if missing:
            reason = (
                f"{earlier.name} passed because all its targets ran the change, and of "
                f"{', '.join(sorted(missing))} that cannot be said any more: holding until it can; "
                f"to roll the change out there, clear {earlier.name}.enter with downstream"
            )
            hold(task, rollout, reason, channel=channel)
