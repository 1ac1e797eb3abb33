"""What the suite has to be told of a kind of substrate: how to make targets, break and look."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Protocol

from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.substrates import Substrate

PATIENCE = 60.0
"""Seconds in which an operation has to end."""


class Harness(Protocol):
    """A world of targets of one kind. Everything but ``substrate`` goes past the substrate.

    Built as ``cls()`` once for a session; ``close`` takes away whatever it made.

    :param many: how many targets are changed at once, hundreds where that is bearable
    """

    many: int

    def substrate(self) -> Substrate:
        """Build a new one, as another process would."""

    def target(self) -> Target:
        """Make a target that runs nothing yet; each has a name of its own."""

    def change(self, value: str, *, extra: bool = False) -> Change:
        """Give a change of one thing that shows the value, and of a second one with ``extra``."""

    def shown(self, target: Target) -> tuple[str | None, bool]:
        """Look which value the target shows, and whether the second thing is there."""

    def trace(self, target: Target) -> Hashable:
        """Give what differs as soon as anything of the target was changed, or was left there."""

    def by_hand(self, target: Target, value: str) -> None:
        """Let the target show the value, as somebody else would do it with a tool of theirs."""

    def refusal(self, target: Target) -> AbstractContextManager[tuple[Change, str]]:
        """Give a change that the target refuses, and what the system says then."""

    def silence(self, target: Target) -> AbstractContextManager[None]:
        """Let the target not answer."""

    def lost_replies(self, target: Target, *, skip: int) -> AbstractContextManager[None]:
        """Let mutations of the target go through, and one reply be lost after ``skip`` others."""

    def close(self) -> None:
        """Take away what was made."""


def await_so(look: Callable[[], bool], *, what: str) -> None:
    """Return once it is so; raises AssertionError when it is not in time."""
    give_up = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < give_up, f"still not {what}"
        time.sleep(0.02)
