"""What to do about what CloudFormation says."""

from __future__ import annotations

import re

OF_STATUS = {
    "ROLLBACK_COMPLETE": "its creation failed and nothing of it is left: delete the stack",
    "ROLLBACK_FAILED": "its creation failed and could not be undone: delete the stack",
    "CREATE_FAILED": "its creation failed: delete the stack",
    "DELETE_FAILED": "it could not be deleted: delete it, keeping the resources that resist",
    "UPDATE_FAILED": "an update failed and was not undone: roll the stack back "
    "(`aws cloudformation rollback-stack`) or update it by hand",
    "UPDATE_ROLLBACK_FAILED": "an update failed and could not be undone: mend the cause, then "
    "`aws cloudformation continue-update-rollback`",
    "IMPORT_ROLLBACK_FAILED": "an import failed and could not be undone: mend it by hand",
}
"""By the status of a stack that takes no change."""

_OF_REASON = (
    (r"Requires capabilities", "grant it under `capabilities` of the change or of the substrate"),
    (
        r"stack policy",
        "a stack policy is never overridden: have it changed, or leave the resource as it is",
    ),
    (
        r"TerminationProtection",
        "termination protection is never turned off here: turn it off, or keep the stack",
    ),
)


def mended(reason: str) -> str:
    """Add to a reason what to do about it, where that is known."""
    advice = [what for pattern, what in _OF_REASON if re.search(pattern, reason)]
    return "; ".join([reason, *advice])
