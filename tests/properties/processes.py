"""Processes that stop before every side effect, so that a test may kill or mix them there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from greenlet import getcurrent, greenlet

from tests.builders import START

TICK = timedelta(milliseconds=1)


class Killed(BaseException):
    """SIGKILL: nothing of the process runs after it, no ``finally`` either (see ``point``)."""


@dataclass
class Clock:
    """Time as the test wants it. Two readings are never equal."""

    at: datetime = START

    def now(self, *_: object) -> datetime:
        self.at += TICK
        return self.at

    def reach(self, moment: datetime) -> None:
        self.at = max(self.at, moment)


@dataclass(eq=False)
class Process:
    """One process of a task, of a trigger, or of a callback.

    :param is_elsewhere: on another host, where nobody can see that it is dead
    :param failing: its task has failed, and it runs the failure callback
    :param holds: how many locks it is inside of
    :param seen: what it has read of the targets, by name
    :param file: the definition in the file that it was started with
    """

    number: int
    name: str
    run_id: str
    body: Callable[[], None]
    dead: bool = False
    is_elsewhere: bool = False
    failing: bool = False
    holds: int = 0
    label: str = ""
    seen: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    file: Any = None

    def __post_init__(self) -> None:
        self._greenlet = _Greenlet(self)

    @property
    def over(self) -> bool:
        return self._greenlet.dead

    def run(self, points: int | None = None) -> None:
        """Let it run until it has stopped so many times, or to its end."""
        passed = 0
        while not self.over and (points is None or passed < points):
            self.label = self._greenlet.switch() or ""
            passed += 1

    def kill(self) -> None:
        """End it where it stands: what it had done stays done, nothing else happens."""
        self.dead = True
        if not self.over:
            if self._greenlet:
                self._greenlet.throw(Killed)
            else:  # never started
                self.body = lambda: None
                self.run()


class _Greenlet(greenlet):
    def __init__(self, process: Process) -> None:
        super().__init__(self._live)
        self.process = process

    def _live(self) -> None:
        try:
            self.process.body()
        except Killed:
            self.process.dead = True


def current() -> Process | None:
    """Give the process that runs now; None is the test itself."""
    found = getcurrent()
    return found.process if isinstance(found, _Greenlet) else None


def point(label: str) -> None:
    """Stop here until the test lets the process go on; a process that was killed never does."""
    process = current()
    if process is None:
        return
    if process.dead:
        raise Killed
    parent = getcurrent().parent
    if parent is None:
        raise RuntimeError("a process outside of a test")
    parent.switch(label)
    if process.dead:
        raise Killed
