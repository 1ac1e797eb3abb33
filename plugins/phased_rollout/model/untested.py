"""What a change does in later channels and in none before them: the untested remainder.

A kind of change is an action on a kind of resource, such as ``modify AWS::SNS::Topic``; a trait is
what targets can have in common, such as ``region=eu-central-1``. Both are compared as words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Untested(StrEnum):
    """What an untested remainder does to a rollout: said, asked about, or refused."""

    WARN = "warn"
    ASK = "ask"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Exercised:
    """What a change does in one channel.

    :param changes: each kind of change, with the number of targets that have it
    :param traits: those of the targets that are changed, likewise
    :param idle: why there is nothing, if there is
    """

    changes: Mapping[str, int] = field(default_factory=dict)
    traits: Mapping[str, int] = field(default_factory=dict)
    idle: str = "nothing would change in it"


@dataclass(frozen=True, slots=True)
class Remainder:
    """What of one channel no channel before it exercises.

    :param of: how many kinds of change the channel has
    """

    channel: str
    of: int
    changes: Mapping[str, int]
    traits: Mapping[str, int]

    @property
    def covered(self) -> int:
        """How many of its kinds of change are exercised before it."""
        return self.of - len(self.changes)

    @property
    def score(self) -> float:
        """The share of its kinds of change that are exercised before it: covered / of."""
        return self.covered / self.of


@dataclass(frozen=True, slots=True)
class Representativeness:
    """How far the channels before each channel are like it.

    :param remainders: of each channel but the first that is changed, in order
    :param idle: channels that are no evidence for a later one, with the reason
    """

    remainders: tuple[Remainder, ...] = ()
    idle: Mapping[str, str] = field(default_factory=dict)


def exercised(
    changes: Mapping[str, Collection[str]], traits: Mapping[str, Collection[str]]
) -> Exercised:
    """Sum a channel up; a target without any change shows nothing of its traits either.

    :param changes: target name to its kinds of change
    :param traits: target name to its traits
    """
    changing = [name for name, kinds in changes.items() if kinds]
    return Exercised(
        _counted(kind for name in changing for kind in {*changes[name]}),
        _counted(trait for name in changing for trait in {*traits.get(name, ())}),
    )


def compare(channels: Mapping[str, Exercised]) -> Representativeness:
    """Take from each channel what the channels before it exercise.

    :param channels: in the order in which they are entered
    """
    remainders, idle, waiting = [], dict[str, str](), dict[str, str]()
    changes, traits = set[str](), set[str]()
    for number, (name, found) in enumerate(channels.items()):
        if not found.changes:
            waiting[name] = found.idle
            continue
        idle |= waiting
        waiting.clear()
        if number:
            left = _without(changes, found.changes), _without(traits, found.traits)
            remainders.append(Remainder(name, len(found.changes), *left))
        changes.update(found.changes)
        traits.update(found.traits)
    return Representativeness(tuple(remainders), idle)


def _without(known: Collection[str], counts: Mapping[str, int]) -> dict[str, int]:
    return {word: count for word, count in counts.items() if word not in known}


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))
