"""Watches how the targets of a channel fare: their own status and the declared signals."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from phased_rollout.errors import RolloutError
from phased_rollout.health import BatchSignal, Polled
from phased_rollout.model.definition import Channel, GateKind, Target
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Health, Observation
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import AT_ONCE, Rollout

STATUS = "status"
"""The signal that every target has: does it still run, healthily, what was verified?"""

PATIENCE = 3
"""Looks in a row without an answer after which a soak takes a signal for silent."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watch:
    """What to ask about one channel.

    :param digests: target name to the digest that was verified
    :param since: target name to when that was
    :param patience: looks in a row without an answer that make it unknown; before that, what was
        known at the last look stands
    """

    rollout: Rollout
    channel: Channel
    signals: Sequence[Polled]
    digests: dict[str, str]
    since: dict[str, datetime]
    patience: int = 1
    _known: dict[tuple[int, str], list[Observation]] = field(default_factory=dict)
    _silent: Counter[tuple[int, str]] = field(default_factory=Counter)

    @classmethod
    def of(cls, rollout: Rollout, channel: str, *, patience: int = 1) -> Watch:
        """Prepare to watch the verified targets of a channel."""
        planned = rollout.plan.definition.channel(channel)
        history = rollout.records.of_targets(channel)
        verified = {
            record["target"]: record
            for record in rollout.records.details(Kind.VERIFIED, channel=channel, targets=True)
            if history.last(Kind.EXCEPTED, target=record["target"])
            < history.last(Kind.VERIFIED, target=record["target"])
        }
        return cls(
            rollout,
            planned,
            rollout.signals(planned),
            {name: record["digest"] for name, record in verified.items()},
            {name: datetime.fromisoformat(record["at"]) for name, record in verified.items()},
            patience,
        )

    @property
    def targets(self) -> list[Target]:
        """The targets to ask about: those that were verified."""
        return [t for t in self.channel.targets if t.name in self.digests]

    def look(self, now: datetime) -> list[Observation]:
        """Ask everything about all targets, a bounded number at once.

        What could not be asked is UNKNOWN, whatever the reason: a signal that has a fault is no
        word about a target.
        """
        answers = [self._each(STATUS, lambda target: [self._status(target)])]
        for signal in self.signals:
            name = type(signal).__name__
            if isinstance(signal, BatchSignal):
                answers.append(self._all(name, signal, now))
            else:
                answers.append(self._each(name, signal.observe))
        found = [
            observation
            for target in self.targets
            for number, answer in enumerate(answers)
            for observation in self._settled((number, target.name), list(answer[target.name]))
        ]
        if GateKind.HEALTH in self.channel.gate:
            return found
        return [o for o in found if o.health is not Health.UNKNOWN or o.signal == STATUS]

    def _each(
        self, name: str, ask: Callable[[Target], Sequence[Observation]]
    ) -> Mapping[str, Sequence[Observation]]:
        def answer(target: Target) -> Sequence[Observation]:
            try:
                return ask(target)
            except Exception as error:  # noqa: BLE001 - see look
                return [_unknown(target, name, error)]

        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            given = pool.map(answer, self.targets)
            return dict(zip([t.name for t in self.targets], given, strict=True))

    def _all(
        self, name: str, signal: BatchSignal, now: datetime
    ) -> Mapping[str, Sequence[Observation]]:
        try:
            given = signal.observe_all(self.targets, since=self.since, now=now)
            return {t.name: given[t.name] for t in self.targets}
        except Exception as error:  # noqa: BLE001 - see look
            return {t.name: [_unknown(t, name, error)] for t in self.targets}

    def _settled(self, key: tuple[int, str], given: list[Observation]) -> list[Observation]:
        """Let what was known stand while a signal is silent for fewer looks than ``patience``."""
        if not given or any(o.health is not Health.UNKNOWN for o in given):
            self._silent.pop(key, None)
            self._known[key] = given
            return given
        self._silent[key] += 1
        return given if self._silent[key] >= self.patience else self._known.get(key, given)

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


def _unknown(target: Target, signal: str, error: Exception) -> Observation:
    """Say that a target could not be asked; the text of a stranger's error may hold secrets."""
    if isinstance(error, RolloutError):
        return Observation(target.name, signal, Health.UNKNOWN, str(error))
    _log.warning("%s: %s could not be asked", target.name, signal, exc_info=error)
    what = f"has a fault ({type(error).__name__}): see the log"
    return Observation(target.name, signal, Health.UNKNOWN, what)


def evidence_of(observations: Iterable[Observation]) -> list[list[str]]:
    """Give observations as they are recorded: target, signal, health, detail."""
    return [[o.target, o.signal, o.health, o.detail] for o in observations]


def keep(
    records: RolloutRecords, observations: Iterable[Observation], *, channel: str, at: datetime
) -> None:
    """Record what was observed, unless that is how all was when it was recorded last."""
    seen, found = records.latest(Kind.OBSERVED, channel=channel), evidence_of(observations)
    if seen is None or [one[:3] for one in seen["evidence"]] != [one[:3] for one in found]:
        records.add(Kind.OBSERVED, at=at, channel=channel, evidence=found)
