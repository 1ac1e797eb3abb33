"""What a substrate reports about a target, and how far an operation has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import Any

from phased_rollout.model.digest import digest_of


@dataclass(frozen=True, slots=True)
class Artifact:
    """A change as it is given to one target.

    :param digest: the digest that the target reads back when it runs this
    :param body: what the substrate needs to put it there, as JSON values
    """

    digest: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TargetState:
    """What a target runs, read from the target.

    :param running: what it runs, restorable; None when nothing is there
    :param settled: no operation is in progress
    :param healthy: the target's own status is a good one (not a failed or rolled-back operation)
    :param detail: the status in the target's own words
    """

    running: Artifact | None
    settled: bool = True
    healthy: bool = True
    detail: str = ""

    @property
    def digest(self) -> str | None:
        """Name what runs; None when nothing is there."""
        return self.running.digest if self.running else None


class Outcome(StrEnum):
    """How far one step of an operation has come."""

    DONE = "done"
    UNCHANGED = "unchanged"
    WAITING = "waiting"
    LEFT_ALONE = "left_alone"


@dataclass(frozen=True, slots=True)
class Progress:
    """The answer of ``apply`` and ``restore``; ``reason`` is for people."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One resource that a change would touch.

    :param action: Add, Modify, Replace or Remove
    :param kind: of the resource, such as its type: the same on every target, for action and kind
        tell what a channel exercises
    :param destructive: data or identity may be lost
    """

    action: str
    resource: str
    kind: str
    destructive: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would do to one target; no differences means nothing to change.

    :param irreversible: what a rollback could not bring back, in words
    :param partial: the digest of a preview that could not see everything, or that is of several
        parts; what it means is known to its substrate
    """

    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    irreversible: tuple[str, ...] = ()
    partial: str = ""

    @property
    def digest(self) -> str:
        """Name what people saw: the same of two previews of the same thing, in any order.

        Notes are no part of it. What is must hold no ids and no times.
        """
        if self.partial:
            return self.partial
        return digest_of(
            {
                "differences": sorted(list(astuple(each)) for each in self.differences),
                "irreversible": sorted(self.irreversible),
            }
        )


class Health(StrEnum):
    """What one signal says about one target."""

    OK = "ok"
    HARM = "harm"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Observation:
    """A signal's word about a target, in the words of the system that was asked."""

    target: str
    signal: str
    health: Health
    detail: str
