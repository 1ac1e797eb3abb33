"""Which mixed states of neighbouring channels a rollout can produce, and which would not work.

A change declares what it provides and what it requires of those that it talks to. While it moves
through the channels, old and new run side by side. docs/adr/0011 says what counts as a state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from phased_rollout.model.change import Change
from phased_rollout.model.definition import RollbackScope
from phased_rollout.model.versions import satisfies


@dataclass(frozen=True, slots=True)
class Running:
    """What a target runs: a change with what it declares.

    :param digest: of the change; empty: what runs is not known
    """

    digest: str = ""
    name: str = ""
    provides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    requires: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, change: Change) -> Running:
        """Give a change as targets run it."""
        return cls(change.digest, change.name, change.provides, change.requires)

    @property
    def declares(self) -> bool:
        """Whether anything is known of its interfaces: it may be unknown, or say nothing."""
        return bool(self.provides or self.requires)

    def __str__(self) -> str:
        return (
            f"{self.name} ({self.digest[:12]})" if self.digest else "something that is not recorded"
        )


UNKNOWN = Running()


class Phase(IntEnum):
    """How far a channel has come: none of its targets changed, some, or all."""

    OLD = 0
    MIXED = 1
    NEW = 2


@dataclass(frozen=True, slots=True)
class Side:
    """A channel as far as its neighbours are concerned.

    :param runs: what the targets to be changed run before
    :param held: what its targets on hold run, before and after
    :param bypassed: left out by this run
    :param tolerates: some of its targets may fail, be restored, and the rollout goes on
    :param talks_to: channels whose interfaces it uses; None: its neighbours' and its own
    """

    name: str
    runs: tuple[Running, ...]
    held: tuple[Running, ...] = ()
    bypassed: bool = False
    tolerates: bool = False
    talks_to: tuple[str, ...] | None = None

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases that it can be in while it is changed."""
        return (Phase.OLD,) if self.bypassed else tuple(Phase)

    @property
    def left_in(self) -> tuple[Phase, ...]:
        """The phases that it can be in once the change has moved on."""
        if self.bypassed:
            return (Phase.OLD,)
        return (Phase.MIXED, Phase.NEW) if self.tolerates else (Phase.NEW,)

    def content(self, phase: Phase, new: Running) -> tuple[Running, ...]:
        """Give what its targets run in a phase, each once. Also a single target can be mixed."""
        old = self.held if phase is Phase.NEW else (*self.runs, *self.held)
        found = old if phase is Phase.OLD else (new, *old)
        return tuple({each.digest: each for each in found}.values())


class State(NamedTuple):
    """The phases of two channels at one time, the earlier channel first.

    :param stuck: comes only after a target could not be restored
    """

    first: Phase
    second: Phase
    stuck: bool = False


def states(first: Side, second: Side, scope: RollbackScope) -> set[State]:
    """Give every state of two channels in which one has changed, ``first`` the earlier of the two.

    A rollback in reverse order passes through the states of the way there once more. It makes new
    ones only where it goes on to ``first`` although ``second`` could not be restored.
    """
    forward = {(phase, Phase.OLD) for phase in first.phases}
    forward |= {(before, phase) for before in first.left_in for phase in second.phases}
    possible = {State(*each) for each in forward}
    if scope is RollbackScope.ALL_CHANNELS:
        every = {(one, other) for one in first.phases for other in second.phases}
        possible |= {State(*each, stuck=True) for each in every - forward}
    return {state for state in possible if (state.first, state.second) != (Phase.OLD, Phase.OLD)}


@dataclass(frozen=True, slots=True)
class Place:
    """One channel in a state."""

    side: Side
    position: int
    phase: Phase


