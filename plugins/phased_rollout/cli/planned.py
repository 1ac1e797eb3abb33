"""A plan as the command line gives it, before any run has made one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from phased_rollout.cli.tables import Json
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Channel, Definition
from phased_rollout.model.outlook import Outlook, outlooks
from phased_rollout.model.representativeness import unlike


def plan_as_json(definition: Definition, change: Change) -> Json:
    """Give what ``plan --json`` writes."""
    judged = list(outlooks(definition))
    soaks = sum((channel.soak for channel in definition.channels), timedelta())
    return {
        "rollout": definition.name,
        "description": definition.description,
        "schedule": definition.schedule,
        "timezone": definition.timezone,
        "policy": definition.policy,
        "on_failure": definition.on_failure.value,
        "rollback": definition.rollback_scope.value,
        "change": {
            "name": change.name,
            "digest": change.digest,
            "about": change.description,
            "provides": {name: list(versions) for name, versions in change.provides.items()},
            "requires": dict(change.requires),
        },
        "shortest_seconds": int(soaks.total_seconds()),
        "untested": definition.untested.value,
        "unlike": unlike(definition),
        "channels": [
            _channel_as_json(channel, change) | {"judged": judged_as_json(judged, channel.name)}
            for channel in definition.channels
        ],
    }


def judged_as_json(judged: Iterable[Outlook], channel: str) -> list[Json]:
    """Give what the judge could find in a channel, by metric."""
    return [
        {
            "metric": each.metric.name,
            "rule": each.attainable.rule,
            "smallest_p": each.attainable.smallest_p,
            "visible_effect_sd": each.attainable.visible_effect_sd,
            "possible": each.attainable.possible,
            "text": str(each),
        }
        for each in judged
        if each.channel.name == channel
    ]


def _channel_as_json(channel: Channel, change: Change) -> Json:
    return {
        "name": channel.name,
        "soak_seconds": int(channel.soak.total_seconds()),
        "gate": sorted(channel.gate),
        "max_failed": channel.max_failed,
        "waves": [[target.name for target in wave] for wave in channel.handed_out()],
        "at_once": channel.waves_at_once,
        "freeze": [str(window) for window in channel.freeze],
        "on_hold": [target.hold_in_words for target in channel.on_hold],
        **({"select": str(channel.select)} if channel.select else {}),
        "parameters": {**change.parameters, **change.channels.get(channel.name, {})},
        "targets": [
            {
                "name": target.name,
                "address": dict(target.address),
                "parameters": dict(change.targets.get(target.name, {})),
            }
            for target in channel.targets
        ],
    }
