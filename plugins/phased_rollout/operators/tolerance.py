"""What a channel may bear: a failed target within its tolerance is restored at once."""

from __future__ import annotations

from datetime import datetime

from phased_rollout.claims import is_claimed
from phased_rollout.errors import BlockedError, HeldError, NoTurnError, RefusedError
from phased_rollout.model.definition import Target
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Outcome, Progress
from phased_rollout.operators.base import now
from phased_rollout.operators.hold import bar_of
from phased_rollout.operators.restore import step_back
from phased_rollout.rollout import Rollout


def refuse_start(rollout: Rollout, channel: str, target: Target) -> None:
    """Let a target be started only within the tolerance; asked before it is touched first.

    Raises BlockedError once more have failed than the channel bears, and NoTurnError while as many
    are being changed as may fail, or HeldError while the channel is frozen or held.
    """
    planned = rollout.plan.definition.channel(channel)
    allowed = planned.max_failed
    failed = failed_targets(rollout, channel)
    if len(failed) > allowed:
        raise BlockedError(
            f"no further target of {channel} is started: {', '.join(sorted(failed))} failed, "
            f"and the channel bears {allowed}"
        )
    if bar := bar_of(rollout, channel):
        raise HeldError(bar.reason)
    if planned.starts_at_once and not is_claimed(
        rollout.records, channel=channel, target=target.name, tolerance=allowed, at=now()
    ):
        raise NoTurnError("waits for its turn: other targets are being changed")


def tolerate(rollout: Rollout, channel: str, target: Target, refused: RefusedError) -> Progress:
    """Record a failed target, and give it back; raises ``refused`` beyond the tolerance.

    Two targets that fail at the same moment are both counted before either is tolerated.
    """
    records, name = rollout.records, target.name
    records.add(Kind.REFUSED, at=now(), channel=channel, target=name, reason=str(refused))
    allowed = rollout.plan.definition.channel(channel).max_failed
    if len(failed_targets(rollout, channel)) > allowed:
        raise refused
    records.add(Kind.EXCEPTING, at=now(), channel=channel, target=name, reason=str(refused))
    return give_back(rollout, channel, target)


def is_excepted(rollout: Rollout, channel: str, name: str) -> bool:
    """Whether the target failed within the tolerance since the channel was entered."""
    entered = rollout.records.ledger().last(Kind.ENTERED, channel=channel)
    history = rollout.records.of_targets(channel)
    return history.last(Kind.EXCEPTING, target=name) > entered


def give_back(rollout: Rollout, channel: str, target: Target) -> Progress:
    """Take the next step to restore a tolerated target."""
    records = rollout.records
    entered = records.ledger().last(Kind.ENTERED, channel=channel).isoformat()
    token = rollout.token("except", target.name, entered)
    progress = step_back(rollout, channel, target, token)
    if progress.outcome is Outcome.WAITING:
        return progress
    records.add(
        Kind.EXCEPTED, at=now(), channel=channel, target=target.name, reason=progress.reason
    )
    return Progress(progress.outcome, f"failed, within the tolerance: {progress.reason}")


def is_mended(rollout: Rollout) -> bool:
    """Whether all that has failed so far was retried since, with success."""
    ledger, failures = rollout.records.ledger(), rollout.records.details(Kind.FAILED)

    def mended(channel: str, at: datetime) -> bool:
        succeeded = ledger.last(Kind.APPLIED, Kind.HEALTHY, Kind.GRADUATED, channel=channel)
        return succeeded > at and not failed_targets(rollout, channel)

    known = rollout.plan.names
    return bool(failures) and all(
        r["channel"] in known and mended(r["channel"], datetime.fromisoformat(r["at"]))
        for r in failures
    )


def failed_targets(rollout: Rollout, channel: str) -> set[str]:
    """Name the targets that have failed since the channel was entered, and were not mended."""
    entered = rollout.records.ledger().last(Kind.ENTERED, channel=channel)
    return rollout.records.of_targets(channel).failed_targets(since=entered)
