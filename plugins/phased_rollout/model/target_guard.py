"""The target set against that of the last graduated plan: it never shrinks without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from phased_rollout.model.definition import Definition, Target
from phased_rollout.model.targets import Address, address_of, few


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the targets differ from those of an earlier plan.

    :param stops: why no plan may be made
    :param authorize: what a person must authorize
    """

    stops: tuple[str, ...] = ()
    authorize: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    channel: str
    target: Target


def compare(last: Definition, now: Definition) -> Comparison:
    """Compare the targets, those on hold too, by what they are: their addresses.

    A target under its old name at a new address is another one: the old one has disappeared.
    Targets of one address, or of none, are told apart by their names.
    """
    shared = _shared(last) | _shared(now)
    before, after = _places(last, shared), _places(now, shared)
    gone = [place.target for address, place in before.items() if address not in after]
    lost = [t for t in gone if not t.retired_by & {*now.retired}]
    kept = [(before[address], place) for address, place in after.items() if address in before]
    new = [place.target.name for address, place in after.items() if address not in before]
    names = {place.target.name for place in after.values()}
    notes = [f"new since then: {few(new)}"] if new else []
    if retired := [t.name for t in gone if t.retired_by & {*now.retired}]:
        notes.append(f"retired since then: {few(retired)}")
    return Comparison(
        stops=tuple(_lost(lost, names)),
        authorize=(*_moved(kept), *_renamed(kept), *_reordered(last, now, shared)),
        notes=tuple(notes),
    )


def _shared(definition: Definition) -> set[Address]:
    targets = [t for c in definition.channels for t in (*c.targets, *c.on_hold)]
    return {address for address, count in Counter(map(address_of, targets)).items() if count > 1}


def _identity(target: Target, shared: set[Address]) -> Address:
    address = address_of(target)
    return (*address, ("name", target.name)) if address in shared else address


def _places(definition: Definition, shared: set[Address]) -> dict[Address, _Place]:
    return {
        _identity(target, shared): _Place(channel.name, target)
        for channel in definition.channels
        for target in (*channel.targets, *channel.on_hold)
    }


def _lost(lost: list[Target], names: set[str]) -> Iterator[str]:
    for target in (t for t in lost if t.name in names):
        address = " ".join(target.address.values())
        yield (
            f"{target.name} was {address} in the last graduated plan, and is another target now: "
            f"give the new one another name, and name {target.name} under retired: if {address} "
            "is meant to be gone"
        )
    if missing := [t.name for t in lost if t.name not in names]:
        yield (
            f"{len(missing)} targets of the last graduated plan have disappeared: "
            f"{few(missing, 50)}: bring them back, or name each under retired: if it is meant to "
            "be gone"
        )


def _moved(kept: list[tuple[_Place, _Place]]) -> Iterator[str]:
    moves: dict[tuple[str, str], list[str]] = {}
    for old, new in kept:
        if old.channel != new.channel:
            moves.setdefault((old.channel, new.channel), []).append(new.target.name)
    for (source, into), names in moves.items():
        yield f"{len(names)} targets moved from {source} to {into}: {few(names)}"


def _renamed(kept: list[tuple[_Place, _Place]]) -> Iterator[str]:
    names = [
        f"{old.target.name} is {new.target.name} now"
        for old, new in kept
        if old.target.name != new.target.name
    ]
    if names:
        yield f"{len(names)} targets were renamed: {few(names)}"


def _reordered(last: Definition, now: Definition, shared: set[Address]) -> Iterator[str]:
    before, after = [c.name for c in last.channels], [c.name for c in now.channels]
    was, now_is = [n for n in before if n in after], [n for n in after if n in before]
    if was != now_is:
        yield f"the channels were reordered: {' → '.join(was)} is {' → '.join(now_is)} now"
    for name in now_is:
        old = [_identity(t, shared) for t in last.channel(name).targets]
        new = {_identity(t, shared): t.name for t in now.channel(name).targets}
        known = set(old)
        stayed, order = [a for a in old if a in new], [a for a in new if a in known]
        if stayed != order:
            first = next(a for a, b in zip(order, stayed, strict=True) if a != b)
            yield f"the targets of {name} were reordered: {new[first]} comes earlier now"
