"""Holds what must not start now: in a freeze window, or because an operator said so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from phased_rollout.model.definition import CONTROL
from phased_rollout.model.ledger import Kind
from phased_rollout.operators.base import RolloutOperator, now
from phased_rollout.recurrence import freeze_of
from phased_rollout.rollout import Rollout
from phased_rollout.triggers.hold import HoldTrigger
from phased_rollout.triggers.soak import SHORTEST_DEFERRAL

LOOK_AGAIN = timedelta(minutes=10)
"""How long a hold is not looked at by a worker, for what only that would notice."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Why no target is started now, and when that ends by itself."""

    reason: str
    until: datetime | None = None


def bar_of(rollout: Rollout, channel: str) -> Bar | None:
    """Say what keeps the targets of a channel from being started now, if anything does.

    Asked for starts only: what is in flight goes on, and no restore ever asks.
    """
    records, plan = rollout.records, rollout.plan
    if records.ledger().is_held:
        hold = records.details(Kind.OPERATOR_HOLD)[-1]
        again = f"to go on, trigger {records.definition}{CONTROL} with resume"
        return Bar(f"held by {hold['user']}: {hold['reason']}; {again}")
    windows = plan.definition.channel(channel).freeze if plan.obeys_freezes else ()
    freeze = freeze_of(windows, now())
    return Bar(str(freeze), freeze.opens_at) if freeze else None


def hold_while_barred(
    task: RolloutOperator,
    rollout: Rollout,
    *,
    channel: str,
    method_name: str = "execute",
    resume_with: dict[str, Any] | None = None,
) -> None:
    """Defer while the channel's targets must not be started; resumes the named method.

    The hold is recorded and said. It also ends as soon as there is something else to see: an
    operator's word, or a failure elsewhere.
    """
    bar = bar_of(rollout, channel)
    if bar is None:
        return
    task.log.warning("holding: %s", bar.reason)
    rollout.records.hold(bar.reason, at=now(), channel=channel)
    moment = now()
    until = min(bar.until or moment + LOOK_AGAIN, moment + LOOK_AGAIN)
    trigger = HoldTrigger(
        definition=rollout.records.definition,
        run_id=rollout.records.run_id,
        since=moment.isoformat(),
        until=max(until, moment + SHORTEST_DEFERRAL).isoformat(),
    )
    task.defer(trigger=trigger, method_name=method_name, kwargs=resume_with)
