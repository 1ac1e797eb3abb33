"""Which channel holds a target: by its name, its account, its region."""

from __future__ import annotations

from collections.abc import Iterator

from phased_rollout.cli.tables import Json
from phased_rollout.model.definition import Channel, Config, Definition, Target


def held_by(found: Config, asked: str) -> list[Json]:
    """Give what ``show --json`` writes of each target that is meant."""
    return [
        {
            "rollout": definition.name,
            "channel": channel.name,
            "channels": [each.name for each in definition.channels],
            "target": target.name,
            "address": dict(target.address),
            "hold": target.hold_in_words,
        }
        for definition, channel, target in targets_of(found)
        if asked in {target.name, _entry(target), *target.address.values()}
    ]


def targets_of(found: Config) -> Iterator[tuple[Definition, Channel, Target]]:
    """Give every target, those on hold too, with its channel and definition."""
    for definition in found.definitions.values():
        for channel in definition.channels:
            for target in (*channel.targets, *channel.on_hold):
                yield definition, channel, target


def in_regions(definition: Definition) -> str:
    """Say in how many regions the targets of a definition are, when in several."""
    targets = [target for channel in definition.channels for target in channel.targets]
    regions = {target.address["region"] for target in targets if "region" in target.address}
    return f" in {len(regions)} regions" if len(regions) > 1 else ""


def _entry(target: Target) -> str:
    """Name the entry of the file that a target of several regions comes from."""
    return target.name.removesuffix(f"-{target.address.get('region')}")
