"""Holds a task while the Dag is not the one that its run was planned with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from phased_rollout.model.definition import Channel
from phased_rollout.model.guards import why_not_passed
from phased_rollout.model.ledger import Kind
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


def hold_until_its_turn(
    task: RolloutOperator,
    rollout: Rollout,
    event: Any,
    before: Sequence[Channel],
    *,
    channel: str = "",
) -> None:
    """Defer a task that an edited Dag began before its turn, and that found the file mended.

    :param event: what the task resumed with; None at its first start, when Airflow kept the order
    :param before: the channels that come before it
    """
    plan, ledger = rollout.plan, rollout.records.ledger()
    failed = ledger.last_of_any(Kind.FAILED, Kind.ARMED, Kind.ROLLING_BACK)
    over = ledger.is_given_up or rollout.records.newer()
    if event is None or over or failed > ledger.last_of_any(Kind.ENTERED):
        return
    if missing := [why for each in before if (why := why_not_passed(plan, ledger, each))]:
        hold(task, rollout, f"holding until it is its turn: {missing[0]}", channel=channel)


def hold(task: RolloutOperator, rollout: Rollout, reason: str, *, channel: str = "") -> None:
    """Record why a task holds, and defer it until it is executed again."""
    task.log.warning("%s", reason)
    rollout.records.hold(reason, at=now(), channel=channel)
    task.defer(trigger=DateTimeTrigger(moment=now() + LOOK_AGAIN), method_name="execute")
