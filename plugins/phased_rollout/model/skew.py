"""Versions of the platforms below the targets: how far apart neighbouring channels are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, product

_MINOR = re.compile(r"v?(\d+)\.(\d+)", re.ASCII)
_NEAR = 1
"""Minor versions that neighbouring channels may be apart; Kubernetes' API servers differ by no more
where they serve one cluster (https://kubernetes.io/releases/version-skew-policy/)."""

Versions = Mapping[str, str]
"""Target name to the version of its platform, such as ``v1.33.1``."""


def skews(channels: Sequence[tuple[str, Versions]]) -> list[str]:
    """Tell of neighbouring channels whose platforms are more than one minor version apart.

    What a change does on the one is weak evidence for the other. A channel of which no version is
    known is passed over.
    """
    return list(_told([(name, versions) for name, versions in channels if versions]))


def _told(channels: Sequence[tuple[str, Versions]]) -> Iterator[str]:
    for (earlier, before), (later, after) in pairwise(channels):
        far = max(product(before.items(), after.items()), key=_distance)
        if _distance(far) > _NEAR:
            (one, version), (other, another) = far
            yield (
                f"{earlier} and {later} run platforms of different versions, {version} ({one}) and "
                f"{another} ({other}): what {earlier} shows is weak evidence for {later}"
            )


def _distance(pair: tuple[tuple[str, str], tuple[str, str]]) -> int:
    """Count minor versions; another major version is farther than any."""
    one, other = (_MINOR.match(version) for _, version in pair)
    if one is None or other is None:
        return 0
    apart = abs(int(one[2]) - int(other[2]))
    return apart if one[1] == other[1] else apart + 1_000_000
