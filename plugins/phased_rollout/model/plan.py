"""The plan: what one rollout was frozen to when it began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from phased_rollout.errors import GuardError
from phased_rollout.model.boundary_check import Boundaries
from phased_rollout.model.bypass import NO_BYPASS, Bypass, BypassTier
from phased_rollout.model.definition import (
    Channel,
    Definition,
    OnFailure,
    RollbackScope,
)
from phased_rollout.model.outlook import outlooks


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the targets of a plan come from, and how they differ from the last graduated plan's.

    :param inventory: kind of the inventory that was asked; empty when there is none
    :param found: how many targets it knew
    :param answer: digest of its whole answer, which lies in the record store under that name
    :param compared_with: run id of the last graduated plan; empty when there was none
    :param notes: what a person should know
    :param authorize: what a person must authorize
    """

    inventory: str = ""
    found: int = 0
    answer: str = ""
    compared_with: str = ""
    notes: tuple[str, ...] = ()
    authorize: tuple[str, ...] = ()

    def in_words(self) -> list[str]:
        """Tell where the targets come from, a line each."""
        before = f"rollout {self.compared_with}" if self.compared_with else "nothing: the first one"
        lines = [f"targets compared with {before}"]
        if self.inventory:
            what = f"{self.found} targets (answer {self.answer[:12]})"
            lines.append(f"inventory {self.inventory} knows {what}")
        return [*lines, *self.notes]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that later tasks obey, whatever the file says by then.

    :param run_id: the Dag run
    :param change: digest of the change; its content lies in the record store under that name
    :param made_at: when the plan was frozen, in UTC
    :param shape: that of the definition in the file, which the Dag was built from
    :param emergency: made by the emergency Dag
    :param pays: runs whose bypass this one makes good: it walks all channels even where no target
        would change
    :param boundaries: what was found of its mixed states; None when no change declares anything
    """

    definition: Definition
    run_id: str
    change: str
    change_name: str
    made_at: datetime
    bypass: Bypass = NO_BYPASS
    shape: tuple[str, ...] = ()
    emergency: bool = False
    pays: tuple[str, ...] = ()
    origin: Origin | None = None
    boundaries: Boundaries | None = None

    def __post_init__(self) -> None:
        """Refuse a plan that would roll out nothing."""
        if not self.definition.channels or not all(c.targets for c in self.definition.channels):
            raise GuardError("a channel without targets is never rolled out: name its targets")

    @property
    def shape_of_dag(self) -> list[str]:
        """Say what the tasks of the Dag were made from when the run began."""
        return list(self.shape) or self.definition.shape

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All channels in order, the bypassed ones too."""
        return self.definition.channels

    def is_bypassed(self, channel: str) -> bool:
        """Whether this run leaves the channel out."""
        return channel in self.bypass.channels

    @property
    def obeys_freezes(self) -> bool:
        """Whether freeze windows keep this rollout from starting targets: not in an emergency."""
        return not self.emergency

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

    def objection_to(self, user: str, *, approvers: Sequence[str] = ()) -> str | None:
        """Say why this user's yes does not count; None when it does.

        Whoever started the run is no second pair of eyes.

        :param approvers: who may say yes; nobody is everybody
        """
        second = self.bypass.tier.needs_second_person
        if user == self.bypass.requested_by and (second or self.definition.four_eyes):
            what = "asked for the bypass" if second else "started this rollout"
            return f"{user} {what}, so somebody else has to say yes"
        if approvers and user not in approvers:
            return f"{user} is none of the approvers: {', '.join(approvers)}"
        return None


def refuse_lonely_approvals(plan: Plan) -> None:
    """Refuse what nobody could approve but whoever started it; raises GuardError."""
    lonely = [
        f"{channel.name}: nobody could approve it: of its approvers, {reason}"
        for channel in plan.channels
        if channel.needs_approval and len(names := set(channel.approval.approvers)) == 1
        if (reason := plan.objection_to(*names)) and not plan.is_bypassed(channel.name)
    ]
    if lonely:
        raise GuardError("\n".join(lonely))


def refuse_vain_gates(plan: Plan) -> None:
    """Refuse a gate that waits for what can never be known; raises GuardError.

    Not where something is bypassed: what cannot wait is left to a person at the gate.
    """
    if plan.bypass.tier is BypassTier.NONE:
        found = [each.problem for each in outlooks(plan.definition)]
        if problems := [problem for problem in found if problem]:
            raise GuardError("\n".join(problems))


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
        *([f"policy {plan.definition.policy}"] if plan.definition.policy else []),
        f"shortest duration: {plan.shortest_duration} (sum of the soaks)",
    ]
    if plan.bypass.tier is not BypassTier.NONE:
        lines.append(f"BYPASS: {plan.bypass}: {plan.bypass.reason}")
    if plan.pays:
        lines.append(f"makes good what {', '.join(plan.pays)} left out: every channel is soaked")
    judged = list(outlooks(plan.definition, bypassed=plan.bypass.channels))
    for number, channel in enumerate(plan.channels, start=1):
        gate = " + ".join(sorted(channel.gate))
        waves = -(-len(channel.targets) // channel.waves.size)
        what = (
            f"BYPASSED: {plan.bypass.reason}"
            if plan.is_bypassed(channel.name)
            else f"{waves} waves, soak {channel.soak}, gate {gate}"
        )
        members = sum(len(target.members) for target in channel.targets)
        count = f"{len(channel.targets)} targets" + (f" ({members} members)" if members else "")
        lines.append(f"{number}. {channel.name}: {count}, {what}")
        lines.extend(f"   {each}" for each in judged if each.channel.name == channel.name)
        lines.extend(f"   frozen in {window}" for window in channel.freeze)
        lines.extend(f"   on hold: {target.hold_in_words}" for target in channel.on_hold)
    lines.extend(plan.origin.in_words() if plan.origin else ())
    lines.extend(plan.boundaries.in_words() if plan.boundaries else ())
    return "\n".join(lines)


def how_to_retry(plan: Plan, *, task: str) -> str:
    """Tell what to clear after a failure in a channel.

    :param task: the task that tries again, e.g. ``test.apply``; before a rollback only
    """
    again = again_after_rollback(plan, channel=task.partition(".")[0])
    after = f"after the rollback, {again}"
    if plan.definition.on_failure is OnFailure.HOLD:
        before = f"clear {task} with downstream before rollback.decide is answered"
        return f"to try again, {before}; {after}"
    return f"to try again: {after}"


def again_after_rollback(plan: Plan, *, channel: str) -> str:
    """Tell what to clear once the rollback has ended.

    :param channel: the one that failed
    """
    one = plan.definition.rollback_scope is RollbackScope.FAILED_CHANNEL
    first = channel if one else next(n for n in plan.names if not plan.is_bypassed(n))
    return f"clear {first}.enter with downstream to apply it again from there"
