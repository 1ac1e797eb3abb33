"""Restores what the targets of a channel ran before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from phased_rollout.errors import PausedError, RecordError
from phased_rollout.model.definition import Target
from phased_rollout.model.guards import channels_to_restore, may_restore
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Outcome, Progress
from phased_rollout.operators.about import fenced
from phased_rollout.operators.announce import tell_lost_failure
from phased_rollout.operators.base import RolloutOperator, no_retry, now
from phased_rollout.operators.question import Question, user_of
from phased_rollout.operators.steps import Step, take, wait
from phased_rollout.rollout import Rollout

GIVE_UP_AFTER = timedelta(minutes=10)
"""How long a restore asks a target again that cannot be reached."""

Failures = dict[str, dict[str, str]]
"""Why targets could not be restored: channel to target name to reason."""


class RestoreOperator(Question):
    """Restores one channel, wave by wave, from the records made before each apply.

    Works from the records alone: which tasks failed, were marked or killed does not matter. Skips
    when nothing of the channel was touched. First writes the fence behind which no apply of the
    channel may mutate, so that none slips in. A target that somebody else changed since is left
    alone and reported. After a number of failed restores it pauses and asks a person, for as long
    as it takes: a rollback can do harm as well.

    :param channel: the channel to restore
    """

    GO_ON = "Go on"
    STOP = "Stop"

    def __init__(self, *, channel: str, **kwargs: Any) -> None:
        super().__init__(
            subject="Restores have failed. Go on with the rollback?",
            options=[self.GO_ON, self.STOP],
            **kwargs,
        )
        self.channel = channel

    def execute(self, context: Any) -> Any:
        """Say how many targets were restored."""
        rollout = self.rollout(context)
        ledger = rollout.records.ledger()
        if ledger.last_entered() is None:
            raise AirflowSkipException("no channel was entered: there is nothing to restore")
        if self.channel not in [c.name for c in channels_to_restore(rollout.plan, ledger)]:
            raise AirflowSkipException(f"{self.channel} is not part of this rollback")
        tell_lost_failure(rollout, context)
        return self._go_on(context, begun=now(), failed={})

    def resume(self, context: Any, event: Any, begun: str, failed: Failures) -> Any:
        """Go on once the operations that were waited for have ended, or waiting took too long."""
        return self._go_on(context, begun=datetime.fromisoformat(begun), failed=failed)

    def count(self, context: Any, event: Any) -> None:
        """Record whether the rollback goes on; fails when it does not."""
        answer, records = self.hear(context, event), self.rollout(context).records
        goes_on = answer["chosen_options"] == [self.GO_ON]
        kind, user = Kind.RESUMED if goes_on else Kind.STOPPED, user_of(answer)
        records.add(kind, at=now(), channel=self.channel, user=user)
        if not goes_on:
            raise AirflowFailException(_stopped(self.channel, user))

    def proceed(self, context: Any, counted: None) -> Any:
        """Go on with the rollback; what could not be restored is tried again, last."""
        return self.execute(context)

    def _go_on(self, context: Any, *, begun: datetime, failed: Failures) -> Any:
        rollout = self.rollout(context)
        touched = rollout.records.captured(self.channel)
        try:
            with no_retry():
                restore(self, rollout, self.channel, begun=begun, failed=failed)
        except PausedError as paused:
            return self._pause(context, str(paused))
        if failed:
            again = f"clear rollback.{self.channel} with downstream"
            raise AirflowFailException(f"{in_words(failed)}\nmend the cause, then {again}")
        if not touched:
            raise AirflowSkipException(f"nothing of {self.channel} was touched")
        return f"{len(touched)} targets of {self.channel} run what they ran before"

    def _pause(self, context: Any, why: str) -> Any:
        records = self.rollout(context).records
        stops = records.details(Kind.STOPPED)
        if stops and datetime.fromisoformat(stops[-1]["at"]) > records.ledger().last_of_any(
            Kind.RESUMED, Kind.ENTERED
        ):
            last = stops[-1]
            if last["channel"] != self.channel:
                raise AirflowFailException(_stopped(last["channel"], last["user"]))
        self.body = "\n\n".join(
            [
                "**What could not be restored**",
                fenced([why]),
                f"**{self.GO_ON}** restores the other targets and then tries these again. "
                f"**{self.STOP}** leaves all that is not restored as it is. Mend the cause first: "
                "the question waits.",
            ]
        )
        return self.ask(context)


def _stopped(channel: str, user: str) -> str:
    return (
        f"{user} stopped the rollback: what is not restored stays as it is; to be asked again, "
        f"clear rollback.{channel} with downstream"
    )


def pause_when_too_many_fail(rollout: Rollout) -> None:
    """Restore nothing more once too many restores have failed since a person let them go on.

    Raises PausedError.
    """
    records, definition = rollout.records, rollout.plan.definition
    since = records.ledger().last_of_any(Kind.RESUMED, Kind.ENTERED)
    failed = [
        f"{target} of {name}"
        for name in rollout.plan.names
        for target in sorted(records.of_targets(name).unrestored_targets(since=since))
    ]
    if len(failed) >= definition.pause_after:
        raise PausedError(f"{len(failed)} restores failed: {', '.join(failed)}")


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

    Raises PausedError before a wave when too many restores have failed, and GuardError when a newer
    rollout owns the targets.

    :param begun: when the task began
    :param failed: added to: why targets could not be restored
    """
    records = rollout.records
    may_restore(newer=records.newer())
    if records.ledger().entered_since_rollback(channel):
        records.add(Kind.ROLLING_BACK, at=now(), channel=channel)
    left = _left(rollout, channel, failed=failed)
    size = rollout.plan.definition.rollback_wave
    resume_with = {"begun": begun.isoformat(), "failed": failed}
    unreachable = Step()
    tokens: dict[str, str] = {}
    for wave in (left[i : i + size] for i in range(0, len(left), size)):
        pause_when_too_many_fail(rollout)
        tokens |= _tokens(rollout, channel, wave)
        step = _restore_wave(task, rollout, channel, wave, tokens=tokens, failed=failed)
        unreachable.unreachable.update(step.unreachable)
        if step.waiting:
            wait(task, rollout, channel=channel, step=step, tokens=tokens, resume_with=resume_with)
    if unreachable.pending and now() < begun + GIVE_UP_AFTER:
        wait(
            task, rollout, channel=channel, step=unreachable, tokens=tokens, resume_with=resume_with
        )
    _fail(rollout, channel, unreachable.unreachable, failed=failed)
    entered = records.ledger().last(Kind.ENTERED, channel=channel)
    done = records.ledger().last(Kind.ROLLED_BACK, channel=channel) > entered
    if channel not in failed and not done:
        records.add(Kind.ROLLED_BACK, at=now(), channel=channel)


