"""ChangeSets that failed because of a nested stack."""

from __future__ import annotations

import re

from phased_rollout.substrates.cloudformation.api import StackApi
from phased_rollout.substrates.cloudformation.stack import ChangeSet

_DEPTH = 10
# What the execution would meet too. Anything else may be but a value that is not known before it,
# such as an output of another nested stack (aws-cloudformation/cloudformation-coverage-roadmap
# issue 759).
_CERTAIN = re.compile(
    r"Requires capabilities|S3 error|Template format error|Template may not exceed"
)


def cause_of(api: StackApi, failed: ChangeSet) -> str:
    """Give the reason of a failed ChangeSet: that of the nested one for which it failed."""
    for _ in range(_DEPTH):
        inner = api.find_set(failed.failed_inside) if failed.failed_inside else None
        if inner is None or not inner.reason:
            break
        failed = inner
    return failed.reason or failed.status


def is_blind(failed: ChangeSet, cause: str) -> bool:
    """Whether it failed only because nested stacks cannot be looked into."""
    return failed.failed_inside is not None and not _CERTAIN.search(cause)
