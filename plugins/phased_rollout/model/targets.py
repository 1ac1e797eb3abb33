"""From what the inventory knows to the targets of each channel: every doubt stops the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property

from phased_rollout.model.definition import Channel, Definition, Inventory, Target
from phased_rollout.model.found import Found
from phased_rollout.model.selection import Hold, Select, Unlisted
from phased_rollout.model.traits import compared, traits_found

MAX_WAVES = 1024
"""Airflow's ``[core] max_map_length``: a channel's waves are one mapped task."""

_SHOWN = 10

Address = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of a definition.

    :param definition: with explicit targets only; None when the answer cannot be used at all
    :param problems: why no plan may be made of it
    """

    definition: Definition | None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def address_of(target: Target | Found) -> Address:
    """Give the address in a form that can be compared."""
    return tuple(sorted(target.address.items()))


def few(names: Iterable[str], shown: int = _SHOWN) -> str:
    """List names, the first ones only when they are many."""
    known = list(names)
    more = len(known) - shown
    return ", ".join(known[:shown]) + (f" and {more} more" if more > 0 else "")


def resolve(definition: Definition, found: Sequence[Found]) -> Resolution:
    """Check the targets that are named against the inventory, and find those that are selected.

    :param found: the inventory's whole answer; not looked at when the definition has none
    """
    inventory = definition.inventory
    if inventory is None:
        return Resolution(definition)
    if not found:
        what = "knows no target at all: that is never taken to mean that none is left"
        return Resolution(None, (f"inventory {inventory.source.kind}: {what}; mend it",))
    if twice := _twice(found):
        return Resolution(None, tuple(twice))
    return _Resolving(definition, inventory, found).resolved()


def _twice(found: Sequence[Found]) -> list[str]:
    names = Counter(f.name for f in found)
    addresses = Counter(address_of(f) for f in found)
    problems = [f"the inventory has the name {n} {c} times" for n, c in names.items() if c > 1]
    for address, count in addresses.items():
        if count > 1:
            both = few(f.name for f in found if address_of(f) == address)
            what = " ".join(value for _, value in address) or "a target without any address"
            problems.append(f"the inventory has {what} {count} times: {both}")
    return problems


