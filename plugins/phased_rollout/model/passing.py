"""What must be on record for a graduation, and for what comes after one.

Asked long after, of all that was written: by presence, as processes that Airflow took for lost may
have gone on meanwhile. What lets a rollout take its next step is stricter, see guards.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from phased_rollout.model.ledger import Entry, Kind
from phased_rollout.model.plan import Plan

_PASSES = frozenset({Kind.GRADUATED, Kind.BYPASSED, Kind.UNCHANGED})
_LEFT_TO_A_PERSON = "inconclusive"
_JUDGED = frozenset({"healthy", _LEFT_TO_A_PERSON})


def why_not_graduated(plan: Plan, entries: Sequence[Entry], *, channel: str) -> Iterator[str]:
    """Say what a graduation lacks: an entry, each target, a judgement, an approval, those before.

    :param entries: what its certificate covers
    """
    if channel not in plan.names or plan.is_bypassed(channel):
        yield f"the plan does not let the change into {channel}"
        return
    own = [e for e in entries if e.channel == channel]
    entered = min((e.at for e in own if e.kind is Kind.ENTERED), default=None)
    if entered is None:
        yield f"{channel} was never entered"
        return
    since = [e for e in own if e.at >= entered]
    counted = {e.target for e in since if e.kind in (Kind.VERIFIED, Kind.EXCEPTED)}
    planned = plan.definition.channel(channel)
    if missing := [t.name for t in planned.targets if t.name not in counted]:
        yield f"not verified since {channel} was entered: {', '.join(missing)}"
    judged = sorted((e for e in since if e.kind in _JUDGED), key=lambda e: e.at)
    if not judged:
        yield f"{channel} was never judged"
    asked = planned.needs_approval or (judged and judged[-1].kind == _LEFT_TO_A_PERSON)
    if asked and not any(e.kind is Kind.APPROVED for e in since):
        yield f"nobody approved {channel}"
    for earlier in plan.before(channel):
        if not _is_passed(entries, earlier.name):
            yield f"nothing says how the change left {earlier.name}"


def why_not_reached(plan: Plan, entries: Sequence[Entry]) -> Iterator[str]:
    """Say which channel was entered, or run finished, although nothing let it."""
    for channel in plan.names:
        if any(e.kind is Kind.ENTERED and e.channel == channel for e in entries):
            for earlier in plan.before(channel)[-1:]:
                if not _is_passed(entries, earlier.name):
                    what = f"{channel} was entered, but"
                    yield f"{what} nothing says how the change left {earlier.name}"
    kinds = {e.kind for e in entries}
    if Kind.FINISHED in kinds and Kind.NOTHING_TO_CHANGE not in kinds:
        for channel in plan.names:
            if not _is_passed(entries, channel):
                yield f"the rollout has finished, but nothing says how the change left {channel}"


def _is_passed(entries: Sequence[Entry], channel: str) -> bool:
    return any(e.kind in _PASSES and e.channel == channel for e in entries)
