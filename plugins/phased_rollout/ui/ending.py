"""When a run can end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from phased_rollout.model.definition import Channel
from phased_rollout.model.ledger import NEVER, Kind, Ledger
from phased_rollout.model.plan import Plan
from phased_rollout.ui.cells import Stage, State, verified_at
from phased_rollout.ui.facts import Facts
from phased_rollout.ui.holds import freeze_at
from phased_rollout.ui.survey import Survey

_AHEAD = (Stage.WAITING, Stage.HELD, Stage.APPLYING)
_OFF = (Stage.FAILED, Stage.ROLLING_BACK, Stage.ROLLED_BACK)
_LEFT = (State.WAITING, State.HELD, State.APPLYING)


@dataclass(frozen=True, slots=True)
class End:
    """When a run can end: ``seconds`` after ``since``, or after now when that is later or None.

    :param seconds: soaks that are left; no rollout ends sooner
    :param work: seconds of work on targets that are expected on top; None when nothing tells
    :param people: channels where a person has to say yes, which takes as long as it takes
    :param not_before: with the freeze windows on the way; None without any
    """

    since: datetime | None
    seconds: float
    work: float | None
    people: tuple[str, ...] = ()
    not_before: datetime | None = None


def end_of(facts: Facts, found: Survey, *, pace: float | None, now: datetime) -> End | None:
    """Say when the run can end; None when it has no way to go any more.

    :param pace: seconds that a target took
    """
    if facts.plan is None or facts.ledger.is_given_up or found.at(*_OFF):
        return None
    since, seconds, people = None, 0.0, []
    for channel in facts.plan.channels:
        stage = found.stages[channel.name]
        if stage is Stage.SOAKING:
            since = verified_at(facts, channel.name) + channel.soak
        elif stage in _AHEAD:
            seconds += channel.soak.total_seconds()
        if channel.needs_approval and stage in (*_AHEAD, Stage.SOAKING, Stage.APPROVAL):
            people.append(channel.name)
    left = found.count(*_LEFT)
    work = None if pace is None else round(pace * left)
    return End(since, seconds, work, tuple(people), _not_before(facts.plan, found, since, now))


def _not_before(
    plan: Plan, found: Survey, since: datetime | None, now: datetime
) -> datetime | None:
    """Walk what is left as fast as it can be; None when no freeze is on the way."""
    at, frozen = max(since or now, now), False
    for channel in plan.channels:
        if found.stages[channel.name] not in _AHEAD:
            continue
        freeze = freeze_at(channel.freeze, at) if plan.obeys_freezes else None
        if freeze:
            at, frozen = max(at, freeze.opens_at or at), True
        at += channel.soak
    return at if frozen else None


def pace_of(plan: Plan, ledger: Ledger) -> float | None:
    """Say how many seconds a target took in the channels that were judged healthy, soaks apart."""
    took, targets = timedelta(), 0
    for channel in plan.channels:
        if (spent := _spent(ledger, channel)) is not None:
            took += spent
            targets += len(channel.targets)
    return took.total_seconds() / targets if targets else None


def _spent(ledger: Ledger, channel: Channel) -> timedelta | None:
    entered = ledger.last(Kind.ENTERED, channel=channel.name)
    healthy = ledger.last(Kind.HEALTHY, channel=channel.name)
    if entered is NEVER or healthy < entered:
        return None
    return max(healthy - entered - channel.soak, timedelta())
