"""Stack policies: what an update may do to which resource."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

from sandbox.aws.errors import validation_error


def checked(text: str) -> str:
    """The policy's text, when it is a policy."""
    try:
        statements = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError):
        raise validation_error("Error validating stack policy: Invalid stack policy") from None
    if not isinstance(statements, list):
        raise validation_error("Error validating stack policy: Invalid stack policy")
    return text


def refusal(text: str | None, *, action: str, logical_id: str, kind: str) -> str | None:
    """Why a policy forbids ``Update:<action>`` on a resource; without a policy all is allowed.

    As soon as there is a policy, whatever no statement allows is denied.
    """
    if text is None:
        return None
    allowed = False
    for number, statement in enumerate(json.loads(text)["Statement"], start=1):
        if not _matches(statement, action=action, logical_id=logical_id, kind=kind):
            continue
        if statement.get("Effect") == "Deny":
            return (
                f"Action denied by stack policy: Statement [#{number}] does not allow "
                f"[Update:{action}] for resource [LogicalResourceId/{logical_id}]"
            )
        allowed = True
    if allowed:
        return None
    return (
        f"Action not allowed by stack policy: no statement allows [Update:{action}] "
        f"for resource [LogicalResourceId/{logical_id}]"
    )


def _matches(statement: dict[str, Any], *, action: str, logical_id: str, kind: str) -> bool:
    name = f"LogicalResourceId/{logical_id}"
    for test in (statement.get("Condition") or {}).values():  # StringEquals or StringLike
        if not _any(test.get("ResourceType", "*"), kind):
            return False
    if "NotAction" in statement:
        acts = not _any(statement["NotAction"], f"Update:{action}")
    else:
        acts = _any(statement.get("Action", []), f"Update:{action}")
    if "NotResource" in statement:
        return acts and not _any(statement["NotResource"], name)
    return acts and _any(statement.get("Resource", []), name)


def _any(patterns: str | list[str], value: str) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(value, pattern) for pattern in listed)
