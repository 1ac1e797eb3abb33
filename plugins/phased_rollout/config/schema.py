"""The shape of channels.yaml. What it means as a whole is checked in checks.py."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from phased_rollout.adapters import SIGNALS, SUBSTRATES
from phased_rollout.config.clusters import ClusterTarget, Kubernetes, KubernetesWorkloads
from phased_rollout.config.fields import (
    AccessWord,
    AfterHold,
    ChannelName,
    ConcurrencyMode,
    Cron,
    DagName,
    Duration,
    FailurePolicy,
    Gate,
    Maybe,
    PolicyName,
    Positive,
    Scope,
    Strict,
    TargetName,
    Text,
    TimeZone,
    UntestedPolicy,
)
from phased_rollout.config.fleets import Fleets, SliceTarget
from phased_rollout.config.inventories import AnyInventory, SelectSettings
from phased_rollout.config.kinds import (
    OTHER,
    AccountTarget,
    CloudFormation,
    CloudWatchAlarms,
    OtherSignal,
    OtherSubstrate,
    OtherTarget,
    Regions,
    shape_of,
)
from phased_rollout.config.metrics import CloudWatchMetrics, Prometheus
from phased_rollout.config.notifiers import NotifySettings
from phased_rollout.config.probes import HttpProbe
from phased_rollout.config.rules import Filled
from phased_rollout.config.source import ChangeSource
from phased_rollout.config.tenants import Http, TenantTarget
from phased_rollout.config.windows import WindowSettings
from phased_rollout.model.inconclusive import Then

SubstrateT = TypeVar("SubstrateT", CloudFormation, Kubernetes, Http, Fleets, OtherSubstrate)
TargetT = TypeVar("TargetT", AccountTarget, ClusterTarget, TenantTarget, SliceTarget, OtherTarget)

Signal = Annotated[
    Annotated[CloudWatchAlarms, Tag("kind=cloudwatch_alarms")]
    | Annotated[CloudWatchMetrics, Tag("kind=cloudwatch_metrics")]
    | Annotated[HttpProbe, Tag("kind=http_probe")]
    | Annotated[KubernetesWorkloads, Tag("kind=kubernetes_workloads")]
    | Annotated[Prometheus, Tag("kind=prometheus")]
    | Annotated[OtherSignal, Tag(OTHER)],
    Discriminator(shape_of(SIGNALS)),
]


class SizeOfWaves(Strict):
    """How many targets a wave has."""

    size: Maybe[Positive] = None


class WaveSettings(SizeOfWaves):
    """How targets are handed out."""

    at_once: Maybe[Positive] = None
    concurrency: Maybe[ConcurrencyMode] = None


class ApprovalSettings(Strict):
    """Who may let a channel graduate; nobody named is everybody with the right to answer."""

    approvers: Maybe[list[Text]] = None
    deadline: Maybe[Duration] = None
    valid_for: Maybe[Duration] = None


class InconclusiveSettings(Strict):
    """What becomes of a channel whose health cannot be known."""

    settle: Maybe[Duration] = None
    hold_for: Maybe[Duration] = None
    then: Maybe[AfterHold] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.then is Then.HOLD and self.hold_for:
            raise ValueError("hold_for ends a hold, and `then: hold` never does: remove one")
        return self


class RollbackSettings(Strict):
    """Which channels a rollback restores, how many targets at a time, and when it pauses."""

    scope: Maybe[Scope] = None
    waves: SizeOfWaves = SizeOfWaves()
    pause_after: Maybe[Positive] = None


class EmergencySettings(Strict):
    """What holds for a run that bypasses something."""

    soak: Maybe[Duration] = None
    owed_within: Maybe[Duration] = None
    access: Maybe[dict[Text, AccessWord]] = None


class Conduct(Strict):
    """How a change moves through a channel: what a policy bundles."""

    soak: Maybe[Duration] = None
    gate: Maybe[Gate] = None
    waves: WaveSettings = WaveSettings()


class Policy(Conduct):
    """A named conduct: of all channels, and of some by name."""

    channels: dict[ChannelName, Conduct] = Field(default_factory=dict)


class ChannelSettings(Conduct):
    """What a channel may set, and inherits: from a policy, its rollout's defaults, the file's."""

    max_failed: Maybe[Annotated[int, Field(ge=0)]] = None
    approval: ApprovalSettings = ApprovalSettings()
    on_inconclusive: InconclusiveSettings = InconclusiveSettings()
    freeze: Maybe[list[WindowSettings]] = None


class RolloutSettings(Strict):
    """What a rollout may set, and inherits from the file's defaults."""

    timezone: Maybe[TimeZone] = None
    on_failure: Maybe[FailurePolicy] = None
    decide_within: Maybe[Duration] = None
    authorize_within: Maybe[Duration] = None
    authorized_for: Maybe[Duration] = None
    four_eyes: Maybe[bool] = None
    max_destructive: Maybe[Annotated[int, Field(ge=0)]] = None
    untested: Maybe[UntestedPolicy] = None
    compare_traits: Maybe[list[Text]] = None
    rollback: RollbackSettings = RollbackSettings()
    emergency: EmergencySettings = EmergencySettings()
    pause_after_failures: Maybe[Positive] = None
    stuck_after: Maybe[Duration] = None
    access: Maybe[dict[Text, AccessWord]] = None
    policy: Maybe[Text] = None
    policies_allowed: Maybe[Annotated[list[Text], Filled("name at least one policy")]] = None
    notify: Maybe[list[NotifySettings]] = None


