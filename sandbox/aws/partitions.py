"""The partitions of AWS: worlds of their own, whose identities end at the border."""

from __future__ import annotations

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
