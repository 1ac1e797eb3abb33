"""Lets a held task wait until it may look again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from phased_rollout.model.ledger import Kind
from phased_rollout.rollout import Rollout
from phased_rollout.triggers.soak import SHORTEST_DEFERRAL
from phased_rollout.triggers.threads import in_thread

POLL = 5.0
"""Seconds between two looks at the records."""

NEWS = (
    Kind.OPERATOR_HOLD,
    Kind.OPERATOR_RESUME,
    Kind.ABORTED,
    Kind.ABANDONED,
    Kind.ARMED,
    Kind.ROLLING_BACK,
    Kind.FAILED,
)
"""What a held task has to look at; after a failure it must not keep the rollback waiting."""


class HoldTrigger(BaseTrigger):
    """Fires at a moment, or as soon as an operator has spoken or something has failed.

    So it does when a newer rollout of the definition has begun.

    :param definition: name of the rollout definition
    :param run_id: the Dag run
    :param since: what was recorded after this moment is news, ISO 8601 in UTC
    :param until: when to hand back to a worker at the latest, ISO 8601 in UTC
    """

    def __init__(self, *, definition: str, run_id: str, since: str, until: str) -> None:
        super().__init__()
        self.definition = definition
        self.run_id = run_id
        self.since = since
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments, JSON values only."""
        return (
            "phased_rollout.triggers.hold.HoldTrigger",
            {
                "definition": self.definition,
                "run_id": self.run_id,
                "since": self.since,
                "until": self.until,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, ``{"news": true}`` when something was recorded meanwhile."""
        since, until = datetime.fromisoformat(self.since), datetime.fromisoformat(self.until)
        rollout = await in_thread(Rollout.open, self.definition, self.run_id)
        await asyncio.sleep(SHORTEST_DEFERRAL.total_seconds())
        news = False
        while not news and (left := (until - datetime.now(UTC)).total_seconds()) > 0:
            news = await in_thread(_is_news, rollout, since)
            if not news:
                await asyncio.sleep(min(left, POLL))
        yield TriggerEvent({"news": news})


def _is_news(rollout: Rollout, since: datetime) -> bool:
    records = rollout.records
    return records.newer() is not None or records.ledger().last_of_any(*NEWS) > since
