"""The state of each channel and each target, from what is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from phased_rollout.model.definition import Channel
from phased_rollout.model.ledger import NEVER, Entry, Kind, Ledger
from phased_rollout.ui.facts import Facts


class Stage(StrEnum):
    """How far the change has come in a channel."""

    WAITING = "waiting"
    NOT_REACHED = "not_reached"
    BYPASSED = "bypassed"
    UNCHANGED = "unchanged"
    HELD = "held"
    APPLYING = "applying"
    SOAKING = "soaking"
    APPROVAL = "approval"
    GRADUATED = "graduated"
    FAILED = "failed"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"


class State(StrEnum):
    """What has become of a target."""

    WAITING = "waiting"
    UNTOUCHED = "untouched"
    APPLYING = "applying"
    VERIFIED = "verified"
    SOAKING = "soaking"
    HEALTHY = "healthy"
    FAILED = "failed"
    EXCEPTED = "excepted"
    RESTORING = "restoring"
    RESTORED = "restored"
    LEFT_ALONE = "left_alone"
    NOT_RESTORED = "not_restored"
    BYPASSED = "bypassed"
    UNCHANGED = "unchanged"
    HELD = "held"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Cell:
    """A target's state, and since when.

    :param failed: whether it was refused since its channel was entered, whatever came after
    """

    state: State
    at: datetime | None = None
    failed: bool = False


_ENDS = {
    Kind.REFUSED: State.FAILED,
    Kind.EXCEPTING: State.FAILED,
    Kind.EXCEPTED: State.EXCEPTED,
    Kind.RESTORED: State.RESTORED,
    Kind.LEFT_ALONE: State.LEFT_ALONE,
    Kind.RESTORE_FAILED: State.NOT_RESTORED,
}
_DECIDED = {
    Kind.ROLLED_BACK: Stage.ROLLED_BACK,
    Kind.ROLLING_BACK: Stage.ROLLING_BACK,
    Kind.GRADUATED: Stage.GRADUATED,
}
"""What holds for a channel when it is newer than its entry, the last word first."""
_PASSED = (Kind.VERIFIED, Kind.EXCEPTED)
_TELL = (Kind.VERIFIED, *_ENDS)
_UNTOUCHED = dict.fromkeys(
    (Stage.NOT_REACHED, Stage.ROLLING_BACK, Stage.ROLLED_BACK), State.UNTOUCHED
)
_AT_ONCE = {Stage.BYPASSED: State.BYPASSED, Stage.UNCHANGED: State.UNCHANGED}
_FARES = {
    Stage.SOAKING: State.SOAKING,
    Stage.APPROVAL: State.HEALTHY,
    Stage.GRADUATED: State.HEALTHY,
    Stage.ROLLING_BACK: State.RESTORING,
}


def verified_at(facts: Facts, channel: str) -> datetime:
    """Say when the last target of a channel was verified, from when on it soaks."""
    applied = facts.ledger.last(Kind.APPLIED, channel=channel)
    return max(applied, facts.targets[channel].last_of_any(Kind.VERIFIED))


def stage_of(facts: Facts, channel: Channel, *, over: bool) -> Stage:
    """Say how far a channel has come; the newest record decides.

    :param over: whether the run has ended
    """
    name, ledger = channel.name, facts.ledger
    entered = ledger.last(Kind.ENTERED, channel=name)
    if facts.plan and facts.plan.is_bypassed(name):
        return Stage.BYPASSED
    if ledger.is_unchanged(name):
        return Stage.UNCHANGED
    if entered is NEVER:
        return Stage.NOT_REACHED if over else Stage.WAITING
    for kind, stage in _DECIDED.items():
        if ledger.last(kind, channel=name) > entered:
            withdrawn = stage is Stage.GRADUATED and ledger.is_withdrawn(name)
            return Stage.FAILED if withdrawn else stage
    went_on = (Kind.ENTERED, Kind.APPLIED, Kind.HEALTHY, Kind.INCONCLUSIVE)
    if ledger.last(Kind.FAILED, channel=name) > ledger.last(*went_on, channel=name):
        return Stage.FAILED
    return _under_way(facts, channel, entered)


def _under_way(facts: Facts, channel: Channel, entered: datetime) -> Stage:
    if facts.ledger.judged(channel.name) > max(entered, verified_at(facts, channel.name)):
        return Stage.APPROVAL
    return Stage.SOAKING if is_applied(facts, channel, entered) else Stage.APPLYING


def is_applied(facts: Facts, channel: Channel, entered: datetime) -> bool:
    """Whether every target was verified, or excepted, since the channel was entered."""
    last = _last_by_target(facts.targets[channel.name], _PASSED)
    return all(t.name in last and last[t.name].at > entered for t in channel.targets)


def cells_of(
    facts: Facts, channel: Channel, stage: Stage, *, held: bool = False
) -> dict[str, Cell]:
    """Say what has become of each target of a channel, in the order of the plan.

    :param held: whether no further target of it is started now
    """
    entered = facts.ledger.last(Kind.ENTERED, channel=channel.name)
    history = facts.targets[channel.name]
    newest = {n: e for n, e in _last_by_target(history, _TELL).items() if e.at > entered}
    last = _last_by_target(history, (Kind.REFUSED, Kind.VERIFIED))
    refused = [n for n, e in last.items() if e.kind is Kind.REFUSED and e.at > entered]
    touched = facts.touched[channel.name]
    found = {
        target.name: _cell(newest.get(target.name), stage, touched=target.name in touched)
        for target in channel.targets
    }
    if held:
        found = {n: Cell(State.HELD) if c.state is State.WAITING else c for n, c in found.items()}
    failed = {name: replace(found[name], failed=True) for name in refused if name in found}
    return found | failed | {t.name: Cell(State.QUARANTINED) for t in channel.on_hold}


def _cell(entry: Entry | None, stage: Stage, *, touched: bool) -> Cell:
    if stage in _AT_ONCE:
        return Cell(_AT_ONCE[stage])
    if entry is None:
        busy = State.RESTORING if stage is Stage.ROLLING_BACK else State.APPLYING
        return Cell(busy if touched else _UNTOUCHED.get(stage, State.WAITING))
    if entry.kind is Kind.VERIFIED:
        return Cell(_FARES.get(stage, State.VERIFIED), entry.at)
    if entry.kind is Kind.REFUSED and stage is Stage.ROLLING_BACK:
        return Cell(State.RESTORING, entry.at)
    return Cell(_ENDS[entry.kind], entry.at)


def _last_by_target(history: Ledger, kinds: tuple[Kind, ...]) -> Mapping[str, Entry]:
    return {e.target: e for e in history.entries if e.kind in kinds}