class Meeting(NamedTuple):
    """A channel that talks to another, or to itself, in a state that the order can produce."""

    user: Place
    provider: Place
    stuck: bool

    @property
    def changing(self) -> Place:
        """The channel that the change came to last."""
        changed = [place for place in (self.user, self.provider) if place.phase is not Phase.OLD]
        return max(changed, key=lambda place: place.position)

    @property
    def order(self) -> tuple[object, ...]:
        """Sort what comes about without trouble first, and then what comes first."""
        last, own = self.changing, self.user.position == self.provider.position
        phases = (self.user.phase + self.provider.phase, self.provider.phase)
        return self.stuck, last.position, own, last.phase, phases, self.user.position


def meetings(sides: Sequence[Side], scope: RollbackScope) -> list[Meeting]:
    """Give every state of every two channels that talk to each other, in the order of the rollout.

    A state in which both talk to each other is there twice, once for each direction.
    """
    found = [
        Meeting(*((there, here) if swapped else (here, there)), state.stuck)
        for a, b, swapped in _talks(sides)
        for state in _of_two(sides, a, b, scope)
        for here, there in [(Place(sides[a], a, state.first), Place(sides[b], b, state.second))]
    ]
    return sorted(found, key=lambda meeting: meeting.order)


def _talks(sides: Sequence[Side]) -> Iterator[tuple[int, int, bool]]:
    """Give positions of two channels, the earlier first, and whether the later is the user."""
    for user, side in enumerate(sides):
        for other, provider in enumerate(sides):
            near = abs(user - other) <= 1
            if near if side.talks_to is None else provider.name in side.talks_to:
                yield min(user, other), max(user, other), user > other


def _of_two(sides: Sequence[Side], a: int, b: int, scope: RollbackScope) -> set[State]:
    if a == b:
        return {State(phase, phase) for phase in sides[a].phases if phase is not Phase.OLD}
    return states(sides[a], sides[b], scope)


class Unmet(NamedTuple):
    """A requirement that is not met in a state, or of which that cannot be said."""

    meeting: Meeting
    user: Running
    provider: Running
    interface: str

    @property
    def is_known(self) -> bool:
        """Whether it is known not to be met."""
        return self.provider.declares


def unmet(
    new: Running, sides: Sequence[Side], scope: RollbackScope
) -> dict[tuple[str, str, str], list[Unmet]]:
    """Find each requirement that is not met, by user, provider, interface; its first state first.

    What runs now beside what runs now is not looked at: this change has no part in that.
    """
    found: dict[tuple[str, str, str], list[Unmet]] = {}
    for meeting in meetings(sides, scope):
        for user, provider in _runs(meeting, new):
            for interface, condition in user.requires.items():
                versions = provider.provides.get(interface, ())
                if not any(satisfies(version, condition) for version in versions):
                    key = (user.digest, provider.digest, interface)
                    what = Unmet(meeting, user, provider, interface)
                    found.setdefault(key, []).append(what)
    return found


def not_known(
    new: Running, sides: Sequence[Side], scope: RollbackScope
) -> list[tuple[Running, list[str]]]:
    """Give what runs beside the new change and declares nothing, with the channels it runs in."""
    found: dict[str, tuple[Running, set[str]]] = {}
    for meeting in meetings(sides, scope):
        for user, _ in _runs(meeting, new):
            if not user.declares and user.digest != new.digest:
                found.setdefault(user.digest, (user, set()))[1].add(meeting.user.side.name)
    order = [side.name for side in sides]
    return [(each, sorted(names, key=order.index)) for each, names in found.values()]


def count(sides: Sequence[Side], scope: RollbackScope) -> int:
    """Count the states that are looked at."""
    pairs = {(a, b) for a, b, _ in _talks(sides)}
    return sum(len(_of_two(sides, a, b, scope)) for a, b in pairs)


def _runs(meeting: Meeting, new: Running) -> Iterator[tuple[Running, Running]]:
    for user in meeting.user.side.content(meeting.user.phase, new):
        for provider in meeting.provider.side.content(meeting.provider.phase, new):
            if new.digest in (user.digest, provider.digest):
                yield user, provider
