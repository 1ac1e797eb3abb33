"""In which regions a target is: whoever says it closest, and what each is called then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from phased_rollout.config.policies import mapping, mappings
from phased_rollout.config.problems import Path

Raw = Mapping[str, Any]

KINDS = ("cloudformation",)
"""Substrates whose targets are in regions."""
MAX_NAME = 100


def spread(target: Raw, channel: Raw, substrate: Raw) -> list[Raw]:
    """Give the targets that an entry stands for: itself, or one in each region of a list.

    Those of a list are called NAME-REGION, also when it has one region only: no target gets another
    name because a region comes or goes.
    """
    level = substrate
    for closer in (target, channel):  # asked often for each of thousands of targets
        if "region" in closer or "regions" in closer:
            level = closer
            break
    if "regions" not in level or substrate.get("kind") not in KINDS:
        return [target]
    name, own = target.get("name"), {k: v for k, v in target.items() if k != "regions"}
    return [
        {**own, **({"name": f"{name}-{region}"} if name else {}), "region": region}
        for region in regions_in(level)
    ]


def regions_in(level: Raw) -> list[str]:
    """Give the regions of a list, each once; nothing of what has not that shape."""
    listed = level.get("regions")
    texts = [text for text in listed if isinstance(text, str)] if isinstance(listed, list) else []
    return list(dict.fromkeys(texts))


def regions_of(channel: Raw, substrate: Raw) -> list[str]:
    """Give the regions of what a channel selects; nothing when nobody says them."""
    level = channel if "regions" in channel else substrate
    return regions_in(level) or regions_in({"regions": [level.get("region")]})


def problems_in(rollout: Raw, path: Path) -> Iterator[tuple[str, Path]]:
    """Say what is wrong with how a substrate, its channels and their targets name regions."""
    substrate = mapping(rollout.get("substrate"))
    kind = substrate.get("kind")
    if kind in KINDS:
        yield from _both(substrate, (*path, "substrate"))
    for position, channel in enumerate(mappings(rollout.get("channels"))):
        here: Path = (*path, "channels", position)
        if "regions" in channel and isinstance(kind, str) and kind not in KINDS:
            yield f"targets of substrate {kind} are in no region: remove it", (*here, "regions")
        for number, target in enumerate(mappings(channel.get("targets")) if kind in KINDS else []):
            yield from _both(target, (*here, "targets", number))
            yield from _too_long(target, channel, substrate, (*here, "targets", number))


def _both(level: Raw, path: Path) -> Iterator[tuple[str, Path]]:
    if "regions" in level and "region" in level:
        yield "region is set as well: remove one of the two", (*path, "regions")


def _too_long(target: Raw, channel: Raw, substrate: Raw, path: Path) -> Iterator[tuple[str, Path]]:
    names = [str(each.get("name")) for each in spread(target, channel, substrate)]
    longest = max(names, key=len, default="")
    if len(longest) > MAX_NAME >= len(str(target.get("name"))):
        yield f"{longest!r} is longer than {MAX_NAME}: shorten it", (*path, "name")
