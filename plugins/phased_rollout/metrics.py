"""Counts what happens in rollouts with Airflow's own statistics; see docs/notifications.md."""

from __future__ import annotations

import logging
from datetime import timedelta

from phased_rollout.model.ledger import Kind

PREFIX = "phased_rollout"
COUNTED = {
    Kind.FINISHED: "rollouts.finished",
    Kind.CONCLUDED: "rollouts.failed",
    Kind.GRADUATED: "channels.graduated",
    Kind.BYPASSED: "channels.bypassed",
    Kind.UNCHANGED: "channels.unchanged",
    Kind.ROLLED_BACK: "channels.rolled_back",
    Kind.HELD: "holds",
    Kind.VERIFIED: "targets.applied",
    Kind.REFUSED: "targets.refused",
    Kind.RESTORED: "targets.restored",
    Kind.RESTORE_FAILED: "targets.restore_failed",
}
"""What is counted of what is recorded; tags: rollout, and channel where there is one."""

log = logging.getLogger(__name__)


def recorded(kind: Kind, definition: str, channel: str = "") -> None:
    """Count a record, if records of its kind are counted."""
    if kind in COUNTED:
        count(COUNTED[kind], definition, channel)


def count(name: str, definition: str, channel: str = "") -> None:
    """Add one to a counter; never raises."""
    try:
        # Airflow's statistics are no part of what a Dag file needs to be parsed.
        from airflow.sdk.observability import stats  # noqa: PLC0415

        stats.incr(f"{PREFIX}.{name}", tags=_tags(definition, channel))
    except Exception as error:  # noqa: BLE001 - a figure is not worth a task
        log.warning("%s.%s was not counted: %s", PREFIX, name, type(error).__name__)


def time_in_channel(definition: str, channel: str, duration: timedelta) -> None:
    """Tell how long a change was in a channel, from entry to graduation; never raises."""
    try:
        from airflow.sdk.observability import stats  # noqa: PLC0415

        stats.timing(f"{PREFIX}.channels.time", duration, tags=_tags(definition, channel))
    except Exception as error:  # noqa: BLE001 - a figure is not worth a task
        log.warning("%s.channels.time was not told: %s", PREFIX, type(error).__name__)


def _tags(definition: str, channel: str) -> dict[str, str]:
    return {"rollout": definition, **({"channel": channel} if channel else {})}
