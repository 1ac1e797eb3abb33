"""That a stack is changed only as it was previewed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from phased_rollout.errors import DriftedError
from phased_rollout.model.target_state import Artifact, Preview, TargetState
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.cloudformation.api import StackApi
from phased_rollout.substrates.cloudformation.differences import seen
from phased_rollout.substrates.cloudformation.stack import ChangeSet
from phased_rollout.substrates.cloudformation.states import words_of

UNSEEN = "unseen"
"""Digest of the preview of a stack of which nothing could be seen, which it called destructive."""

_ROUGHLY = "~"
_LINES = 5


@dataclass(frozen=True, slots=True)
class Bound:
    """What an apply is held to.

    :param expected: the digest of the preview that people saw
    :param state: what the stack runs before
    """

    expected: str
    state: TargetState

    def check(
        self, api: StackApi, made: ChangeSet, wanted: Artifact, *, mutation: Mutation
    ) -> None:
        """Delete a ChangeSet that would do something else, and raise DriftedError."""
        if self.expected == UNSEEN:
            return
        now = seen(api, made, state=self.state, artifact=wanted)
        if self._allows(now):
            return
        with mutation():
            api.delete_set(made)
            api.drop_shell(made.stack_arn, client_token=made.name)
        lines = "\n".join(_lines(now))
        raise DriftedError(
            f"{words_of(api)}: nothing was changed, because this is not what was previewed "
            f"({self.expected[:12]}): preview it again. Now it would be:\n{lines}"
        )

    def _allows(self, now: Preview) -> bool:
        if not self.expected.startswith(_ROUGHLY):
            return now.digest == self.expected
        seen_before = self.expected.removeprefix(_ROUGHLY).partition(".")[0]
        harm = _harm(now)
        return not harm.differences or harm.digest == seen_before


def roughly(preview: Preview) -> Preview:
    """Let a preview that could not wholly look ahead be held to what it calls destructive."""
    return replace(preview, partial=f"{_ROUGHLY}{_harm(preview).digest}.{preview.digest}")


def _harm(preview: Preview) -> Preview:
    return Preview(differences=tuple(d for d in preview.differences if d.destructive))


def _lines(preview: Preview) -> Iterator[str]:
    ordered = sorted(preview.differences, key=lambda each: not each.destructive)
    lines = [
        f"{'DESTRUCTIVE ' if d.destructive else ''}{d.action} {d.kind} {d.resource} {d.detail}"
        for d in ordered
    ] + list(preview.irreversible)
    more = len(lines) - _LINES
    yield from (line.strip() for line in (lines[: _LINES - 1] if more > 0 else lines))
    if more > 0:
        yield f"and {more + 1} more"
