"""Turns a valid file into the model: every default resolved, every option filled in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from phased_rollout.config.built import (
    AnyChannel,
    AnySubstrate,
    Signals,
    dumped,
    spec_of,
    targets_of,
)
from phased_rollout.config.clusters import ClusterTarget, Kubernetes
from phased_rollout.config.fleets import Fleets, SliceTarget
from phased_rollout.config.inventories import (
    Organizations,
    RegistryFile,
    SelectSettings,
    options_of,
)
from phased_rollout.config.kinds import (
    AccountTarget,
    CloudFormation,
    OtherSubstrate,
    OtherTarget,
)
from phased_rollout.config.regions import regions_of
from phased_rollout.config.schema import (
    ChannelSettings,
    Defaults,
    File,
    Policy,
    Rollout,
    WaveSettings,
)
from phased_rollout.config.schema import Conduct as FileConduct
from phased_rollout.config.tenants import Http, TenantTarget
from phased_rollout.config.windows import WindowSettings
from phased_rollout.model.definition import (
    AdapterSpec,
    Approval,
    Conduct,
    Config,
    Definition,
    Emergency,
    GateKind,
    Inventory,
    OnFailure,
    RollbackScope,
    Waves,
)
from phased_rollout.model.definition import Channel as ModelChannel
from phased_rollout.model.inconclusive import OnInconclusive
from phased_rollout.model.selection import Hold, Select, Unlisted
from phased_rollout.model.traits import OU, PARTITION, REGION

AnyRollout = (
    Rollout[CloudFormation, AccountTarget]
    | Rollout[Kubernetes, ClusterTarget]
    | Rollout[Http, TenantTarget]
    | Rollout[Fleets, SliceTarget]
    | Rollout[OtherSubstrate, OtherTarget]
)
ValueT = TypeVar("ValueT")


def build(file: File, *, source: str) -> Config:
    """Give the definitions in the order of the file."""
    return Config(
        source=source,
        definitions={
            name: _definition(name, rollout, file, base=Path(source).parent)
            for name, rollout in file.rollouts.items()
        },
    )


def _definition(name: str, rollout: AnyRollout, file: File, *, base: Path) -> Definition:
    defaults = file.defaults
    policy = _first(rollout.policy, defaults.policy, "")
    allowed = _first(rollout.policies_allowed, defaults.policies_allowed, [policy])
    policies = {each: file.policies[each] for each in allowed if each}
    rollback = (rollout.rollback, defaults.rollback)
    emergency = (rollout.emergency, defaults.emergency)
    unset = Definition(name=name, substrate=AdapterSpec(""), channels=())
    return Definition(
        name=name,
        substrate=AdapterSpec(rollout.substrate.kind, rollout.substrate.options()),
        channels=tuple(
            _channel(channel, rollout, defaults, policies.get(policy, Policy()))
            for channel in rollout.channels
        ),
        pause_after_failures=rollout.pause_after_failures or defaults.pause_after_failures,
        stuck_after=rollout.stuck_after or defaults.stuck_after,
        access=_first(rollout.access, defaults.access, {}),
        policy=policy,
        policies={
            each: tuple(_conduct(c, rollout, defaults, found) for c in rollout.channels)
            for each, found in policies.items()
        },
        change=rollout.change,
        description=rollout.description or "",
        schedule=rollout.schedule,
        timezone=_timezone(rollout, defaults),
        on_failure=_first(rollout.on_failure, defaults.on_failure, OnFailure.ROLLBACK),
        decide_within=_first(rollout.decide_within, defaults.decide_within, unset.decide_within),
        authorize_within=_first(
            rollout.authorize_within, defaults.authorize_within, unset.authorize_within
        ),
        authorized_for=_first(
            rollout.authorized_for, defaults.authorized_for, unset.authorized_for
        ),
        four_eyes=_first(rollout.four_eyes, defaults.four_eyes, unset.four_eyes),
        rollback_scope=_first(*(r.scope for r in rollback), RollbackScope.ALL_CHANNELS),
        rollback_wave=_first(*(r.waves.size for r in rollback), unset.rollback_wave),
        pause_after=_first(*(r.pause_after for r in rollback), unset.pause_after),
        max_destructive=(
            defaults.max_destructive if rollout.max_destructive is None else rollout.max_destructive
        ),
        untested=_first(rollout.untested, defaults.untested, unset.untested),
        compare_traits=_compared(rollout, defaults),
        tags=tuple(rollout.tags or ()),
        emergency=Emergency(
            soak=_first(*(e.soak for e in emergency), unset.emergency.soak),
            owed_within=_first(*(e.owed_within for e in emergency), unset.emergency.owed_within),
            access=_first(*(e.access for e in emergency), {}),
        ),
        inventory=_inventory(rollout, defaults, base),
        retired=tuple(rollout.retired or ()),
        notify=tuple(n.notifier_of() for n in _first(rollout.notify, defaults.notify, [])),
    )


def _inventory(rollout: AnyRollout, defaults: Defaults, base: Path) -> Inventory | None:
    given = rollout.inventory
    if given is None:
        return None
    options, region = options_of(given), None
    if isinstance(rollout.substrate, (CloudFormation, Fleets)):
        region = rollout.substrate.region
    if isinstance(given, RegistryFile):
        options["path"] = os.path.normpath(base / given.path)
    if isinstance(given, Organizations):
        # An account's tags are a call each.
        wanted = {*(_compared(rollout, defaults) or ())} - {REGION, PARTITION, OU}
        selects = any(channel.select and channel.select.labels for channel in rollout.channels)
        options = {**_reader(rollout), "tags": selects or bool(wanted), **options}
    return Inventory(
        source=AdapterSpec(given.kind, options),
        unlisted=_first(given.unlisted, Unlisted.WARN),
        outside=tuple(given.outside or ()),
        address={"region": region} if region else {},
    )


def _compared(rollout: AnyRollout, defaults: Defaults) -> tuple[str, ...] | None:
    own = rollout.compare_traits
    names = defaults.compare_traits if own is None else own
    return None if names is None else tuple(names)


def _reader(rollout: AnyRollout) -> dict[str, Any]:
    """Give the connection that asks an organization, and a region of the partition."""
    substrate = rollout.substrate.options()
    known = ("connection", "region")
    inherited: dict[str, Any] = {key: substrate[key] for key in known if key in substrate}
    above = dumped(rollout.substrate)
    regions = [r for channel in rollout.channels for r in regions_of(dumped(channel), above)]
    return {"region": regions[0], **inherited} if regions else inherited


def _timezone(rollout: AnyRollout, defaults: Defaults) -> str:
    return _first(rollout.timezone, defaults.timezone, "UTC")


def _conduct(
    channel: AnyChannel, rollout: AnyRollout, defaults: Defaults, policy: Policy
) -> Conduct:
    """Resolve what policies set: a policy replaces defaults, what the channel sets itself stays."""
    of_channel = policy.channels.get(channel.name, FileConduct())
    levels: list[FileConduct] = [channel, of_channel, policy, rollout.defaults, defaults]
    return Conduct(
        soak=_first(*(level.soak for level in levels)),
        gate=_first(*(level.gate for level in levels), frozenset({GateKind.HEALTH})),
        waves=_waves([level.waves for level in levels], Waves()),
    )


def _channel(
    channel: AnyChannel, rollout: AnyRollout, defaults: Defaults, policy: Policy
) -> ModelChannel:
    conduct = _conduct(channel, rollout, defaults, policy)
    levels: list[ChannelSettings] = [channel, rollout.defaults, defaults]
    signals: Signals = _first(channel.signals, rollout.signals, [])
    windows: Sequence[WindowSettings] = _first(*(level.freeze for level in levels), [])
    targets = targets_of(channel, rollout.substrate)
    return ModelChannel(
        name=channel.name,
        targets=tuple(target for target in targets if target.hold is None),
        on_hold=tuple(target for target in targets if target.hold),
        select=_select(channel.select, channel, rollout.substrate) if channel.select else None,
        soak=conduct.soak,
        gate=conduct.gate,
        waves=conduct.waves,
        max_failed=_first(*(level.max_failed for level in levels), 0),
        freeze=tuple(w.window(_timezone(rollout, defaults)) for w in windows),
        approval=_approval(levels),
        on_inconclusive=_on_inconclusive(levels),
        signals=tuple(spec_of(signal, rollout.substrate) for signal in signals),
        talks_to=None if channel.talks_to is None else tuple(channel.talks_to),
    )


def _select(select: SelectSettings, channel: AnyChannel, substrate: AnySubstrate) -> Select:
    of_substrate = substrate.regions if isinstance(substrate, CloudFormation) else None
    return Select(
        regions=tuple(_first(channel.regions, of_substrate, [])),
        ou=tuple(select.ou or ()),
        labels=dict(select.labels or {}),
        at_least=_first(select.at_least, Select().at_least),
        hold={name: Hold(h.reason, h.until) for name, h in (select.hold or {}).items()},
    )


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


def _on_inconclusive(levels: Sequence[ChannelSettings]) -> OnInconclusive:
    settings = [level.on_inconclusive for level in levels]
    return OnInconclusive(
        settle=_first(*(s.settle for s in settings), OnInconclusive().settle),
        hold_for=_first(*(s.hold_for for s in settings), OnInconclusive().hold_for),
        then=_first(*(s.then for s in settings), OnInconclusive().then),
    )


def _first(*values: ValueT | None) -> ValueT:
    """Give the innermost value that is set; the schema and the checks see to it that one is."""
    return next(value for value in values if value is not None)
