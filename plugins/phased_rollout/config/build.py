"""Turns a valid file into the model: every default resolved, every option filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from phased_rollout.config.kinds import (
    AccountTarget,
    CloudFormation,
    CloudWatchAlarms,
    OtherSignal,
    OtherSubstrate,
    OtherTarget,
)
from phased_rollout.config.schema import (
    Channel,
    ChannelSettings,
    Defaults,
    File,
    Rollout,
    WaveSettings,
)
from phased_rollout.model.definition import (
    AdapterSpec,
    Approval,
    Config,
    Definition,
    Emergency,
    GateKind,
    Hold,
    OnFailure,
    RollbackScope,
    Target,
    Waves,
)
from phased_rollout.model.definition import Channel as ModelChannel

AnyRollout = Rollout[CloudFormation, AccountTarget] | Rollout[OtherSubstrate, OtherTarget]
AnyChannel = Channel[AccountTarget] | Channel[OtherTarget]
AnySubstrate = CloudFormation | OtherSubstrate
Signals = Sequence[CloudWatchAlarms | OtherSignal]
ValueT = TypeVar("ValueT")

_INHERITED = ("connection", "role", "external_id", "via")
"""What a signal that asks AWS takes over from the substrate, so that its options say it all."""


def build(file: File, *, source: str) -> Config:
    """Give the definitions in the order of the file."""
    return Config(
        source=source,
        definitions={
            name: _definition(name, rollout, file.defaults)
            for name, rollout in file.rollouts.items()
        },
    )


def _definition(name: str, rollout: AnyRollout, defaults: Defaults) -> Definition:
    rollback = (rollout.rollback, defaults.rollback)
    emergency = (rollout.emergency, defaults.emergency)
    unset = Definition(name=name, substrate=AdapterSpec(""), channels=())
    return Definition(
        name=name,
        substrate=AdapterSpec(rollout.substrate.kind, rollout.substrate.options()),
        channels=tuple(_channel(channel, rollout, defaults) for channel in rollout.channels),
        change=rollout.change,
        description=rollout.description or "",
        schedule=rollout.schedule,
        timezone=_first(rollout.timezone, defaults.timezone, unset.timezone),
        on_failure=_first(rollout.on_failure, defaults.on_failure, OnFailure.ROLLBACK),
        decide_within=_first(rollout.decide_within, defaults.decide_within, unset.decide_within),
        authorize_within=_first(
            rollout.authorize_within, defaults.authorize_within, unset.authorize_within
        ),
        authorized_for=_first(
            rollout.authorized_for, defaults.authorized_for, unset.authorized_for
        ),
        rollback_scope=_first(*(r.scope for r in rollback), RollbackScope.ALL_CHANNELS),
        rollback_wave=_first(*(r.waves.size for r in rollback), unset.rollback_wave),
        pause_after=_first(*(r.pause_after for r in rollback), unset.pause_after),
        max_destructive=(
            defaults.max_destructive if rollout.max_destructive is None else rollout.max_destructive
        ),
        tags=tuple(rollout.tags or ()),
        emergency=Emergency(
            soak=_first(*(e.soak for e in emergency), unset.emergency.soak),
            owed_within=_first(*(e.owed_within for e in emergency), unset.emergency.owed_within),
        ),
    )


def _channel(channel: AnyChannel, rollout: AnyRollout, defaults: Defaults) -> ModelChannel:
    levels: list[ChannelSettings] = [channel, rollout.defaults, defaults]
    signals: Signals = _first(channel.signals, rollout.signals, [])
    targets = [_target(target, rollout.substrate) for target in channel.targets]
    return ModelChannel(
        name=channel.name,
        targets=tuple(target for target in targets if target.hold is None),
        on_hold=tuple(target for target in targets if target.hold),
        soak=_first(*(level.soak for level in levels)),
        gate=_first(*(level.gate for level in levels), frozenset({GateKind.HEALTH})),
        waves=_waves([level.waves for level in levels], Waves()),
        max_failed=_first(*(level.max_failed for level in levels), 0),
        approval=_approval(levels),
        signals=tuple(_signal(signal, rollout.substrate) for signal in signals),
    )


def _target(target: AccountTarget | OtherTarget, substrate: AnySubstrate) -> Target:
    hold = Hold(target.hold.reason, target.hold.until) if target.hold else None
    if isinstance(target, AccountTarget):
        default = substrate.region if isinstance(substrate, CloudFormation) else None
        region = _first(target.region, default)
        return Target(target.name, {"account": target.account, "region": region}, hold)
    return Target(target.name, target.address(), hold)


def _waves(levels: Sequence[WaveSettings], unset: Waves) -> Waves:
    return Waves(
        size=_first(*(level.size for level in levels), unset.size),
        at_once=_first(*(level.at_once for level in levels), unset.at_once),
        concurrency=_first(*(level.concurrency for level in levels), unset.concurrency),
    )


def _approval(levels: Sequence[ChannelSettings]) -> Approval:
    settings = [level.approval for level in levels]
    return Approval(
        approvers=tuple(_first(*(s.approvers for s in settings), [])),
        deadline=_first(*(s.deadline for s in settings), Approval().deadline),
        valid_for=_first(*(s.valid_for for s in settings), Approval().valid_for),
    )


def _signal(signal: CloudWatchAlarms | OtherSignal, substrate: AnySubstrate) -> AdapterSpec:
    options = signal.options()
    if isinstance(signal, CloudWatchAlarms) and isinstance(substrate, CloudFormation):
        given = substrate.options()
        options = {key: given[key] for key in _INHERITED if key in given} | options
    return AdapterSpec(signal.kind, options)


def _first(*values: ValueT | None) -> ValueT:
    """Give the innermost value that is set; the schema and the checks see to it that one is."""
    return next(value for value in values if value is not None)
