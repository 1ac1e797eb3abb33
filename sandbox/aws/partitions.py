"""The partitions of AWS: worlds of their own, whose identities end at the border."""

from __future__ import annotations

from functools import cache

from botocore.session import Session

_PARTITIONS = {"cn-": ("aws-cn", "amazonaws.com.cn"), "us-gov-": ("aws-us-gov", "amazonaws.com")}


def partition_of(region: str) -> str:
    """The partition that a region belongs to."""
    return _entry(region)[0]


def suffix_of(region: str) -> str:
    """The domain of a region's endpoints, ``AWS::URLSuffix``."""
    return _entry(region)[1]


def _entry(region: str) -> tuple[str, str]:
    found = (entry for start, entry in _PARTITIONS.items() if region.startswith(start))
    return next(found, ("aws", "amazonaws.com"))


def is_region(name: str) -> bool:
    """Whether AWS has an endpoint there: the name of one that it has not leads nowhere."""
    return name in _regions()


@cache
def _regions() -> frozenset[str]:
    session = Session()
    partitions = session.get_available_partitions()
    return frozenset(r for p in partitions for r in session.get_available_regions("sts", p))
