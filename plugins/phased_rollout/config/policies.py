"""Policies as the file writes them: which a rollout may run under, and what they set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from phased_rollout.config.problems import Path, did_you_mean
from phased_rollout.model.definition import GateKind

Raw = Mapping[str, Any]
Problem = tuple[str, Path]
"""What is wrong, and where."""


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of one rollout, from the parsed file itself.

    :param known: all policies of the file
    """

    known: Raw
    rollout: Raw
    defaults: Raw

    @property
    def default(self) -> Any:
        """The name of the policy that holds unless a run chooses another; None without any."""
        return self.rollout.get("policy", self.defaults.get("policy"))

    @property
    def allowed(self) -> list[Any]:
        """The names that a run may choose; ``[None]`` without any."""
        found = self.rollout.get("policies_allowed", self.defaults.get("policies_allowed"))
        return found if isinstance(found, list) and found else [self.default]

    def levels(self, channel: Raw, policy: Any) -> tuple[Raw, ...]:
        """Give where a channel's settings come from under a policy, the strongest first."""
        found = mapping(self.known.get(policy)) if isinstance(policy, str) else {}
        name = channel.get("name")
        of_channel = mapping(found.get("channels")).get(name) if isinstance(name, str) else None
        of_rollout = mapping(self.rollout.get("defaults"))
        return (channel, mapping(of_channel), found, of_rollout, self.defaults)

    def problems(self, path: Path) -> Iterator[Problem]:
        """Give what is wrong with the names, and with channels whose approval would come or go."""
        if self.default is None and "policies_allowed" in {**self.defaults, **self.rollout}:
            what = "needs policy beside it: the one that holds unless a run chooses another"
            yield what, (*path, "policies_allowed")
        for name in {n for n in (self.default, *self.allowed) if isinstance(n, str)}:
            if name not in self.known:
                close = did_you_mean(name, self.known) or ": add it under policies"
                key = "policy" if name == self.default else "policies_allowed"
                yield f"there is no policy {name}{close}", (*path, key)
        if self.default not in self.allowed:
            yield f"must be one of policies_allowed, not {self.default}", (*path, "policy")
        for number, channel in enumerate(mappings(self.rollout.get("channels"))):
            yield from self._approvals(channel, (*path, "channels", number, "gate"))

    def _approvals(self, channel: Raw, path: Path) -> Iterator[Problem]:
        """A run's choice may bring or take no approval: the Dag's tasks are fixed without it."""
        asks = asks_for_approval(gate_of(self.levels(channel, self.default)))
        for name in self.allowed:
            if asks_for_approval(gate_of(self.levels(channel, name))) != asks:
                one, other = (self.default, name) if asks else (name, self.default)
                yield (
                    f"asks for an approval under policy {one} and for none under {other}, "
                    "but a run's choice changes no approval: set gate here, or alike in both",
                    path,
                )


def gate_of(levels: tuple[Raw, ...]) -> list[Any]:
    """Give the criteria of the first level that sets a gate."""
    gate = next((level["gate"] for level in levels if level.get("gate") is not None), None)
    return [GateKind.HEALTH] if gate is None else gate if isinstance(gate, list) else [gate]


def asks_for_approval(gate: list[Any]) -> bool:
    """Whether a person is among the criteria."""
    return GateKind.APPROVAL in gate


def unknown_channels(known: Raw, rollouts: Raw) -> Iterator[Problem]:
    """Give the channels of policies that are channels of no rollout."""
    names = {
        channel.get("name")
        for rollout in rollouts.values()
        for channel in mappings(mapping(rollout).get("channels"))
        if isinstance(channel.get("name"), str)
    }
    for policy, found in known.items():
        for name in mapping(mapping(found).get("channels")):
            if name not in names:
                close = did_you_mean(str(name), map(str, names)) or ": correct or remove it"
                yield (
                    f"no rollout has such a channel{close}",
                    ("policies", policy, "channels", name),
                )


def mapping(value: Any) -> Raw:
    """Give a mapping; an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[Raw]:
    """Give the items of a list, with an empty mapping in place of those that are none."""
    return [mapping(item) for item in value] if isinstance(value, list) else []
