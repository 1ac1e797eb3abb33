"""What channels.yaml means: rollout definitions, their channels and their targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from phased_rollout.model.access import Access
from phased_rollout.model.inconclusive import OnInconclusive
from phased_rollout.model.notifier import Notifier
from phased_rollout.model.selection import Hold, Select, Unlisted
from phased_rollout.model.untested import Untested
from phased_rollout.model.windows import FreezeWindow

EMERGENCY = "_emergency"
"""What the id of the emergency Dag of a definition ends with."""

CONTROL = "_control"
"""Ends the id of the Dag that holds, resumes and aborts the rollouts of a definition."""


def definition_of(dag_id: str) -> str:
    """Name the definition that a Dag was built from."""
    return dag_id.removesuffix(EMERGENCY).removesuffix(CONTROL)


class GateKind(StrEnum):
    """A graduation criterion of a channel. Several together must all be met."""

    TIMER = "timer"
    HEALTH = "health"
    APPROVAL = "approval"


class OnFailure(StrEnum):
    """What a failure does: roll back at once, or hold and ask a person first."""

    ROLLBACK = "rollback"
    HOLD = "hold"


class Concurrency(StrEnum):
    """How strictly a channel keeps to its tolerance, in the words of CloudFormation StackSets.

    STRICT: no more targets are started than may fail, so failures never exceed ``max_failed`` + 1.
    SOFT: whatever is in flight when the first failures show may fail as well.
    """

    STRICT = "strict"
    SOFT = "soft"


class RollbackScope(StrEnum):
    """Which channels a rollback restores."""

    ALL_CHANNELS = "all_channels"
    FAILED_CHANNEL = "failed_channel"


@dataclass(frozen=True, slots=True)
class Target:
    """One thing a change is applied to.

    :param name: unique within its definition; what people see
    :param address: what its substrate needs to reach it, e.g. ``{"account": …, "region": …}``
    :param hold: set for a target in quarantine
    :param traits: what it has in common with others, besides its address
    :param members: what a change is applied to within it, such as hosts: found when a plan is made,
        and frozen in it; empty for a target that is one thing
    """

    name: str
    address: Mapping[str, str]
    hold: Hold | None = None
    traits: Mapping[str, str] = field(default_factory=dict)
    members: tuple[str, ...] = ()

    @property
    def retired_by(self) -> set[str]:
        """What under ``retired:`` says that this one is meant to be gone: also its account."""
        places = [self.address.get(key) for key in ("account", "region")]
        return {self.name, *(place for place in places if place)}

    @property
    def hold_in_words(self) -> str:
        """Say of a target in quarantine until when it is, and why."""
        return f"{self.name} until {self.hold.until}: {self.hold.reason}" if self.hold else ""


@dataclass(frozen=True, slots=True)
class Waves:
    """How a channel's targets are handed out.

    :param size: targets in a wave
    :param at_once: waves of the channel that may run at the same time
    """

    size: int = 1
    at_once: int = 4
    concurrency: Concurrency = Concurrency.STRICT


@dataclass(frozen=True, slots=True)
class Approval:
    """Who may let a channel graduate, until when an answer is awaited, and how long it counts."""

    approvers: tuple[str, ...] = ()
    deadline: timedelta = timedelta(days=1)
    valid_for: timedelta = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Emergency:
    """What holds for a run that bypasses something.

    :param soak: the longest soak of a run that shortens them
    :param owed_within: until when a bypass should be made good
    :param access: role to what it may do with the emergency Dag; empty: as with the regular one
    """

    soak: timedelta = timedelta(minutes=10)
    owed_within: timedelta = timedelta(days=7)
    access: Mapping[str, Access] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AdapterSpec:
    """Which substrate or health signal to build, with its options as JSON values."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a change moves through a channel: what a policy sets."""

    soak: timedelta
    gate: frozenset[GateKind]
    waves: Waves


