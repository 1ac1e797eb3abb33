"""What targets have in common, so that a channel can be said to be like another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from phased_rollout.model.definition import Definition, Target
from phased_rollout.model.partitions import partition_of

REGION, PARTITION, OU = "region", "partition", "ou"
"""Traits that an address has, that follow from the region, and that an inventory tells."""

_REGION_OF_AWS = re.compile(r"[a-z]{2,4}(-[a-z]+){1,3}-\d{1,2}")


def compared(definition: Definition) -> list[str]:
    """Name the traits that are compared: those that the file names, or region and what is told."""
    if definition.compare_traits is not None:
        return list(definition.compare_traits)
    told = {name for c in definition.channels for t in c.targets for name in t.traits}
    return list(dict.fromkeys([REGION, PARTITION, *sorted(told)]))


def traits_of(target: Target, names: Iterable[str]) -> list[str]:
    """Give a target's traits, ``region=eu-central-1``: what is told of it wins over its address."""
    known = {**target.address, **target.traits}
    if _REGION_OF_AWS.fullmatch(region := known.get(REGION, "")):
        known = {PARTITION: partition_of(region), **known}
    return [f"{name}={known[name]}" for name in names if name in known]


def traits_found(
    labels: Mapping[str, str], ou: Sequence[str], names: Iterable[str]
) -> dict[str, str]:
    """Take from what an inventory tells the traits that are compared and that no address has.

    :param ou: the organizational units from the root on; the last one is the trait
    """
    known = {**({OU: ou[-1]} if ou else {}), **labels}
    return {n: known[n] for n in names if n in known and n not in (REGION, PARTITION)}
