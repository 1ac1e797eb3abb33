"""What a rollout's task instances say about its channels. Pure: no clock, no network."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from graphlib import TopologicalSorter
from typing import Any

RUN_STEPS = ("plan", "preview", "authorize", "outcome")
STEPS = ("enter", "apply", "soak", "health", "gate")
_USUAL_OVERHEAD = timedelta(seconds=3)


class Mark(StrEnum):
    """How far a step is, as a person cares to know."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    ASKING = "waits for a person"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    BLOCKED = "blocked"


# Of several map indexes the first of these that occurs speaks for the step.
_LOUDEST = (Mark.FAILED, Mark.ASKING, Mark.RETRYING, Mark.RUNNING)
_MARKS: Mapping[str | None, Mark] = {
    None: Mark.WAITING,
    "scheduled": Mark.WAITING,
    "queued": Mark.RUNNING,
    "running": Mark.RUNNING,
    "restarting": Mark.RUNNING,
    "deferred": Mark.RUNNING,
    "up_for_reschedule": Mark.RUNNING,
    "up_for_retry": Mark.RETRYING,
    "awaiting_input": Mark.ASKING,
    "success": Mark.DONE,
    "skipped": Mark.SKIPPED,
    "removed": Mark.SKIPPED,
    "failed": Mark.FAILED,
    "upstream_failed": Mark.BLOCKED,
}


@dataclass(frozen=True, slots=True)
class Task:
    """One task instance of a run, as far as progress needs it."""

    task_id: str
    state: str | None
    map_index: int = -1
    label: str | None = None
    attempt: int = 1
    began: datetime | None = None
    ended: datetime | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Task":
        """Read a task instance of the REST API."""
        return cls(
            task_id=raw["task_id"],
            state=raw["state"],
            map_index=raw["map_index"],
            label=raw.get("rendered_map_index"),
            attempt=raw["try_number"],
            began=_moment(raw["start_date"]),
            ended=_moment(raw["end_date"]),
        )

    @property
    def mark(self) -> Mark:
        """How far it is; a state that we do not know is one that goes on.

        A gate watches its channel, deferred, while it waits for a person.
        """
        if self.state == "deferred" and self.task_id.endswith(".gate"):
            return Mark.ASKING
        return _MARKS.get(self.state, Mark.RUNNING)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a channel; `total` counts its waves once they are known."""

    mark: Mark
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Channel:
    """Progress of one channel: its steps, its rollback, when it began and ended."""

    name: str
    steps: Mapping[str, Step]
    restore: Step
    began: datetime | None = None
    ended: datetime | None = None

    @property
    def marks(self) -> frozenset[Mark]:
        """The marks that occur in its steps."""
        return frozenset(step.mark for step in self.steps.values())

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be expected of it."""
        return not self.marks & {Mark.WAITING, Mark.RUNNING, Mark.RETRYING, Mark.ASKING}


def channel_order(tasks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the channels of a Dag in the order in which they run, from its tasks of the API."""
    upstream: dict[str, set[str]] = {}
    for task in tasks:
        upstream.setdefault(task["task_id"], set())
        for after in task["downstream_task_ids"]:
            upstream.setdefault(after, set()).add(task["task_id"])
    order = TopologicalSorter(upstream).static_order()
    return [task.removesuffix(".enter") for task in order if task.endswith(".enter")]


def read_channels(tasks: Sequence[Task], *, order: Sequence[str]) -> list[Channel]:
    """Return the progress of each channel, in the given order."""
    return [_read_channel(name, tasks) for name in order]


def read_run_steps(tasks: Sequence[Task]) -> dict[str, Step]:
    """Return the progress of the steps that belong to no channel."""
    return {name: _read_step([t for t in tasks if t.task_id == name]) for name in RUN_STEPS}


def remaining(
    channels: Sequence[Channel],
    *,
    soaks: Mapping[str, timedelta],
    soak_ends: Mapping[str, datetime],
    now: datetime,
) -> timedelta | None:
    """Estimate how long the rollout still takes; None once it fails or waits for a person.

    What is left of the soaks, and for each channel to come as much overhead as the finished ones
    had on average.
    """
    if any(c.marks & {Mark.FAILED, Mark.BLOCKED, Mark.ASKING} for c in channels):
        return None
    overhead = _overhead(channels, soaks=soaks)
    left = timedelta()
    for channel in (c for c in channels if not c.is_over):
        end = soak_ends.get(channel.name)
        if channel.steps["soak"].mark in {Mark.DONE, Mark.SKIPPED}:
            continue
        if channel.steps["apply"].mark is Mark.DONE and end is not None:
            left += max(end - now, timedelta())
        else:
            left += soaks.get(channel.name, timedelta()) + overhead
    return left


def _overhead(channels: Sequence[Channel], *, soaks: Mapping[str, timedelta]) -> timedelta:
    known = [
        max(c.ended - c.began - soaks.get(c.name, timedelta()), timedelta())
        for c in channels
        if c.is_over and c.began is not None and c.ended is not None
    ]
    return sum(known, timedelta()) / len(known) if known else _USUAL_OVERHEAD


def _read_channel(name: str, tasks: Sequence[Task]) -> Channel:
    own = {step: [t for t in tasks if t.task_id == f"{name}.{step}"] for step in STEPS}
    flat = [task for group in own.values() for task in group]
    began = [t.began for t in flat if t.began is not None]
    ended = [t.ended for t in flat if t.ended is not None]
    return Channel(
        name=name,
        steps={step: _read_step(group) for step, group in own.items()},
        restore=_read_step([t for t in tasks if t.task_id == f"rollback.{name}"]),
        began=min(began, default=None),
        ended=max(ended, default=None),
    )


def _read_step(tasks: Sequence[Task]) -> Step:
    marks = [task.mark for task in tasks]
    mapped = [task for task in tasks if task.map_index >= 0]
    done = sum(task.mark is Mark.DONE for task in mapped)
    return Step(mark=_overall(marks), done=done, total=len(mapped))


def _overall(marks: Sequence[Mark]) -> Mark:
    for mark in _LOUDEST:
        if mark in marks:
            return mark
    kinds = set(marks)
    if len(kinds) == 1:
        return kinds.pop()
    if Mark.BLOCKED in kinds:
        return Mark.BLOCKED
    if Mark.WAITING in kinds:
        return Mark.RUNNING if Mark.DONE in kinds else Mark.WAITING
    return Mark.DONE if Mark.DONE in kinds else Mark.WAITING


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