def _left(rollout: Rollout, channel: str, *, failed: Failures) -> list[str]:
    """Name the targets to restore; those that could not be restored before come last."""
    history = rollout.records.of_targets(channel)
    since = rollout.records.ledger().last(Kind.ENTERED, channel=channel)
    left = [
        name
        for name in rollout.records.captured(channel)
        if name not in failed.get(channel, {})
        and history.last(Kind.RESTORED, Kind.LEFT_ALONE, target=name) <= since
    ]
    again = history.unrestored_targets(since=since)
    return sorted(left, key=lambda name: name in again)


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
    reasons = {name: str(error) for name, error in step.failed.items()}
    _fail(rollout, channel, reasons, failed=failed)
    return step


def _fail(rollout: Rollout, channel: str, reasons: Mapping[str, str], *, failed: Failures) -> None:
    for name, reason in reasons.items():
        failed.setdefault(channel, {})[name] = reason
        rollout.records.add(
            Kind.RESTORE_FAILED, at=now(), channel=channel, target=name, reason=reason
        )


def step_back(rollout: Rollout, channel: str, target: Target, token: str) -> Progress:
    """Take the next step at one target back to what was recorded before its apply."""
    before = rollout.records.before(channel=channel, target=target.name)
    if before is None:
        raise RecordError(f"nothing is recorded of what {target.name} ran before")
    mutation = rollout.mutation(
        target, allow=lambda: may_restore(newer=rollout.records.newer()), clock=now
    )
    with mutation():  # an apply that passed its check before the fence is over, and none follows
        pass
    return rollout.substrate.restore(
        target,
        before=before,
        applied=rollout.artifact(channel, target),
        token=token,
        mutation=mutation,
    )
