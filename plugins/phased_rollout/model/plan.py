"""The plan: what one rollout was frozen to when it began."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from phased_rollout.errors import GuardError
from phased_rollout.model.definition import Channel, Definition, OnFailure, RollbackScope


class BypassTier(StrEnum):
    """How much of the way a run leaves out."""

    NONE = "none"
    SKIP_CHANNELS = "skip_channels"


@dataclass(frozen=True, slots=True)
class Bypass:
    """An audited skip of named channels; never of the rollback.

    :param requested_by: the user who triggered the run; None when the schedule did
    """

    tier: BypassTier = BypassTier.NONE
    channels: tuple[str, ...] = ()
    reason: str = ""
    requested_by: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that later tasks obey, whatever the file says by then.

    :param run_id: the Dag run
    :param change: digest of the change; its content lies in the record store under that name
    :param made_at: when the plan was frozen, in UTC
    """

    definition: Definition
    run_id: str
    change: str
    change_name: str
    made_at: datetime
    bypass: Bypass = Bypass()

    def __post_init__(self) -> None:
        """Refuse a plan that would roll out nothing."""
        if not self.definition.channels or not all(c.targets for c in self.definition.channels):
            raise GuardError("a channel without targets is never rolled out: name its targets")

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All channels in order, the bypassed ones too."""
        return self.definition.channels

    def is_bypassed(self, channel: str) -> bool:
        """Whether this run leaves the channel out."""
        return channel in self.bypass.channels

    def before(self, channel: str) -> tuple[Channel, ...]:
        """Give the channels that come earlier than this one."""
        return self.channels[: self.names.index(channel)]

    @property
    def names(self) -> list[str]:
        """Names of the channels in order."""
        return [c.name for c in self.channels]

    @property
    def shortest_duration(self) -> timedelta:
        """Sum of the soaks on the way: no rollout of this plan ends sooner."""
        return sum(
            (c.soak for c in self.channels if not self.is_bypassed(c.name)), start=timedelta()
        )


def make_bypass(
    *,
    tier: str,
    channels: Sequence[str],
    reason: str,
    requested_by: str | None,
    known: Collection[str],
) -> Bypass:
    """Check what a run asks to leave out; raises GuardError with every problem."""
    problems = []
    if tier not in list(BypassTier):
        problems.append(f"bypass: unknown tier {tier!r}; use one of: {', '.join(BypassTier)}")
    if unknown := [c for c in channels if c not in known]:
        problems.append(
            f"bypass_channels: unknown channel {', '.join(map(repr, unknown))}; "
            f"the channels are: {', '.join(known)}"
        )
    if tier == BypassTier.NONE and channels:
        problems.append("bypass_channels: needs bypass 'skip_channels'; nothing was bypassed")
    if tier == BypassTier.SKIP_CHANNELS:
        if not channels:
            problems.append("bypass_channels: name the channels to skip")
        if set(known) <= set(channels):
            problems.append(
                "bypass_channels: every channel would be skipped, which is a rollout of nothing; "
                "leave at least one"
            )
        if not reason.strip():
            problems.append("bypass_reason: a bypass needs a reason; it is recorded")
    if problems:
        raise GuardError("\n".join(problems))
    return Bypass(
        tier=BypassTier(tier),
        channels=tuple(dict.fromkeys(channels)),
        reason=reason.strip(),
        requested_by=requested_by,
    )


def refuse_expired_holds(definition: Definition, *, today: date) -> None:
    """Let no target stay in quarantine because nobody looked again; raises GuardError."""
    expired = [
        f"{target.hold_in_words}: the hold has expired: remove it, or set a later day"
        for channel in definition.channels
        for target in channel.on_hold
        if target.hold and target.hold.until < today
    ]
    if expired:
        raise GuardError("\n".join(expired))


def describe(plan: Plan) -> str:
    """Tell a person what this rollout will do, channel by channel."""
    lines = [
        f"rollout {plan.definition.name}: change {plan.change_name} ({plan.change[:12]})",
        f"shortest duration: {plan.shortest_duration} (sum of the soaks)",
    ]
    for number, channel in enumerate(plan.channels, start=1):
        gate = " + ".join(sorted(channel.gate))
        waves = -(-len(channel.targets) // channel.waves.size)
        what = (
            f"BYPASSED: {plan.bypass.reason}"
            if plan.is_bypassed(channel.name)
            else f"{waves} waves, soak {channel.soak}, gate {gate}"
        )
        lines.append(f"{number}. {channel.name}: {len(channel.targets)} targets, {what}")
        lines.extend(f"   on hold: {target.hold_in_words}" for target in channel.on_hold)
    return "\n".join(lines)


def how_to_retry(plan: Plan, *, task: str) -> str:
    """Tell what to clear after a failure in a channel.

    :param task: the task that tries again, e.g. ``test.apply``; before a rollback only
    """
    channel = task.partition(".")[0]
    one = plan.definition.rollback_scope is RollbackScope.FAILED_CHANNEL
    first = channel if one else next(n for n in plan.names if not plan.is_bypassed(n))
    after = f"after the rollback, clear {first}.enter with downstream to apply it again from there"
    if plan.definition.on_failure is OnFailure.HOLD:
        before = f"clear {task} with downstream before rollback.decide is answered"
        return f"to try again, {before}; {after}"
    return f"to try again: {after}"
