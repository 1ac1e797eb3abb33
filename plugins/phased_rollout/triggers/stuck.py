"""Tells of a rollout that is not done in time. Airflow's triggerer calls it by its path."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from phased_rollout.model.definition import definition_of
from phased_rollout.model.ledger import NEVER, Kind
from phased_rollout.rollout import Rollout
from phased_rollout.triggers.threads import in_thread

log = logging.getLogger(__name__)

_UNDER_WAY = ("queued", "running")


async def tell_stuck(context: Any) -> str:
    """Record and log where the rollout stands; says nothing of a run that has ended.

    :param context: what Airflow gives for a missed deadline: ``{"dag_run": {…}, …}``
    """
    run = context["dag_run"]
    if run["state"] not in _UNDER_WAY:
        return f"{run['dag_run_id']} has ended: {run['state']}"
    told: str = await in_thread(_tell, definition_of(run["dag_id"]), run["dag_run_id"])
    return told


def _tell(definition: str, run_id: str) -> str:
    rollout, at = Rollout.open(definition, run_id), datetime.now(UTC)
    ledger, channel = rollout.records.ledger(), rollout.records.ledger().last_entered()
    since = ledger.last(Kind.ENTERED, channel=channel) if channel else NEVER
    where = f"in {channel} since {since:%Y-%m-%d %H:%M} UTC" if channel else "before any channel"
    held = rollout.records.details(Kind.HELD)
    why = f"; the last hold: {held[-1]['reason']}" if held else ""
    reason = f"not done in time: {where}{why}"
    rollout.records.add(Kind.STUCK, at=at, reason=reason)
    log.error("%s %s is stuck: %s", definition, run_id, reason)
    return reason