@dataclass(frozen=True, slots=True)
class Inventory:
    """The system that knows which targets there are.

    :param unlisted: what an active one in no channel does to a plan
    :param outside: names or address values of those that are meant to be in no channel
    :param address: what the address of a found target has when the inventory does not say it
    """

    source: AdapterSpec
    unlisted: Unlisted = Unlisted.WARN
    outside: tuple[str, ...] = ()
    address: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Channel:
    """An ordered risk class of targets, with the conditions under which a change may leave it.

    :param targets: those that a change is applied to
    :param on_hold: those in quarantine, which are left out
    :param freeze: times in which none of its targets is started
    :param select: which targets of the inventory join them when a plan is made; None in a plan
    :param talks_to: channels whose interfaces it uses; None: its neighbours' and its own
    """

    name: str
    targets: tuple[Target, ...]
    soak: timedelta
    gate: frozenset[GateKind] = frozenset({GateKind.HEALTH})
    waves: Waves = Waves()
    max_failed: int = 0
    approval: Approval = Approval()
    signals: tuple[AdapterSpec, ...] = ()
    on_hold: tuple[Target, ...] = ()
    freeze: tuple[FreezeWindow, ...] = ()
    select: Select | None = None
    talks_to: tuple[str, ...] | None = None
    on_inconclusive: OnInconclusive = field(default_factory=OnInconclusive)

    @property
    def needs_approval(self) -> bool:
        """Whether a person must let the change leave this channel."""
        return GateKind.APPROVAL in self.gate

    @property
    def starts_at_once(self) -> int | None:
        """How many targets may be started before one is verified; None is no limit."""
        soft = self.waves.concurrency is Concurrency.SOFT
        return None if soft else self.max_failed + 1

    @property
    def waves_at_once(self) -> int:
        """How many waves may run at the same time: no more than may start a target."""
        return min(self.waves.at_once, self.starts_at_once or self.waves.at_once)

    def handed_out(self) -> Iterator[tuple[Target, ...]]:
        """Give the channel's targets wave by wave, in the order of the file."""
        for start in range(0, len(self.targets), self.waves.size):
            yield self.targets[start : start + self.waves.size]


@dataclass(frozen=True, slots=True)
class Definition:
    """One entry under ``rollouts:``; it becomes one Dag.

    :param change: where the change comes from unless a run says otherwise (a folder or URL)
    :param schedule: cron expression in ``timezone``; None is "only when triggered"
    :param four_eyes: whoever started a rollout cannot approve it
    :param rollback_wave: targets that are restored at the same time
    :param max_destructive: destructive differences over all targets that a person may authorize;
        None is any number
    :param untested: what it does to a run that later channels are unlike the earlier ones
    :param compare_traits: names of the traits that count; None: region, and all that is told
    :param pause_after: failed restores after which a rollback waits for a person
    :param pause_after_failures: failed runs in a row after which its schedule is paused
    :param stuck_after: how long after it was queued a run that is not done is told of
    :param access: role to what it may do; empty: Airflow decides
    :param policy: name of the policy that the channels' conduct comes from; empty: of none
    :param policies: what a run may choose instead: by name, the conduct of each channel in order
    :param inventory: checks the targets that are named, and finds those that are selected
    :param retired: names of targets that are meant to be gone, or accounts, or regions
    :param notify: whom its rollouts tell
    """

    name: str
    substrate: AdapterSpec
    channels: tuple[Channel, ...]
    change: str | None = None
    description: str = ""
    schedule: str | None = None
    timezone: str = "UTC"
    on_failure: OnFailure = OnFailure.ROLLBACK
    decide_within: timedelta = timedelta(hours=1)
    authorize_within: timedelta = timedelta(hours=12)
    authorized_for: timedelta = timedelta(days=14)
    four_eyes: bool = True
    rollback_scope: RollbackScope = RollbackScope.ALL_CHANNELS
    rollback_wave: int = 20
    pause_after: int = 3
    max_destructive: int | None = None
    untested: Untested = Untested.WARN
    compare_traits: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    emergency: Emergency = Emergency()
    pause_after_failures: int | None = None
    stuck_after: timedelta | None = None
    access: Mapping[str, Access] = field(default_factory=dict)
    policy: str = ""
    policies: Mapping[str, tuple[Conduct, ...]] = field(default_factory=dict)
    inventory: Inventory | None = None
    retired: tuple[str, ...] = ()
    notify: tuple[Notifier, ...] = ()

    @property
    def shape(self) -> list[str]:
        """Say, in words, what the tasks of its Dag and their order are made from."""
        channels = [c.name + (" (approval)" if c.needs_approval else "") for c in self.channels]
        return [*channels, f"on failure {self.on_failure}"]

    def under(self, policy: str) -> Definition:
        """Give the definition as a run with this policy obeys it; raises KeyError."""
        channels = tuple(
            replace(channel, soak=conduct.soak, gate=conduct.gate, waves=conduct.waves)
            for channel, conduct in zip(self.channels, self.policies[policy], strict=True)
        )
        return replace(self, channels=channels, policy=policy, policies={})

    def waves_at_once(self, channel: str) -> int:
        """Say how many waves of a channel may run at once under any policy that a run may have."""
        choices = [self, *(self.under(policy) for policy in self.policies)]
        return min(choice.channel(channel).waves_at_once for choice in choices)

    @property
    def longest_soak(self) -> timedelta:
        """The sum of the soaks under the slowest policy that a run may have."""
        choices = [self, *(self.under(policy) for policy in self.policies)]
        return max(sum((c.soak for c in each.channels), timedelta()) for each in choices)

    def channel(self, name: str) -> Channel:
        """Give the channel of that name; raises KeyError."""
        return next(c for c in self.channels if c.name == name)


@dataclass(frozen=True, slots=True)
class Config:
    """All rollout definitions of one file, by name, in the order of the file."""

    source: str
    definitions: Mapping[str, Definition]