class _Resolving:
    """The work of ``resolve``; collects problems and notes."""

    def __init__(
        self, definition: Definition, inventory: Inventory, found: Sequence[Found]
    ) -> None:
        self._definition = definition
        self._inventory = inventory
        self._found = sorted(found, key=lambda f: f.name)
        self._traits = compared(definition)
        self._claims: dict[tuple[str, str], list[str]] = {}
        self._problems: list[str] = []
        self._notes: list[str] = []

    def resolved(self) -> Resolution:
        channels = tuple(self._channel(channel) for channel in self._definition.channels)
        self._check_claims()
        self._check_names(channels)
        self._check_outside()
        definition = replace(self._definition, channels=channels)
        return Resolution(definition, tuple(self._problems), tuple(self._notes))

    def _channel(self, channel: Channel) -> Channel:
        for target in (*channel.targets, *channel.on_hold):
            self._check_named(channel, target)
        channel = replace(channel, targets=tuple(map(self._told, channel.targets)))
        if channel.select is None:
            return channel
        held = channel.select.hold
        found = [
            self._joining(f, held.get(f.name, held.get(name)))
            for name, f in self._selected(channel.name, channel.select)
        ]
        whole = replace(
            channel,
            targets=(*channel.targets, *(t for t in found if t.hold is None)),
            on_hold=(*channel.on_hold, *(t for t in found if t.hold)),
            select=None,
        )
        self._check_policy(whole)
        return whole

    def _joining(self, found: Found, hold: Hold | None) -> Target:
        address = {**self._inventory.address, **found.address}
        return Target(found.name, address, hold, traits_found(found.labels, found.ou, self._traits))

    def _told(self, target: Target) -> Target:
        """Add what the inventory tells of a target that is named; the file's word wins."""
        found = self._match(target)
        told = traits_found(found.labels, found.ou, self._traits) if found else {}
        return replace(target, traits={**told, **target.traits})

    def _check_named(self, channel: Channel, target: Target) -> None:
        """An account that is named must be known, and active unless it is on hold."""
        found = self._match(target)
        what = f"{channel.name}: {target.name} ({' '.join(target.address.values())})"
        if found is None:
            self._problems.append(
                f"{what} is configured, but inventory {self._inventory.source.kind} does not know "
                "it: correct its address, or name it under retired: instead of here"
            )
            return
        self._claim(found.name, target.address, f"named in {channel.name}")
        if not found.is_active and target.hold is None:
            self._problems.append(
                f"{what} is {found.state}: put it on hold, or name it under retired: instead of "
                "here"
            )

    def _claim(self, name: str, address: Mapping[str, str], what: str) -> None:
        """Note who has what the inventory found, in a region: in another it is another target."""
        region = address.get("region", self._inventory.address.get("region", ""))
        self._claims.setdefault((name, region), []).append(what)

    def _match(self, target: Target) -> Found | None:
        for keys in self._keys:
            address = tuple((key, target.address.get(key, "")) for key in keys)
            if found := self._by_address.get(address):
                return found
        return None

    @cached_property
    def _keys(self) -> set[tuple[str, ...]]:
        return {tuple(sorted(f.address)) for f in self._found}

    @cached_property
    def _by_address(self) -> dict[Address, Found]:
        return {address_of(found): found for found in self._found}

    def _selected(self, channel: str, select: Select) -> list[tuple[str, Found]]:
        """Give those that join a channel, each with the name that the inventory has for it."""
        self._check_units(channel, select)
        matching = [
            (f.name, place)
            for f in self._found
            if f.matches(select)
            for place in f.in_regions(select.regions)
        ]
        joining = [(n, f) for n, f in matching if f.is_active or {n, f.name} & {*select.hold}]
        active = [f for _, f in matching if f.is_active]
        stays = {f.name for _, f in joining}
        if idle := [f"{f} is {f.state}" for _, f in matching if f.name not in stays]:
            self._notes.append(f"{channel}: left out, because not active: {few(idle)}")
        if strangers := sorted(select.hold.keys() - stays - {name for name, _ in joining}):
            self._problems.append(
                f"{channel}: {few(strangers)} is on hold, but the selector does not match it: "
                "correct the name, or remove the hold"
            )
        if len(active) < select.at_least:
            count = f"matches {len(active)} active targets" if active else "matches nothing"
            self._problems.append(
                f"{channel}: select ({select}) {count} of the {len(self._found)} that inventory "
                f"{self._inventory.source.kind} knows: correct the selector or the inventory"
            )
        for name, found in joining:
            self._claim(name, found.address, f"selected by {channel}")
        return joining

    def _check_units(self, channel: str, select: Select) -> None:
        known = {ou for found in self._found for ou in found.ou}
        for ou in select.ou:
            if ou not in known:
                close = get_close_matches(ou, known, n=1)
                hint = f", did you mean {close[0]!r}?" if close else ": correct it"
                self._problems.append(f"{channel}: no target is in ou {ou!r}{hint}")

    def _check_policy(self, channel: Channel) -> None:
        """What is checked of named targets while the file is read."""
        count, size = len(channel.targets), channel.waves.size
        if channel.on_hold and not count:
            what = "every target is on hold, which is a channel of nothing: end a hold"
            self._problems.append(f"{channel.name}: {what}")
        if -(-count // size) > MAX_WAVES:
            needed = -(-count // MAX_WAVES)
            self._problems.append(
                f"{channel.name}: {-(-count // size)} waves, but Airflow maps at most {MAX_WAVES}: "
                f"raise waves.size to {needed} or more"
            )
        if 0 < count <= channel.max_failed:
            self._problems.append(
                f"{channel.name}: {channel.max_failed} of {count} targets may fail, so no failure "
                "would ever count: lower max_failed"
            )

    def _check_claims(self) -> None:
        for (name, region), claims in self._claims.items():
            if any(claim.startswith("selected") for claim in claims) and len(claims) > 1:
                default = self._inventory.address.get("region", "")
                what = name if region in ("", default) else f"{name} in {region}"
                what += f" is {' and '.join(claims)}"
                self._problems.append(f"{what}: a target is in one channel, once")

    def _check_names(self, channels: Sequence[Channel]) -> None:
        targets = [t for c in channels for t in (*c.targets, *c.on_hold)]
        names = Counter(t.name for t in targets)
        known = {what for t in targets for what in t.retired_by}
        # An account that is claimed twice is told once, above.
        twice = [key for key, claims in self._claims.items() if len(claims) > 1]
        claimed = {name for found, region in twice for name in (found, f"{found}-{region}")}
        self._problems.extend(
            f"{name} is the name of {count} targets: rename the one that the file names"
            for name, count in names.items()
            if count > 1 and name not in claimed
        )
        self._problems.extend(
            f"{name} is retired, but a channel still has it: take it out of its list or selector, "
            "or out of retired:"
            for name in self._definition.retired
            if name in known
        )

    def _check_outside(self) -> None:
        outside, unlisted = set(self._inventory.outside), []
        where = {name: claims[0] for (name, _), claims in self._claims.items()}
        for found in self._found:
            is_outside = bool(outside & {found.name, *found.address.values()})
            if is_outside and found.name in where:
                what = f"{found} is {where[found.name]}, but under outside: remove one"
                self._problems.append(what)
            elif found.is_active and not is_outside and found.name not in where:
                unlisted.append(str(found))
        if unlisted:
            what = f"{len(unlisted)} active targets are in no channel: {few(unlisted)}"
            if self._inventory.unlisted is Unlisted.BLOCK:
                mend = "give each a channel, or name it under inventory.outside"
                self._problems.append(f"{what}: {mend}")
            else:
                self._notes.append(f"WARNING: {what}")
