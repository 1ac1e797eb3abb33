"""Holds a task while the Dag is not the one that its run was planned with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from phased_rollout.operators.base import RolloutOperator, now
from phased_rollout.rollout import Rollout

LOOK_AGAIN = timedelta(seconds=30)


def hold_while_edited(
    task: RolloutOperator, rollout: Rollout, shape: Sequence[str], *, channel: str = ""
) -> None:
    """Defer while an edited file has built another Dag, whose order may not be obeyed.

    Resumes ``task.execute``; the file is read again by then.

    :param shape: the shape of the definition in the file, as the Dag was parsed with it
    """
    planned = rollout.plan.shape_of_dag
    if list(shape) == planned:
        return
    reason = (
        f"the file now says {' → '.join(shape)}; this rollout was planned as "
        f"{' → '.join(planned)}: holding until the file is as it was. To give this rollout up "
        "instead, mark the run failed: what it changed is restored"
    )
    hold(task, rollout, reason, channel=channel)


def hold(task: RolloutOperator, rollout: Rollout, reason: str, *, channel: str = "") -> None:
    """Record why a task holds, and defer it until it is executed again."""
    task.log.warning("%s", reason)
    rollout.records.hold(reason, at=now(), channel=channel)
    task.defer(trigger=DateTimeTrigger(moment=now() + LOOK_AGAIN), method_name="execute")
