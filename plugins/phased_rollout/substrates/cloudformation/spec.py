"""Which stacks a target consists of, as the options of the substrate say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phased_rollout.errors import ConfigError


@dataclass(frozen=True, slots=True)
class StackSpec:
    """One stack of every target.

    :param template: file of the change; None when the change has but one template
    :param service_role: name or ARN of the role that CloudFormation itself works with
    """

    name: str
    template: str | None = None
    service_role: str | None = None
    capabilities: tuple[str, ...] = ()


def specs_of(options: Mapping[str, Any]) -> tuple[StackSpec, ...]:
    """Give the stacks in the order of their apply; raises ConfigError."""
    several = options.get("stacks") or ()
    if bool(options.get("stack")) == bool(several):
        raise ConfigError(["cloudformation: set either options.stack, or options.stacks"])
    return tuple(
        StackSpec(
            name=str(stack["name"]),
            template=stack.get("template"),
            service_role=stack.get("service_role") or options.get("service_role"),
            capabilities=(
                *(options.get("capabilities") or ()),
                *(stack.get("capabilities") or ()),
            ),
        )
        for stack in several or ({"name": options["stack"]},)
    )
