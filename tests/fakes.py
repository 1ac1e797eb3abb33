"""A substrate, a signal and metrics in memory, for tests of the engine itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from phased_rollout.errors import DriftedError, RefusedError, RolloutError, UnreachableError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.digest import digest_of
from phased_rollout.model.metric import Metric, Worse
from phased_rollout.model.target_state import (
    Artifact,
    Health,
    Observation,
    Outcome,
    Preview,
    Progress,
    TargetState,
)
from phased_rollout.substrates import Mutation


@dataclass
class FakeSubstrate:
    """Targets as a dictionary; ``refuses`` and ``unreachable`` name those that misbehave.

    Those in ``keeps`` refuse to be restored.

    ``previews`` is what each would change, asked by a preview or held to by an apply.

    With ``stays_busy`` what is applied is not done before it is taken out of ``busy``. ``faults``
    is what it says of any change.
    """

    running: dict[str, Artifact] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    keeps: set[str] = field(default_factory=set)
    unreachable: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    previews: dict[str, Preview] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    platforms: dict[str, str | RolloutError] = field(default_factory=dict)
    stays_busy: bool = False

    def render(self, change: Change, *, channel: str, target: Target) -> Artifact:
        body = {"files": dict(change.files), "channel": channel}
        return Artifact(digest_of(body), body)

    def check(self, change: Change, targets: Sequence[Target]) -> list[str]:
        self.calls.append(f"check {', '.join(target.name for target in targets)}")
        return list(self.faults)

    def read(self, target: Target) -> TargetState:
        self._ask(target)
        return TargetState(self.running.get(target.name), settled=target.name not in self.busy)

    def platform(self, target: Target) -> str | None:
        answer = self.platforms.get(target.name)
        if isinstance(answer, RolloutError):
            raise answer
        return answer

    def preview(self, target: Target, artifact: Artifact, *, token: str) -> Preview:
        self._ask(target)
        return self.previews.get(target.name, Preview())

    def apply(
        self,
        target: Target,
        artifact: Artifact,
        *,
        token: str,
        mutation: Mutation,
        expected: str | None = None,
    ) -> Progress:
        self._ask(target)
        if target.name in self.busy:
            return Progress(Outcome.WAITING, "in progress")
        if self.running.get(target.name) == artifact:
            return Progress(Outcome.DONE, "runs it")
        if expected not in (None, self.previews.get(target.name, Preview()).digest):
            raise DriftedError(f"{target.name} would change otherwise now")
        with mutation():
            if target.name in self.refuses:
                raise RefusedError(f"{target.name} says no")
            if self.stays_busy:
                self.busy.add(target.name)
            self.calls.append(f"apply {target.name}")
            self.running[target.name] = artifact
        return Progress(Outcome.WAITING if self.stays_busy else Outcome.DONE, "applied")

    def settled(self, target: Target, *, token: str) -> bool:
        self._ask(target)
        return target.name not in self.busy

    def verify(self, target: Target, artifact: Artifact) -> TargetState:
        if self.running.get(target.name) != artifact:
            raise RefusedError(f"{target.name} runs something else")
        return TargetState(artifact)

    def restore(
        self,
        target: Target,
        *,
        before: TargetState,
        applied: Artifact,
        token: str,
        mutation: Mutation,
    ) -> Progress:
        self._ask(target)
        if target.name in self.keeps:
            raise RefusedError("termination protection")
        with mutation():
            self.calls.append(f"restore {target.name}")
            self.running.pop(target.name, None)
        return Progress(Outcome.DONE, "restored")

    def _ask(self, target: Target) -> None:
        if target.name in self.unreachable:
            raise UnreachableError(f"{target.name} does not answer")


@dataclass
class FakeSignal:
    """Says the same of every target."""

    health: Health = Health.OK

    def observe(self, target: Target) -> Sequence[Observation]:
        return [Observation(target.name, "fake", self.health, "as the test says")]


@dataclass
class FakeMetrics:
    """Judged metrics with known series: target to points; a target without any is silent."""

    metrics: tuple[Metric, ...] = (Metric("errors", Worse.HIGHER, min_points=10, period=300.0),)
    points: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    error: Exception | None = None
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)

    def series(
        self, targets: Sequence[Target], *, metric: Metric, start: datetime, end: datetime
    ) -> dict[str, list[tuple[float, float]]]:
        self.asked.append((start, end))
        if self.error:
            raise self.error
        first, last = start.timestamp(), end.timestamp()
        return {
            t.name: [p for p in self.points.get(t.name, []) if first <= p[0] < last]
            for t in targets
        }

    def exposure(
        self, targets: Sequence[Target], *, metric: Metric, start: datetime, end: datetime
    ) -> dict[str, float]:
        return {t.name: float(len(self.points.get(t.name, []))) for t in targets}
