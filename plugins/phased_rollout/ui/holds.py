"""Why a run does not go on, beyond the way that every rollout goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import Plan
from phased_rollout.model.windows import Freeze, FreezeWindow
from phased_rollout.recurrence import freeze_of
from phased_rollout.ui.cells import Stage
from phased_rollout.ui.facts import Facts

PASSED = (Stage.GRADUATED, Stage.BYPASSED, Stage.UNCHANGED)
STARTS = (Stage.WAITING, Stage.APPLYING)
"""Where targets of a channel are still to be started."""
_FROZEN = "frozen by "
_SILENT = (Kind.HELD, Kind.ASKED, Kind.CLOSED, Kind.STUCK, Kind.OPERATOR_HOLD)
"""What may be recorded while something holds, and does not end it."""


class Why(StrEnum):
    """What kind of hold it is."""

    OPERATOR = "operator"
    FREEZE = "freeze"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that keeps targets from being started, or a task from going on.

    :param channel: where it stops the run now; empty while it only will
    :param until: when it ends by itself, if that is known
    """

    why: Why
    reason: str
    channel: str = ""
    who: str = ""
    since: datetime | None = None
    until: datetime | None = None


def next_channel(stages: Mapping[str, Stage]) -> str | None:
    """Name the first channel that is not passed."""
    return next((name for name, stage in stages.items() if stage not in PASSED), None)


def holds_of(facts: Facts, stages: Mapping[str, Stage], now: datetime) -> list[Hold]:
    """Give what holds a run that is under way, the operator's word first."""
    if facts.ledger.is_given_up:
        return []
    found = [*_operator(facts, stages), *_frozen(facts, stages, now)]
    return [*found, *_others(facts, stopped=any(hold.channel for hold in found))]


def freezes(plan: Plan | None, now: datetime) -> list[str]:
    """Say which channels are frozen now: what of a view depends on nothing but the time."""
    if plan is None or not plan.obeys_freezes:
        return []
    return [str(freeze_at(channel.freeze, now)) for channel in plan.channels if channel.freeze]


def freeze_at(windows: tuple[FreezeWindow, ...], now: datetime) -> Freeze | None:
    """Say what freezes now, to the minute: recurrences are slow to follow."""
    return _freeze(windows, now.replace(second=0, microsecond=0))


@lru_cache(maxsize=1024)
def _freeze(windows: tuple[FreezeWindow, ...], minute: datetime) -> Freeze | None:
    return freeze_of(windows, minute)


def _operator(facts: Facts, stages: Mapping[str, Stage]) -> Iterator[Hold]:
    if not facts.ledger.is_held:
        return
    record, name = facts.records(Kind.OPERATOR_HOLD)[-1], next_channel(stages)
    stops = name if name and stages[name] in STARTS else ""
    since = datetime.fromisoformat(record["at"])
    yield Hold(Why.OPERATOR, record["reason"], stops, record["user"], since)


def _frozen(facts: Facts, stages: Mapping[str, Stage], now: datetime) -> Iterator[Hold]:
    """Give the freeze of the channel that starts targets next; it stops what was told to wait."""
    name = next((name for name, stage in stages.items() if stage in STARTS), None)
    if facts.plan is None or name is None or not facts.plan.obeys_freezes:
        return
    freeze = freeze_at(facts.plan.definition.channel(name).freeze, now)
    if freeze is None:
        return
    begun = facts.ledger.last(Kind.ENTERED, Kind.ROLLED_BACK, channel=name)
    told = facts.ledger.last(Kind.HELD, channel=name)
    stops = told > begun and name == next_channel(stages)
    yield Hold(
        Why.FREEZE,
        f"{name} is {freeze}",
        name if stops else "",
        since=told if stops else None,
        until=freeze.opens_at,
    )


def _others(facts: Facts, *, stopped: bool) -> Iterator[Hold]:
    """Give the hold that was recorded last, unless something has happened since."""
    told = facts.records(Kind.HELD)[-1:]
    happened = facts.ledger.last_of_any(*(kind for kind in Kind if kind not in _SILENT))
    of_targets = (ledger.last_of_any(*Kind) for ledger in facts.targets.values())
    newest = max([happened, *of_targets])
    for record in told:
        at = datetime.fromisoformat(record["at"])
        barred = stopped or record["reason"].startswith((_FROZEN, "held by "))
        if at > newest and not barred:
            yield Hold(Why.OTHER, record["reason"], record["channel"] or "the run", since=at)
