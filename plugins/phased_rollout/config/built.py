"""Targets and signals of the file as the model has them, whatever their kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from phased_rollout.config.clusters import ClusterTarget, Kubernetes, KubernetesWorkloads
from phased_rollout.config.fleets import Fleets, SliceTarget
from phased_rollout.config.kinds import (
    AccountTarget,
    CloudFormation,
    CloudWatchAlarms,
    OtherSignal,
    OtherSubstrate,
    OtherTarget,
)
from phased_rollout.config.metrics import CloudWatchMetrics, Prometheus
from phased_rollout.config.probes import HttpProbe
from phased_rollout.config.regions import spread
from phased_rollout.config.schema import Channel
from phased_rollout.config.tenants import Http, TenantTarget
from phased_rollout.model.definition import AdapterSpec, Target
from phased_rollout.model.selection import Hold

AnyTarget = AccountTarget | ClusterTarget | TenantTarget | SliceTarget | OtherTarget
AnyChannel = (
    Channel[AccountTarget]
    | Channel[ClusterTarget]
    | Channel[TenantTarget]
    | Channel[SliceTarget]
    | Channel[OtherTarget]
)
AnySubstrate = CloudFormation | Kubernetes | Http | Fleets | OtherSubstrate
AnySignal = (
    CloudWatchAlarms
    | CloudWatchMetrics
    | HttpProbe
    | KubernetesWorkloads
    | Prometheus
    | OtherSignal
)
Signals = Sequence[AnySignal]

_INHERITED = {
    CloudWatchAlarms: ((CloudFormation, Fleets), ("connection", "role", "external_id", "via")),
    CloudWatchMetrics: ((CloudFormation, Fleets), ("connection", "via")),
    KubernetesWorkloads: (
        Kubernetes,
        ("connection", "kubeconfig", "context", "namespace", "record"),
    ),
}
"""What a signal takes over from a substrate of its system, so that its options say it all."""


def targets_of(channel: AnyChannel, substrate: AnySubstrate) -> list[Target]:
    """Give the targets that a channel lists: an entry stands for one in each region."""
    above = dumped(channel), dumped(substrate)
    listed = channel.targets or ()
    return [target for each in listed for target in _targets(each, substrate, *above)]


def _targets(
    listed: AnyTarget, settings: AnySubstrate, channel: dict[str, Any], substrate: dict[str, Any]
) -> list[Target]:
    hold = Hold(listed.hold.reason, listed.hold.until) if listed.hold else None
    traits = listed.traits or {}
    if isinstance(listed, SliceTarget):
        region = settings.region if isinstance(settings, Fleets) else None
        return [Target(listed.name, listed.address(region), hold, traits)]
    if not isinstance(listed, AccountTarget):
        return [Target(listed.name, listed.address(), hold, traits)]
    keys = ("account", "region")
    return [
        Target(one["name"], {k: one.get(k) or substrate[k] for k in keys}, hold, traits)
        for one in spread(dumped(listed), channel, substrate)
    ]


def dumped(level: BaseModel) -> dict[str, Any]:
    """Give what a level of the file says of accounts and regions."""
    keys = {"kind", "name", "account", "region", "regions"}
    return level.model_dump(include=keys, exclude_none=True)


def spec_of(signal: AnySignal, substrate: AnySubstrate) -> AdapterSpec:
    """Give a signal with all that it takes over from the substrate."""
    options = signal.options()
    for kind, (system, keys) in _INHERITED.items():
        if isinstance(signal, kind) and isinstance(substrate, system):
            given = substrate.options()
            options = {key: given[key] for key in keys if key in given} | options
    return AdapterSpec(signal.kind, options)
