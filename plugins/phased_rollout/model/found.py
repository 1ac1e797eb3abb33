"""What an inventory tells of a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from phased_rollout.model.selection import Select

ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True)
class Found:
    """One target as an inventory knows it.

    :param name: unique in the inventory, and the same each time it is asked
    :param address: as much of a target's address as the inventory knows
    :param state: ``ACTIVE``, or whatever else the system says
    :param labels: what selectors ask for
    :param ou: the organizational units that it is in, and all above: ids, and paths from the root
    """

    name: str
    address: Mapping[str, str]
    state: str = ACTIVE
    labels: Mapping[str, str] = field(default_factory=dict)
    ou: tuple[str, ...] = ()

    @property
    def is_active(self) -> bool:
        """Whether a change may be applied to it."""
        return self.state == ACTIVE

    def __str__(self) -> str:
        address = " ".join(v for v in self.address.values() if v not in self.name)
        return f"{self.name} ({address})" if address else self.name

    def matches(self, select: Select) -> bool:
        """Whether a channel selects it."""
        in_ou = not select.ou or bool({*select.ou} & {*self.ou})
        return in_ou and all(self.labels.get(k) == v for k, v in select.labels.items())

    def in_regions(self, regions: Sequence[str]) -> list[Found]:
        """Give it as a target in each region; what names one of its own stays there."""
        if own := self.address.get("region"):
            return [self] if own in regions or not regions else []
        return [
            replace(self, name=f"{self.name}-{region}", address={**self.address, "region": region})
            for region in regions
        ] or [self]
