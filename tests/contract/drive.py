"""Takes a substrate through operations as the engine does: in steps, by other processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from phased_rollout.errors import GuardError, UnreachableError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Artifact, Outcome, Progress, TargetState
from phased_rollout.substrates import Substrate
from tests.contract.harness import Harness, await_so

APPLY, AGAIN, RESTORE = "0123456789abcdef-1", "0123456789abcdef-2", "0123456789abcdef-9"
"""Tokens: attempts of one rollout."""

PREVIEW = "0123456789abcdef-3"
_STEPS = 50


class KilledError(BaseException):
    """The process is gone: nothing may catch this."""


class Guard:
    """Counts the mutations; refuses, or kills the process, after a certain number of them.

    :param looks: at the target after each
    """

    def __init__(
        self,
        *,
        refuses_after: int | None = None,
        kills_after: int | None = None,
        looks: Callable[[], Hashable] = lambda: None,
    ) -> None:
        self.entered = 0
        self.last_look: Hashable = None
        self._refuses_after, self._kills_after, self._looks = refuses_after, kills_after, looks

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if self.entered == self._refuses_after:
            raise GuardError("a rollback is armed")
        yield
        self.entered += 1
        self.last_look = self._looks()
        if self.entered == self._kills_after:
            raise KilledError


class Driver:
    """One target of a harness."""

    def __init__(self, harness: Harness, target: Target | None = None) -> None:
        self.harness = harness
        self.target = target or harness.target()

    @property
    def substrate(self) -> Substrate:
        """A new one, as in another process."""
        return self.harness.substrate()

    def artifact(self, change: Change) -> Artifact:
        return self.substrate.render(change, channel="playground", target=self.target)

    def read(self) -> TargetState:
        """Read, and pass it through the records as the engine does."""
        return stored(self.substrate.read(self.target))

    def apply(
        self,
        change: Change,
        *,
        token: str = APPLY,
        guard: Guard | None = None,
        expected: str | None = None,
    ) -> Progress:
        artifact, guard = self.artifact(change), guard or Guard()
        return self._driven(
            lambda: self.substrate.apply(
                self.target, artifact, token=token, mutation=guard, expected=expected
            ),
            token=token,
        )

    def restore(
        self,
        before: TargetState,
        applied: Change,
        *,
        guard: Guard | None = None,
        token: str = RESTORE,
    ) -> Progress:
        artifact, guard = self.artifact(applied), guard or Guard()
        return self._driven(
            lambda: self.substrate.restore(
                self.target, before=before, applied=artifact, token=token, mutation=guard
            ),
            token=token,
        )

    def _driven(self, step: Callable[[], Progress], *, token: str) -> Progress:
        for _ in range(_STEPS):
            progress = step()
            if progress.outcome is not Outcome.WAITING:
                return progress
            await_so(lambda: self.substrate.settled(self.target, token=token), what="settled")
        raise AssertionError(f"still waiting: {progress.reason}")


def stored(state: TargetState) -> TargetState:
    """Give what a record holds of a state."""
    if state.running is None:
        return state
    body = json.loads(json.dumps(dict(state.running.body)))
    return replace(state, running=Artifact(state.running.digest, body))


def patiently(act: Callable[[], Progress]) -> Progress:
    """Act again while the target cannot be asked, as the engine does."""
    for _ in range(3):
        try:
            return act()
        except UnreachableError:
            continue
    return act()
