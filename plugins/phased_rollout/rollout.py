"""One rollout as its tasks see it: frozen plan, change, records, and the systems it talks to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from phased_rollout import health, locks, substrates
from phased_rollout.errors import RolloutError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Channel, Target
from phased_rollout.model.digest import digest_of
from phased_rollout.model.plan import Plan
from phased_rollout.model.target_state import Artifact
from phased_rollout.records import RecordStore, RolloutRecords

AT_ONCE = 32
"""Targets that one process talks to at the same time."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Rollout:
    """Opened by each task and trigger; reads the plan once, the ledger whenever it matters."""

    records: RolloutRecords

    @classmethod
    def open(cls, definition: str, run_id: str) -> Rollout:
        """Open the records of a run."""
        return cls(RecordStore.from_environment().rollout(definition, run_id))

    @cached_property
    def plan(self) -> Plan:
        """The frozen plan."""
        return self.records.plan()

    @cached_property
    def change(self) -> Change:
        """The frozen change."""
        return self.records.change()

    @cached_property
    def substrate(self) -> substrates.Substrate:
        """The adapter to the targets."""
        return substrates.build(self.plan.definition.substrate)

    def signals(self, channel: Channel) -> list[health.Polled]:
        """The declared health signals of a channel that are polled."""
        return health.build(channel.signals)

    def sources(self, channel: Channel) -> list[health.MetricSource]:
        """The sources of a channel's metrics that are judged."""
        return health.sources(channel.signals)

    def targets(self, channel: str, names: Iterable[str]) -> list[Target]:
        """Find targets by name, in the plan's channel only; raises RolloutError for any other."""
        known = {t.name: t for t in self.plan.definition.channel(channel).targets}
        wanted = list(names)
        if foreign := [n for n in wanted if n not in known]:
            raise RolloutError(f"not in channel {channel} of the plan: {', '.join(foreign)}")
        return [known[n] for n in wanted]

    def artifact(self, channel: str, target: Target) -> Artifact:
        """Give the change as this target runs it."""
        return self.substrate.render(self.change, channel=channel, target=target)

    def runs(self, channel: str, target: Target) -> bool:
        """Read whether the target runs the change, settled and healthy."""
        state, artifact = self.substrate.read(target), self.artifact(channel, target)
        return state.settled and state.healthy and state.digest == artifact.digest

    def token(self, *parts: str) -> str:
        """Name one attempt: 16 digits for the rollout, 16 for what is attempted."""
        rollout = [self.records.definition, self.records.run_id]
        return f"{digest_of(rollout)[:16]}-{digest_of([*rollout, *parts])[:16]}"

    def mutation(
        self, target: Target, *, allow: Callable[[], None], clock: Callable[[], datetime]
    ) -> Callable[[], AbstractContextManager[None]]:
        """Build the guard of mutating calls: the target's lock, and under it ``allow``."""
        owner = locks.Owner.this_process(self.records.run_id)

        @contextmanager
        def guarded() -> Iterator[None]:
            with locks.held(self.records, target=target.name, owner=owner, clock=clock):
                allow()
                yield

        return guarded


def for_each(
    targets: Iterable[Target], step: Callable[[Target], Answer]
) -> dict[str, Answer | RolloutError]:
    """Take a step at many targets at once; a RolloutError is the answer of that target alone."""

    def answer(target: Target) -> Answer | RolloutError:
        try:
            return step(target)
        except RolloutError as error:
            return error

    wanted = list(targets)
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, max(1, len(wanted)))) as pool:
        return dict(zip([t.name for t in wanted], pool.map(answer, wanted), strict=True))
