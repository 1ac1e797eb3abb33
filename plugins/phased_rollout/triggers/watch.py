"""Watches how the targets of a channel fare: their own status and the declared signals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from phased_rollout.errors import RolloutError
from phased_rollout.health import Signal
from phased_rollout.model.definition import Channel, GateKind, Target
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Health, Observation
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout

STATUS = "status"
"""The signal that every target has: does it still run, healthily, what was verified?"""


@dataclass(frozen=True)
class Watch:
    """What to ask about one channel. ``digests``: target name to the digest that was verified."""

    rollout: Rollout
    channel: Channel
    signals: Sequence[Signal]
    digests: dict[str, str]

    @classmethod
    def of(cls, rollout: Rollout, channel: str) -> Watch:
        """Prepare to watch the verified targets of a channel."""
        planned = rollout.plan.definition.channel(channel)
        history = rollout.records.of_targets(channel)
        verified = rollout.records.details(Kind.VERIFIED, channel=channel, targets=True)
        digests = {
            record["target"]: record["digest"]
            for record in verified
            if history.last(Kind.EXCEPTED, target=record["target"])
            < history.last(Kind.VERIFIED, target=record["target"])
        }
        return cls(rollout, planned, rollout.signals(planned), digests)

    @property
    def targets(self) -> list[Target]:
        """The targets to ask about: those that were verified."""
        return [t for t in self.channel.targets if t.name in self.digests]

    def observe(self, target: Target) -> list[Observation]:
        """Ask everything about one target; what could not be asked is UNKNOWN."""
        try:
            found = [self._status(target)]
        except RolloutError as error:
            found = [Observation(target.name, STATUS, Health.UNKNOWN, str(error))]
        for signal in self.signals:
            try:
                found.extend(signal.observe(target))
            except RolloutError as error:
                found.append(Observation(target.name, "signal", Health.UNKNOWN, str(error)))
        if GateKind.HEALTH in self.channel.gate:
            return found
        return [o for o in found if o.health is not Health.UNKNOWN or o.signal == STATUS]

    def _status(self, target: Target) -> Observation:
        state = self.rollout.substrate.read(target)
        if not state.settled:
            return Observation(target.name, STATUS, Health.UNKNOWN, f"in progress: {state.detail}")
        if not state.healthy:
            return Observation(target.name, STATUS, Health.HARM, state.detail)
        if state.digest != self.digests[target.name]:
            text = "no longer runs what was verified: somebody changed it since"
            return Observation(target.name, STATUS, Health.HARM, text)
        return Observation(target.name, STATUS, Health.OK, state.detail)


def evidence_of(observations: Iterable[Observation]) -> list[list[str]]:
    """Give observations as they are recorded: target, signal, health, detail."""
    return [[o.target, o.signal, o.health, o.detail] for o in observations]


def keep(
    records: RolloutRecords, observations: Iterable[Observation], *, channel: str, at: datetime
) -> None:
    """Record what was observed, unless that is how all was when it was recorded last."""
    seen, found = records.details(Kind.OBSERVED, channel=channel), evidence_of(observations)
    if not seen or [one[:3] for one in seen[-1]["evidence"]] != [one[:3] for one in found]:
        records.add(Kind.OBSERVED, at=at, channel=channel, evidence=found)
