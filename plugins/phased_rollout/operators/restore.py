"""Restores what the targets of a channel ran before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from phased_rollout.errors import RecordError
from phased_rollout.model.definition import Target
from phased_rollout.model.guards import channels_to_restore, may_restore
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Outcome, Progress
from phased_rollout.operators.base import RolloutOperator, now
from phased_rollout.operators.steps import Step, take, wait
from phased_rollout.rollout import Rollout

GIVE_UP_AFTER = timedelta(minutes=10)
"""How long a restore asks a target again that cannot be reached."""

Failures = dict[str, dict[str, str]]
"""Why targets could not be restored: channel to target name to reason."""


class RestoreOperator(RolloutOperator):
    """Restores one channel, wave by wave, from the records made before each apply.

    Works from the records alone: which tasks failed, were marked or killed does not matter. Skips
    when nothing of the channel was touched. First writes the fence behind which no apply of the
    channel may mutate, so that none slips in. A target that somebody else changed since is left
    alone and reported.

    :param channel: the channel to restore
    """

    def __init__(self, *, channel: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channel = channel

    def execute(self, context: Any) -> str:
        """Say how many targets were restored."""
        rollout = self.rollout(context)
        ledger = rollout.records.ledger()
        if ledger.last_entered() is None:
            raise AirflowSkipException("no channel was entered: there is nothing to restore")
        if self.channel not in [c.name for c in channels_to_restore(rollout.plan, ledger)]:
            raise AirflowSkipException(f"{self.channel} is not part of this rollback")
        return self._go_on(rollout, begun=now(), failed={})

    def resume(self, context: Any, event: Any, begun: str, failed: Failures) -> str:
        """Go on once the operations that were waited for have ended, or waiting took too long."""
        moment = datetime.fromisoformat(begun)
        return self._go_on(self.rollout(context), begun=moment, failed=failed)

    def _go_on(self, rollout: Rollout, *, begun: datetime, failed: Failures) -> str:
        touched = rollout.records.captured(self.channel)
        restore(self, rollout, self.channel, begun=begun, failed=failed)
        if failed:
            raise AirflowException(in_words(failed))
        if not touched:
            raise AirflowSkipException(f"nothing of {self.channel} was touched")
        return f"{len(touched)} targets of {self.channel} run what they ran before"


def in_words(failed: Failures) -> str:
    """Name every target that could not be restored, and why."""
    return "\n".join(
        f"not restored: {name} of {channel}: {reason}"
        for channel, reasons in failed.items()
        for name, reason in reasons.items()
    )


def restore(
    task: RolloutOperator, rollout: Rollout, channel: str, *, begun: datetime, failed: Failures
) -> None:
    """Restore what is left to restore in a channel; defers ``task`` while an operation runs.

    Targets that cannot be reached are asked again after all others, and given up after a while, so
    that the earlier channels get their turn.

    :param begun: when the task began
    :param failed: added to: why targets could not be restored
    """
    records = rollout.records
    if records.ledger().entered_since_rollback(channel):
        records.add(Kind.ROLLING_BACK, at=now(), channel=channel)
    left = _left(rollout, channel, failed=failed)
    size = rollout.plan.definition.rollback_wave
    resume_with = {"begun": begun.isoformat(), "failed": failed}
    unreachable = Step()
    tokens: dict[str, str] = {}
    for wave in (left[i : i + size] for i in range(0, len(left), size)):
        tokens |= _tokens(rollout, channel, wave)
        step = _restore_wave(task, rollout, channel, wave, tokens=tokens, failed=failed)
        unreachable.unreachable.update(step.unreachable)
        if step.waiting:
            wait(task, rollout, channel=channel, step=step, tokens=tokens, resume_with=resume_with)
    if unreachable.pending and now() < begun + GIVE_UP_AFTER:
        wait(
            task, rollout, channel=channel, step=unreachable, tokens=tokens, resume_with=resume_with
        )
    if unreachable.pending:
        failed.setdefault(channel, {}).update(unreachable.unreachable)
    _conclude(rollout, channel, failed=failed)


def _left(rollout: Rollout, channel: str, *, failed: Failures) -> list[str]:
    history = rollout.records.of_targets(channel)
    since = rollout.records.ledger().last(Kind.ENTERED, channel=channel)
    return [
        name
        for name in rollout.records.captured(channel)
        if name not in failed.get(channel, {})
        and history.last(Kind.RESTORED, Kind.LEFT_ALONE, target=name) <= since
    ]


def _tokens(rollout: Rollout, channel: str, names: list[str]) -> dict[str, str]:
    history = rollout.records.of_targets(channel)
    entered = rollout.records.ledger().last(Kind.ENTERED, channel=channel).isoformat()
    return {
        name: rollout.token(
            "restore", name, entered, str(len(history.of_target(name, Kind.RESTORE_FAILED)))
        )
        for name in names
    }


def _restore_wave(
    task: RolloutOperator,
    rollout: Rollout,
    channel: str,
    wave: list[str],
    *,
    tokens: Mapping[str, str],
    failed: Failures,
) -> Step:
    def one(target: Target) -> Progress:
        return step_back(rollout, channel, target, tokens[target.name])

    step = take(rollout.targets(channel, wave), one)
    for name, progress in step.ended.items():
        left_alone = progress.outcome is Outcome.LEFT_ALONE
        kind = Kind.LEFT_ALONE if left_alone else Kind.RESTORED
        task.log.info("%s: %s: %s", name, kind.replace("_", " "), progress.reason)
        rollout.records.add(kind, at=now(), channel=channel, target=name, reason=progress.reason)
    if step.failed:
        reasons = {name: str(error) for name, error in step.failed.items()}
        failed.setdefault(channel, {}).update(reasons)
    return step


def _conclude(rollout: Rollout, channel: str, *, failed: Failures) -> None:
    records = rollout.records
    for name, reason in failed.get(channel, {}).items():
        records.add(Kind.RESTORE_FAILED, at=now(), channel=channel, target=name, reason=reason)
    entered = records.ledger().last(Kind.ENTERED, channel=channel)
    done = records.ledger().last(Kind.ROLLED_BACK, channel=channel) > entered
    if channel not in failed and not done:
        records.add(Kind.ROLLED_BACK, at=now(), channel=channel)


def step_back(rollout: Rollout, channel: str, target: Target, token: str) -> Progress:
    """Take the next step at one target back to what was recorded before its apply."""
    before = rollout.records.before(channel=channel, target=target.name)
    if before is None:
        raise RecordError(f"nothing is recorded of what {target.name} ran before")
    return rollout.substrate.restore(
        target,
        before=before,
        applied=rollout.artifact(channel, target),
        token=token,
        mutation=rollout.mutation(
            target, allow=lambda: may_restore(newer=rollout.records.newer()), clock=now
        ),
    )
