"""Finds regions, stacks and change sets, or says in CloudFormation's words that they are not."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from sandbox.aws.cloudformation.model import ChangeSet, Region, Stack
from sandbox.aws.errors import AwsError, validation_error


class Registry:
    """All regions of all accounts. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._regions: dict[tuple[str, str], Region] = {}

    def region(self, account: str, name: str) -> Region:
        with self._lock:
            return self._regions.setdefault((account, name), Region(account, name))

    def reset(self) -> None:
        with self._lock:
            self._regions.clear()


def find_stack(region: Region, name: str) -> Stack | None:
    """A stack by name or ARN; a deleted one by its ARN only."""
    return region.archive.get(name) if name.startswith("arn:") else region.stacks.get(name)


def need_stack(region: Region, params: Mapping[str, Any], *, text: str = "Stack [{}] does not exist"
               ) -> Stack:  # fmt: skip
    """The stack that a request names."""
    name = str(params.get("StackName", ""))
    stack = find_stack(region, name)
    if stack is None:
        raise validation_error(text.format(name))
    return stack


def find_change_set(region: Region, params: Mapping[str, Any]) -> tuple[Stack, ChangeSet] | None:
    """The change set that a request names, by ARN or by name and stack."""
    name = str(params.get("ChangeSetName", ""))
    if name.startswith("arn:"):
        stacks = list(region.archive.values())
    elif not params.get("StackName"):
        raise validation_error(
            "StackName must be specified if ChangeSetName is not specified as an ARN."
        )
    else:
        stacks = [need_stack(region, params)]
    for stack in stacks:
        known = [*stack.change_sets.values(), *([stack.executed] if stack.executed else [])]
        for change_set in known:
            if name in (change_set.arn, change_set.name):
                return stack, change_set
    return None


def need_change_set(region: Region, params: Mapping[str, Any]) -> tuple[Stack, ChangeSet]:
    found = find_change_set(region, params)
    if found is None:
        name = params.get("ChangeSetName", "")
        raise AwsError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", status=404)
    return found
