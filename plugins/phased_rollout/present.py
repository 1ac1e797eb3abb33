"""What targets run at present, as far as the records tell, and whether a change works beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from phased_rollout.errors import RolloutError
from phased_rollout.model.boundaries import UNKNOWN, Running, Side
from phased_rollout.model.boundary_check import Boundaries, checked
from phased_rollout.model.bypass import Bypass
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Channel, Definition, Target
from phased_rollout.model.guards import in_flight
from phased_rollout.model.ledger import Kind, Ledger
from phased_rollout.model.targets import Address, address_of
from phased_rollout.records import RolloutRecords

_LOOK_BACK = 30
"""Rollouts that are asked; a target that none of them has changed runs what is not known."""

_LAST_WORDS = (Kind.VERIFIED, Kind.REFUSED, Kind.RESTORE_FAILED, Kind.LEFT_ALONE)
_GIVEN_BACK = (Kind.RESTORED, Kind.EXCEPTED)

Key = tuple[str, Address]
"""A target by its name and where it is: under its name at another address it is another one."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a rollout has left on a target.

    :param run: that rollout
    :param channel: where the target was then
    """

    running: Running
    run: str
    channel: str


def boundaries_of(
    records: RolloutRecords, definition: Definition, bypass: Bypass, change: Change
) -> Boundaries | None:
    """Check every mixed state that rolling this change out could produce; asks no target.

    None when neither the change nor what runs now declares anything.
    """
    now = running_now(records, definition)
    sides = [
        Side(
            name=channel.name,
            runs=_each(now, channel.targets, still_to_be_found=channel.select is not None),
            held=_each(
                now,
                channel.on_hold,
                still_to_be_found=bool(channel.select and channel.select.hold),
            ),
            bypassed=channel.name in bypass.channels,
            tolerates=channel.max_failed > 0,
            talks_to=channel.talks_to,
        )
        for channel in definition.channels
    ]
    return checked(Running.of(change), sides, definition.rollback_scope)


def _each(
    now: dict[str, Running], targets: Iterable[Target], *, still_to_be_found: bool = False
) -> tuple[Running, ...]:
    found = [now.get(target.name, UNKNOWN) for target in targets]
    found += [UNKNOWN] if still_to_be_found else []
    return tuple({each.digest: each for each in found}.values())


def running_now(records: RolloutRecords, definition: Definition) -> dict[str, Running]:
    """Give what each target runs, by name, as far as that is known."""
    return {name: left.running for name, left in left_behind(records, definition).items()}


def left_behind(records: RolloutRecords, definition: Definition) -> dict[str, Left]:
    """Give what the last rollout that changed a target has left there, by the target's name.

    What an earlier rollout left half-way, or somebody else has changed meanwhile as far as a
    rollback met it, is not known; nor is what no rollout that is looked at has touched.
    """
    left = {
        _key(target): target.name
        for channel in definition.channels
        for target in (*channel.targets, *channel.on_hold)
    }
    found: dict[str, Left] = {}
    runs = records.begun()
    earlier = runs[: runs.index(records.run_id)] if records.run_id in runs else runs
    for run in reversed(earlier[-_LOOK_BACK:]):
        if not left:
            break
        try:
            said = dict(_left_behind(records.of(run), set(left)))
        except (RolloutError, ValueError, KeyError, TypeError):  # as another version wrote it
            break  # what it did cannot be read, so nothing is known of what was there before
        found |= {left.pop(key): each for key, each in said.items()}
    return found


def _key(target: Target) -> Key:
    return target.name, address_of(target)


def _left_behind(records: RolloutRecords, wanted: set[Key]) -> Iterator[tuple[Key, Left]]:
    """Give what a rollout has left on targets; not those that run what they ran before it."""
    plan, ledger = records.plan(), records.ledger()
    everywhere = ledger.last(Kind.NOTHING_TO_CHANGE) > ledger.last(Kind.PREVIEWED)
    change = Running.of(records.change())
    for channel in plan.channels:
        keys = {target.name: _key(target) for target in channel.targets if _key(target) in wanted}
        if plan.is_bypassed(channel.name) or not keys:
            continue
        if everywhere or ledger.is_unchanged(channel.name):
            runs_it, unclear = set(keys), set[str]()
        else:
            runs_it, unclear = _touched(records, ledger, channel)
        for name, key in keys.items():
            if name in unclear or name in runs_it:
                running = UNKNOWN if name in unclear else change
                yield key, Left(running, records.run_id, channel.name)


def _touched(
    records: RolloutRecords, ledger: Ledger, channel: Channel
) -> tuple[set[str], set[str]]:
    """Name the targets of a channel that run the change, and those that may run anything."""
    history, captured = records.of_targets(channel.name), records.captured(channel.name)
    last: dict[str, Kind] = {}
    for entry in history.entries:
        if entry.kind in (*_LAST_WORDS, *_GIVEN_BACK):
            last[entry.target] = entry.kind
    half_way = set(in_flight(ledger, history, channel=channel.name, captured=captured))
    runs_it = {name for name, kind in last.items() if kind is Kind.VERIFIED} - half_way
    given_back = {name for name, kind in last.items() if kind in _GIVEN_BACK} - half_way
    return runs_it, {*last, *half_way} - runs_it - given_back
