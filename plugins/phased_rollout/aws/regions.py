"""The regions that boto3 knows: a name beyond them is misspelt, or newer than it is."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache

import botocore
from botocore.session import Session


@cache
def _known() -> frozenset[str]:
    """Give the regions of all partitions, from the data that botocore brings along."""
    session = Session()
    partitions = session.get_available_partitions()
    return frozenset(r for p in partitions for r in session.get_available_regions("sts", p))


def doubt_of(region: str) -> str:
    """Say why a region may not exist; nothing when there is no doubt."""
    if region in _known():
        return ""
    close = get_close_matches(region, sorted(_known()), n=1)
    mend = f"did you mean {close[0]!r}?" if close else "correct it"
    return f"botocore {botocore.__version__} knows no region {region!r}, {mend}"