class Defaults(ChannelSettings, RolloutSettings):
    """The file's defaults: for rollouts and for channels."""


class Channel(ChannelSettings, Generic[TargetT]):
    """An ordered risk class of targets.

    :param regions: of those that name none; and of what is selected, those that are there only
    """

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["targets"]}, {"required": ["select"]}]}
    )

    name: ChannelName
    regions: Maybe[Regions] = None
    signals: Maybe[list[Signal]] = None
    talks_to: Maybe[list[Text]] = None
    targets: Annotated[list[TargetT] | None, Filled("name at least one target")] = None
    select: Annotated[SelectSettings | None, Filled("say which targets: by ou or labels")] = None


class Rollout(RolloutSettings, Generic[SubstrateT, TargetT]):
    """One definition: one Dag."""

    description: Maybe[str] = None
    schedule: Cron | None = None
    change: Maybe[ChangeSource] = None
    tags: Maybe[list[Text]] = None
    substrate: SubstrateT
    signals: Maybe[list[Signal]] = None
    inventory: Maybe[AnyInventory] = None
    retired: Maybe[list[TargetName]] = None
    defaults: ChannelSettings = ChannelSettings()
    channels: Annotated[list[Channel[TargetT]], Filled("name at least one channel")]


def _shape(raw: Any) -> str:
    substrate = raw.get("substrate") if isinstance(raw, dict) else getattr(raw, "substrate", None)
    return shape_of(SUBSTRATES)(substrate)


AnyRollout = Annotated[
    Annotated[Rollout[CloudFormation, AccountTarget], Tag("kind=cloudformation")]
    | Annotated[Rollout[Kubernetes, ClusterTarget], Tag("kind=kubernetes")]
    | Annotated[Rollout[Http, TenantTarget], Tag("kind=http")]
    | Annotated[Rollout[Fleets, SliceTarget], Tag("kind=ssm")]
    | Annotated[Rollout[OtherSubstrate, OtherTarget], Tag(OTHER)],
    Discriminator(_shape),
]


class File(Strict):
    """All of channels.yaml."""

    version: Literal[1]
    defaults: Defaults = Defaults()
    policies: dict[PolicyName, Policy] = Field(default_factory=dict)
    rollouts: Annotated[dict[DagName, AnyRollout], Filled("name at least one rollout")]
