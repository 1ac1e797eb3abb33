"""Waits until operations at targets have ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from phased_rollout.claims import has_room
from phased_rollout.errors import RolloutError
from phased_rollout.model.definition import Target
from phased_rollout.model.ledger import Kind
from phased_rollout.rollout import Rollout
from phased_rollout.triggers.threads import for_each, in_thread

_SLOWEST, _SLOWEST_TURN = 15.0, 4.0
_GROWTH = 1.5


class OperationTrigger(BaseTrigger):
    """Polls until no target has an operation in progress, or until the deadline.

    Fires either way; the worker then looks for itself and may wait again, so a poll that fails only
    means that this target is asked again.

    :param definition: name of the rollout definition
    :param run_id: the Dag run
    :param channel: channel of the targets
    :param tokens: target name to the token of its attempt
    :param deadline: when to hand back to a worker at the latest, ISO 8601 in UTC
    :param interval: seconds before the first poll; later ones come more slowly, up to 15 s apart
        (or ``interval``, if that is longer)
    :param until_armed: hand back once a rollback is armed since the channel was entered, or an
        operator has aborted the rollout
    :param until_turn: hand back, too, once one operation has ended or one more target may be
        started (or none ever will, because too many have failed)
    """

    def __init__(
        self,
        *,
        definition: str,
        run_id: str,
        channel: str,
        tokens: dict[str, str],
        deadline: str,
        interval: float = 1.0,
        until_armed: bool = False,
        until_turn: bool = False,
    ) -> None:
        super().__init__()
        self.definition = definition
        self.run_id = run_id
        self.channel = channel
        self.tokens = tokens
        self.deadline = deadline
        self.interval = interval
        self.until_armed = until_armed
        self.until_turn = until_turn

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments, JSON values only."""
        return (
            "phased_rollout.triggers.operation.OperationTrigger",
            {
                "definition": self.definition,
                "run_id": self.run_id,
                "channel": self.channel,
                "tokens": self.tokens,
                "deadline": self.deadline,
                "interval": self.interval,
                "until_armed": self.until_armed,
                "until_turn": self.until_turn,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, ``{"settled": [names], "pending": [names]}``."""
        pending = dict(self.tokens)
        deadline, interval = datetime.fromisoformat(self.deadline), self.interval
        rollout = await in_thread(Rollout.open, self.definition, self.run_id)
        while (pending or self.until_turn) and datetime.now(UTC) < deadline:
            await asyncio.sleep(interval)
            slowest = _SLOWEST_TURN if self.until_turn else _SLOWEST
            interval = min(interval * _GROWTH, max(slowest, self.interval))
            if self.until_armed and await in_thread(_is_armed, rollout, self.channel):
                break
            targets = await in_thread(rollout.targets, self.channel, pending)
            ended = await for_each(targets, lambda target: self._ended(rollout, target))
            pending = {
                t.name: pending[t.name] for t, end in zip(targets, ended, strict=True) if not end
            }
            if self.until_turn and (any(ended) or await in_thread(_is_due, rollout, self.channel)):
                break
        done = sorted(set(self.tokens) - set(pending))
        yield TriggerEvent({"settled": done, "pending": sorted(pending)})

    def _ended(self, rollout: Rollout, target: Target) -> bool:
        try:
            return rollout.substrate.settled(target, token=self.tokens[target.name])
        except RolloutError as error:
            self.log.warning("%s is asked again: %s", target.name, error)
            return False


def _is_armed(rollout: Rollout, channel: str) -> bool:
    ledger = rollout.records.ledger()
    fence = ledger.last_of_any(Kind.ARMED, Kind.ROLLING_BACK, Kind.ABORTED, Kind.ABANDONED)
    return fence > ledger.last(Kind.ENTERED, channel=channel)


def _is_due(rollout: Rollout, channel: str) -> bool:
    records, tolerance = rollout.records, rollout.plan.definition.channel(channel).max_failed
    failed = records.of_targets(channel).failed_targets(
        since=records.ledger().last(Kind.ENTERED, channel=channel)
    )
    return len(failed) > tolerance or has_room(records, channel=channel, tolerance=tolerance)
