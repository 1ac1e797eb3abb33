"""What a channel may bear: a failed target within its tolerance is restored at once."""

from __future__ import annotations

from phased_rollout.errors import RefusedError
from phased_rollout.model.definition import Target
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Outcome, Progress
from phased_rollout.operators.base import now
from phased_rollout.operators.restore import step_back
from phased_rollout.rollout import Rollout


def tolerate(
    rollout: Rollout, *, channel: str, target: Target, token: str, refused: RefusedError
) -> Progress:
    """Restore the failed target while the channel goes on; raises ``refused`` beyond the tolerance.

    Two targets that fail at the same moment are both counted before either is tolerated.
    """
    records = rollout.records
    allowed = rollout.plan.definition.channel(channel).max_failed
    if not allowed:
        raise refused
    if target.name not in failed_targets(rollout, channel):
        records.add(
            Kind.REFUSED, at=now(), channel=channel, target=target.name, reason=str(refused)
        )
    if len(failed_targets(rollout, channel)) > allowed:
        raise refused
    progress = step_back(rollout, channel, target, token)
    if progress.outcome is not Outcome.WAITING:
        records.add(
            Kind.EXCEPTED, at=now(), channel=channel, target=target.name, reason=str(refused)
        )
    return Progress(progress.outcome, f"failed, within the tolerance of {allowed}: {refused}")


def failed_targets(rollout: Rollout, channel: str) -> set[str]:
    """Name the targets that have failed since the channel was entered."""
    entered = rollout.records.ledger().last(Kind.ENTERED, channel=channel)
    history = rollout.records.of_targets(channel).entries
    return {e.target for e in history if e.kind is Kind.REFUSED and e.at > entered}
