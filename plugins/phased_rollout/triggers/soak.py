"""Lets a soak pass, and ends it early on harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from phased_rollout.model.decision import Decision, Verdict, judge
from phased_rollout.model.target_state import Health
from phased_rollout.rollout import Rollout
from phased_rollout.triggers.threads import for_each, in_thread
from phased_rollout.triggers.watch import Watch, keep

SHORTEST_DEFERRAL = timedelta(seconds=2)
"""Airflow 3.3.2 fails a task whose trigger fires sooner, and the retry would find its soak over."""


class SoakTrigger(BaseTrigger):
    """Watches a channel until a moment. Ends the task there, or hands harm to a worker at once.

    So it does when an operator aborts the rollout.

    Harm resumes on a worker so that the failure callback runs in the task's own process. A signal
    that cannot be read is logged and asked again: silence neither ends a soak nor makes it good,
    the health sensor decides on it.

    :param definition: name of the rollout definition
    :param run_id: the Dag run
    :param channel: the channel that soaks
    :param until: end of the soak, ISO 8601 in UTC
    :param interval: seconds between two looks
    """

    def __init__(
        self, *, definition: str, run_id: str, channel: str, until: str, interval: float
    ) -> None:
        super().__init__()
        self.definition = definition
        self.run_id = run_id
        self.channel = channel
        self.until = until
        self.interval = interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments, JSON values only."""
        return (
            "phased_rollout.triggers.soak.SoakTrigger",
            {
                "definition": self.definition,
                "run_id": self.run_id,
                "channel": self.channel,
                "until": self.until,
                "interval": self.interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield ``{"harm": reason}`` as soon as there is harm, or the task's success.

        Ends as soon, too, when a newer rollout of the definition has begun or an operator has
        aborted this one.
        """
        until, begun = datetime.fromisoformat(self.until), datetime.now(UTC)
        rollout = await in_thread(Rollout.open, self.definition, self.run_id)
        watch = await in_thread(Watch.of, rollout, self.channel)
        while _left(until) > 0:
            event = await in_thread(_end_of, rollout)
            if not event:
                decision = await self._look(watch)
                harm = decision.verdict is Verdict.ROLL_BACK
                event = {"harm": decision.reason} if harm else {}
            if event:
                await asyncio.sleep(max(0.0, _left(begun + SHORTEST_DEFERRAL)))
                yield TriggerEvent(event)
                return
            await asyncio.sleep(max(0.0, min(_left(until), self.interval)))
        yield TaskSuccessEvent()

    async def _look(self, watch: Watch) -> Decision:
        observations = [o for found in await for_each(watch.targets, watch.observe) for o in found]
        unknown = [o for o in observations if o.health is Health.UNKNOWN]
        for o in unknown:
            self.log.warning("%s: %s is not known: %s", o.target, o.signal, o.detail)
        await in_thread(
            lambda: keep(
                watch.rollout.records,
                observations,
                channel=self.channel,
                at=datetime.now(UTC),
            )
        )
        return judge(observations)


def _end_of(rollout: Rollout) -> dict[str, Any]:
    """Say why the rollout ends whatever its health; empty when it goes on."""
    if newer := rollout.records.newer():
        return {"newer": newer}
    return {"aborted": True} if rollout.records.ledger().is_given_up else {}


def _left(until: datetime) -> float:
    return (until - datetime.now(UTC)).total_seconds()
