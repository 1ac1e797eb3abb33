"""Which targets a channel has when it does not name them, and which of them are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum


class Unlisted(StrEnum):
    """What an active target that the inventory knows, and no channel has, does to a plan."""

    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a target is left out, and the last day on which it is."""

    reason: str
    until: date


@dataclass(frozen=True, slots=True)
class Select:
    """Which of the targets that the inventory knows are a channel's: those that meet all of it.

    :param ou: in one of these organizational units or below it; ids, or paths from the root
    :param labels: with every one of these
    :param at_least: fewer stop the plan
    :param hold: those of them that are in quarantine, by name
    :param regions: each is a target in each of these; of those that name a region themselves, the
        ones that are in one of these
    """

    ou: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    at_least: int = 1
    hold: Mapping[str, Hold] = field(default_factory=dict)
    regions: tuple[str, ...] = ()

    def __str__(self) -> str:
        wanted = [f"ou {' or '.join(self.ou)}"] if self.ou else []
        wanted += [f"{key}={value}" for key, value in self.labels.items()]
        wanted += [f"in {' and '.join(self.regions)}"] if self.regions else []
        return f"{', '.join(wanted)}, at least {self.at_least}"
