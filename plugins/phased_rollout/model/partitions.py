"""The parts of AWS that share nothing: identities, and what is offered, end at their borders."""

from __future__ import annotations

_PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "us-isof-": "aws-iso-f",
    "eu-isoe-": "aws-iso-e",
    "eusc-": "aws-eusc",
}


def partition_of(region: str) -> str:
    """Give the partition that a region belongs to."""
    return next((p for start, p in _PARTITIONS.items() if region.startswith(start)), "aws")
