"""Gates that wait for what can never be known."""

from __future__ import annotations

from collections.abc import Iterator

from phased_rollout.config.policies import Problem
from phased_rollout.config.problems import Path
from phased_rollout.model.definition import Definition
from phased_rollout.model.outlook import outlooks


def vain_gates(definition: Definition) -> Iterator[Problem]:
    """Give the gates that wait for a judgement which no allowed policy lets be made.

    Where targets are selected their number is known to the plan only, which looks itself.
    """
    if any(channel.select for channel in definition.channels):
        return
    names = [channel.name for channel in definition.channels]
    for policy in definition.policies or [""]:
        for outlook in outlooks(definition.under(policy) if policy else definition):
            if problem := outlook.problem:
                under = f" (under policy {policy})" if policy else ""
                number = names.index(outlook.channel.name)
                path: Path = ("rollouts", definition.name, "channels", number, "gate")
                yield problem + under, path
