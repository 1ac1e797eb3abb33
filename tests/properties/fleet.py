"""Targets in memory that keep a log of everything that was ever done to them, and by whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from phased_rollout.errors import DriftedError, RefusedError, UnreachableError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import (
    Artifact,
    Difference,
    Health,
    Observation,
    Outcome,
    Preview,
    Progress,
    TargetState,
)
from phased_rollout.substrates import Mutation
from tests.properties.processes import Clock, Process, current, point

OPERATION = timedelta(seconds=30)
HALF = "half of "


@dataclass(frozen=True)
class Act:
    """One thing that was done to a target. ``run`` is empty when a person did it.

    :param at: when the product had last asked whether it may
    :param kind: apply, restore, hand, refused, failed, verified, or kept: it was not restored
    """

    number: int
    at: datetime
    kind: str
    target: str
    run: str
    process: Process | None
    before: str | None
    after: str | None


@dataclass
class Operation:
    """A change in progress that ends by itself; ``ends`` is how: done, half or back."""

    token: str
    run: str
    goal: Artifact | None
    until: datetime
    ends: str


@dataclass
class Box:
    """One target, and how it will behave from now on.

    :param refuses: apply: "" or "at once", or an operation that ends "half" or "back"
    """

    running: Artifact | None = None
    healthy: bool = True
    operation: Operation | None = None
    failed: set[str] = field(default_factory=set)
    refuses: str = ""
    keeps: bool = False
    unreachable: bool = False
    loses_reply: bool = False
    slow: bool = False
    harm: bool = False
    silent: bool = False

    @property
    def digest(self) -> str | None:
        return self.running.digest if self.running else None


def render(text: str, channel: str) -> Artifact:
    """Give the change of that name as a target of the channel runs it."""
    return Artifact(f"{text}@{channel}", {"text": text, "channel": channel})


@dataclass
class Fleet:
    """The substrate: obeys the contract of ``Substrate``, and stops before and after mutations.

    :param hasty: a restore that finds nothing to do does not ask for the target's lock
    """

    clock: Clock
    boxes: dict[str, Box] = field(default_factory=dict)
    log: list[Act] = field(default_factory=list)
    watch: list[Callable[[Act], None]] = field(default_factory=list)
    destructive: bool = False
    hasty: bool = False

    def note(
        self,
        kind: str,
        target: str,
        *,
        after: Artifact | None,
        run: str = "",
        at: datetime | None = None,
    ) -> None:
        """Write to the log what is done to a target, just before it is."""
        process, box = current(), self.boxes[target]
        owner = run or (process.run_id if process else "")
        act = Act(
            number=len(self.log),
            at=at or self.clock.at,
            kind=kind,
            target=target,
            run=owner,
            process=process,
            before=box.digest,
            after=after.digest if after else None,
        )
        self.log.append(act)
        for look in self.watch:
            look(act)

    def by_hand(self, target: str, artifact: Artifact | None) -> None:
        """Let somebody change a target that has no operation in progress."""
        box = self._box(target)
        if box.operation is None:
            self.note("hand", target, after=artifact)
            box.running, box.healthy = artifact, True

    def render(self, change: Change, *, channel: str, target: Target) -> Artifact:
        text = change.files["template.yaml"].rpartition("Type: ")[2]
        return render(text.rstrip("}\n"), channel)

    def check(self, change: Change, targets: Sequence[Target]) -> list[str]:
        return []

    def read(self, target: Target) -> TargetState:
        box = self._ask(target.name)
        busy = box.operation is not None
        if process := current():
            process.seen[target.name] = box.digest if box.healthy and not busy else None
        return TargetState(
            box.running, settled=not busy, healthy=box.healthy, detail="busy" if busy else "fine"
        )

    def preview(self, target: Target, artifact: Artifact, *, token: str) -> Preview:
        self._ask(target.name)
        return Preview((Difference("Remove", "queue", "AWS::SQS::Queue", self.destructive),))

    def apply(
        self,
        target: Target,
        artifact: Artifact,
        *,
        token: str,
        mutation: Mutation,
        expected: str | None = None,
    ) -> Progress:
        box = self._ask(target.name)
        if box.operation:
            return Progress(Outcome.WAITING, "an operation is in progress")
        if token in box.failed:
            raise RefusedError(f"{target.name}: this attempt has failed")
        if box.running == artifact and box.healthy:
            return Progress(Outcome.DONE, "runs the change already")
        if expected not in (None, self.preview(target, artifact, token=token).digest):
            raise DriftedError(f"{target.name} would change otherwise now")
        with mutation():
            asked = self._stop_before(box, "apply", target.name)
            if box.refuses == "at once":
                box.failed.add(token)
                self.note("refused", target.name, after=box.running)
                raise RefusedError(f"{target.name} says no")
            self.note("apply", target.name, after=artifact, at=asked)
            self._begin(box, "apply", target.name, artifact, token=token)
        return self._progress(box, target.name, token)

    def settled(self, target: Target, *, token: str) -> bool:
        return self._ask(target.name).operation is None

    def verify(self, target: Target, artifact: Artifact) -> TargetState:
        state = self.read(target)
        if state.running != artifact or not (state.healthy and state.settled):
            raise RefusedError(f"{target.name} does not run the change")
        self.note("verified", target.name, after=artifact)
        return state

    def restore(
        self,
        target: Target,
        *,
        before: TargetState,
        applied: Artifact,
        token: str,
        mutation: Mutation,
    ) -> Progress:
        box = self._ask(target.name)
        if box.operation:
            return Progress(Outcome.WAITING, "an operation is in progress")
        if box.running == before.running:
            return self._runs_it(box, before, mutation)
        if box.digest not in (applied.digest, HALF + applied.digest):
            return Progress(Outcome.LEFT_ALONE, "somebody else changed it since")
        if box.keeps or token in box.failed:
            box.failed.add(token)
            self.note("kept", target.name, after=box.running)
            raise RefusedError(f"{target.name} cannot be restored")
        with mutation():
            asked = self._stop_before(box, "restore", target.name)
            self.note("restore", target.name, after=before.running, at=asked)
            self._begin(box, "restore", target.name, before.running, token=token)
        return self._progress(box, target.name, token)

    def _runs_it(self, box: Box, before: TargetState, mutation: Mutation) -> Progress:
        """Believe that nothing is to be done only when nobody is about to change it."""
        if not self.hasty:
            with mutation():
                point("looks again")
        if box.operation or box.running != before.running:
            return Progress(Outcome.WAITING, "it was changed in this moment")
        return Progress(Outcome.DONE, "runs what it ran before")

    def finish(self) -> None:
        """End the operations whose time has come."""
        for name in self.boxes:
            self._box(name)

    def _stop_before(self, box: Box, what: str, target: str) -> datetime:
        asked, ran = self.clock.at, box.running
        point(f"{what} {target}")
        if box.running != ran or box.operation:
            raise UnreachableError(f"{target}: changed in this moment, ask again")
        return asked

    def _begin(
        self, box: Box, kind: str, target: str, goal: Artifact | None, *, token: str
    ) -> None:
        process = current()
        run = process.run_id if process else ""
        wait = OPERATION if box.slow else timedelta()
        ends = box.refuses if kind == "apply" and box.refuses else "done"
        box.operation = Operation(token, run, goal, self.clock.at + wait, ends)
        self._box(target)
        point(f"{kind} {target} was begun")
        if box.loses_reply:
            box.loses_reply = False
            raise UnreachableError(f"{target}: the reply was lost")

    def _progress(self, box: Box, target: str, token: str) -> Progress:
        if box.operation:
            return Progress(Outcome.WAITING, "in progress")
        if token in box.failed:
            raise RefusedError(f"{target}: the operation failed")
        return Progress(Outcome.DONE, "done")

    def _ask(self, target: str) -> Box:
        box = self._box(target)
        if box.unreachable:
            raise UnreachableError(f"{target} does not answer")
        return box

    def _box(self, target: str) -> Box:
        box = self.boxes[target]
        operation = box.operation
        if operation and operation.until <= self.clock.at:
            box.operation = None
            if operation.ends == "done":
                box.running, box.healthy = operation.goal, True
            else:
                box.failed.add(operation.token)
                box.healthy = False
                goal = operation.goal
                if operation.ends == "half" and goal:
                    box.running = Artifact(HALF + goal.digest, goal.body)
                self.note("failed", target, run=operation.run, after=box.running)
        return box


@dataclass
class FleetSignal:
    """Says of each target what the test wants."""

    fleet: Fleet

    def observe(self, target: Target) -> Sequence[Observation]:
        box = self.fleet.boxes[target.name]
        health = Health.HARM if box.harm else Health.UNKNOWN if box.silent else Health.OK
        if (process := current()) and (box.harm or box.silent):
            process.seen[target.name, health.value] = True
        return [Observation(target.name, "fake", health, "as the test says")]
