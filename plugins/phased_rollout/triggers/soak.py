"""Lets a soak pass, hands it to a worker at its looks, and ends it early on harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from phased_rollout.model.decision import Verdict, judge
from phased_rollout.model.target_state import Health
from phased_rollout.rollout import Rollout
from phased_rollout.triggers.threads import in_thread
from phased_rollout.triggers.watch import PATIENCE, Watch, keep

SHORTEST_DEFERRAL = timedelta(seconds=2)
"""Airflow 3.3.2 fails a task whose trigger fires sooner, and the retry would find its soak over."""

_LOOKS = 30
_FASTEST, _SLOWEST = 1.0, 30.0


def interval_of(soak: timedelta) -> float:
    """Give the seconds between two looks at the hard signals of a channel."""
    return min(max(soak.total_seconds() / _LOOKS, _FASTEST), _SLOWEST)


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
    :param interval: seconds between two looks at the hard signals
    :param judge_at: when a worker judges what was seen so far, ISO 8601 in UTC; empty: never
    """

    def __init__(
        self,
        *,
        definition: str,
        run_id: str,
        channel: str,
        until: str,
        interval: float,
        judge_at: str = "",
    ) -> None:
        super().__init__()
        self.definition = definition
        self.run_id = run_id
        self.channel = channel
        self.until = until
        self.interval = interval
        self.judge_at = judge_at
        self._watch: Watch | None = None

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
                "judge_at": self.judge_at,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield ``{"harm": reason}`` as soon as there is harm, or the task's success.

        Before that, ``{"judge": true}`` when the metrics are to be judged.

        Ends as soon, too, when a newer rollout of the definition has begun or an operator has
        aborted this one.
        """
        until, begun = datetime.fromisoformat(self.until), datetime.now(UTC)
        judge_at = datetime.fromisoformat(self.judge_at) if self.judge_at else until
        while _left(until) > 0:
            try:
                event = await in_thread(self._look)
            except Exception:
                # Records that cannot be read are no evidence against the change, and an error here
                # would fail the task, which rolls back. Whoever judges the soak needs them too.
                self.log.exception("%s is looked at again", self.channel)
                event = {}
            if not event and judge_at < until and _left(judge_at) <= 0:
                event = {"judge": True}
            if event:
                await asyncio.sleep(max(0.0, _left(begun + SHORTEST_DEFERRAL)))
                yield TriggerEvent(event)
                return
            next_judgement = _left(judge_at) if _left(judge_at) > 0 else self.interval
            await asyncio.sleep(max(0.0, min(_left(until), self.interval, next_judgement)))
        yield self._last()

    def _last(self) -> TriggerEvent:
        """Give what there is to say when nothing came before the end."""
        return TaskSuccessEvent()

    def _look(self) -> dict[str, Any]:
        """Say why the soak ends now; empty when it goes on."""
        if self._watch is None:
            rollout = Rollout.open(self.definition, self.run_id)
            self._watch = Watch.of(rollout, self.channel, patience=PATIENCE)
        watch = self._watch
        if event := _end_of(watch.rollout):
            return event
        observations = watch.look(datetime.now(UTC))
        for o in observations:
            if o.health is Health.UNKNOWN:
                self.log.warning("%s: %s is not known: %s", o.target, o.signal, o.detail)
        keep(watch.rollout.records, observations, channel=self.channel, at=datetime.now(UTC))
        decision = judge(observations)
        return {"harm": decision.reason} if decision.verdict is Verdict.ROLL_BACK else {}


def _end_of(rollout: Rollout) -> dict[str, Any]:
    """Say why the rollout ends whatever its health; empty when it goes on."""
    if newer := rollout.records.newer():
        return {"newer": newer}
    return {"aborted": True} if rollout.records.ledger().is_given_up else {}


def _left(until: datetime) -> float:
    return (until - datetime.now(UTC)).total_seconds()
