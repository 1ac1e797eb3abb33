"""Takes many targets through an operation, step by step, without holding a slot while waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk.exceptions import AirflowRescheduleException

from phased_rollout.errors import (
    DriftedError,
    HeldError,
    LockedError,
    NoTurnError,
    RolloutError,
    UnreachableError,
)
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Outcome, Progress
from phased_rollout.operators.base import RolloutOperator, now
from phased_rollout.rollout import Rollout, for_each
from phased_rollout.triggers.operation import OperationTrigger

LOOK_AGAIN = timedelta(minutes=10)
FIRST_POLL = 2.0
"""Seconds; Airflow loses a deferral that ends sooner than about two seconds."""
NEXT_TURN, RAREST_TURN = timedelta(seconds=5), timedelta(minutes=2)
_NO_FAILURE = "which is no failure of the change"
_ASK = "to see what would change now, and to be asked, clear enter of its channel with downstream"
UNREACHABLE_POLL = 30.0
"""Seconds until a target that does not answer is asked again."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step at several targets has led to, by target name."""

    ended: dict[str, Progress] = field(default_factory=dict)
    failed: dict[str, RolloutError] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)
    queued: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)

    @property
    def pending(self) -> list[str]:
        """Names of the targets that have no answer yet."""
        return [*self.waiting, *self.unreachable, *self.queued, *self.held]

    def add(self, other: Step) -> None:
        """Take over what a step at other targets has led to."""
        for each in fields(self):
            getattr(self, each.name).update(getattr(other, each.name))


def take(targets: Iterable[Target], step: Callable[[Target], Progress]) -> Step:
    """Take a step at each target, many at once, and sort the answers.

    A target that could not be asked is waited for: that says nothing about the change.
    """
    taken = Step()
    for name, answer in for_each(targets, step).items():
        if isinstance(answer, Progress):
            if answer.outcome is Outcome.WAITING:
                taken.waiting[name] = answer.reason
            else:
                taken.ended[name] = answer
        elif isinstance(answer, LockedError):
            taken.waiting[name] = str(answer)
        elif isinstance(answer, NoTurnError):
            taken.queued[name] = str(answer)
        elif isinstance(answer, HeldError):
            taken.held[name] = str(answer)
        elif isinstance(answer, UnreachableError):
            taken.unreachable[name] = f"cannot be reached, {_NO_FAILURE}: {answer}"
        elif isinstance(answer, DriftedError):
            taken.unreachable[name] = f"is left as it is, {_NO_FAILURE}: {answer}; {_ASK}"
        else:
            taken.failed[name] = answer
    return taken


def take_in_turn(
    targets: Sequence[Target], step: Callable[[Target], Progress], *, at_once: int | None
) -> Step:
    """Take a step at each target, ``at_once`` at a time, until one fails or must not start."""
    taken, left = Step(), list(targets)
    at_once = at_once or len(left)
    while left and not taken.failed and not taken.queued and not taken.held:
        taken.add(take(left[:at_once], step))
        left = left[at_once:]
    later = taken.held if taken.held else taken.queued
    later.update({target.name: "waits for its turn" for target in left})
    return taken


def give_way(task: RolloutOperator, rollout: Rollout, *, channel: str, step: Step) -> NoReturn:
    """Come again later, and leave Airflow's place to the tasks whose targets are being changed.

    A task that is deferred keeps its place among ``max_active_tis_per_dagrun``: where the process
    that has the turn was killed, its retry would never get one. Each time takes a process, so the
    longer nothing has happened to a target of the channel, the longer it stays away.
    """
    for name, reason in step.queued.items():
        task.log.info("%s: %s", name, reason)
    moment = now()
    quiet = moment - max(
        (e.at for e in rollout.records.of_targets(channel).entries), default=moment
    )
    raise AirflowRescheduleException(moment + min(max(NEXT_TURN, quiet / 5), RAREST_TURN))


def wait(
    task: RolloutOperator,
    rollout: Rollout,
    *,
    channel: str,
    step: Step,
    tokens: dict[str, str],
    resume_with: dict[str, Any],
    until_armed: bool = False,
) -> None:
    """Defer until the operations have ended; resumes ``task.resume(**resume_with)``.

    Targets that cannot be reached hold the rollout: recorded, said, and asked again until they
    answer or a person marks the task failed.

    :param until_armed: resume as soon as a rollback is armed
    """
    for name, reason in (*step.waiting.items(), *step.queued.items(), *step.held.items()):
        task.log.info("%s: %s", name, reason)
    for name, reason in step.unreachable.items():
        text = f"{name} {reason}"
        task.log.warning("holding: %s", text)
        rollout.records.hold(text, at=now(), channel=channel)
    pending = {name: tokens[name] for name in (*step.waiting, *step.unreachable)}
    trigger = OperationTrigger(
        definition=rollout.records.definition,
        run_id=rollout.records.run_id,
        channel=channel,
        tokens=pending,
        deadline=(now() + LOOK_AGAIN).isoformat(),
        interval=FIRST_POLL if step.waiting or step.queued else UNREACHABLE_POLL,
        until_armed=until_armed,
        until_turn=bool(step.queued),
    )
    task.defer(trigger=trigger, method_name="resume", kwargs=resume_with)
