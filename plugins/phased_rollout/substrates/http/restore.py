"""The way back: to the earlier values, unless somebody else has changed them since."""

from __future__ import annotations

from phased_rollout.errors import UnreachableError
from phased_rollout.model.target_state import Outcome, Progress
from phased_rollout.substrates.http.api import ChangedError
from phased_rollout.substrates.http.spec import Standing
from phased_rollout.substrates.http.steps import (
    Work,
    conclude,
    deliver,
    is_stuck,
    is_there,
    now,
)
from phased_rollout.substrates.http.tenant import Seen, Values, is_same

_TRIES = 3


def restore(work: Work, applied: Values) -> Progress:
    """Take the next step back, by looking at the tenant anew each time that others change it."""
    if accepted := work.attempts.accepted:
        return conclude(work, accepted)
    for _ in range(_TRIES):
        seen = work.tenant.look()
        if progress := _without_sending(work, seen, applied):
            return progress
        try:
            return conclude(work, deliver(work, seen))
        except ChangedError:
            continue
    raise UnreachableError(f"{work.tenant} is being changed all the time: asked again later")


def _without_sending(work: Work, seen: Seen, applied: Values) -> Progress | None:
    """Say what holds without any request: it is so already, in progress, or somebody else's."""
    if seen.standing is Standing.PENDING:
        # An operation that never ends is ended by the earlier values, if anything does that.
        work.attempts.meet(now())
        if not is_stuck(work.spec, work.attempts):
            return Progress(Outcome.WAITING, f"{work.tenant}: an operation goes on: {seen.words}")
    elif is_there(seen, work.digest) and (work.lenient or seen.standing is Standing.GOOD):
        return Progress(Outcome.DONE, f"{work.tenant} runs what it ran before: {seen.words}")
    if not _is_ours(seen, applied, work.wanted):
        what = f"{work.tenant} was changed by somebody else since: {seen.words}"
        return Progress(Outcome.LEFT_ALONE, what)
    return None


def _is_ours(seen: Seen, applied: Values, before: Values | None) -> bool:
    """Whether each value is the applied or the earlier one: a whole or a partial apply."""
    found, earlier = seen.values or {}, before or {}
    return all(
        is_same(found, applied, name) or is_same(found, earlier, name)
        for name in {*found, *applied, *earlier}
    )
