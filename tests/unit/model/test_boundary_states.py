"""The states that are enumerated are those that the order can produce: no more, and no fewer.

A rollout of targets that can each be old, half-way or new is walked through in every way that it
can go, a failing restore and another try included. Which channels are restored is asked of the
rules that the tasks themselves obey.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from phased_rollout.model.boundaries import Phase, Running, Side, meetings, states
from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.definition import RollbackScope
from phased_rollout.model.guards import channels_to_restore
from phased_rollout.model.plan import Plan
from tests.builders import a_channel, a_ledger, a_plan

OLD, PARTLY, NEW, FAILED = "old", "partly", "new", "failed and restored"
Targets = tuple[str, ...]


@dataclass(frozen=True)
class World:
    """Where a rollout stands.

    :param entered: the channels that were entered, and not rolled back, in their order
    :param before: those that were entered before a rollback
    :param restoring: the channels that are still to be restored; None: it goes forward
    :param stuck: a target could not be restored
    """

    channels: tuple[Targets, ...]
    entered: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    restoring: tuple[str, ...] | None = None
    stuck: bool = False

    def put(self, position: int, target: int, what: str) -> World:
        targets = list(self.channels[position])
        targets[target] = what
        found = list(self.channels)
        found[position] = tuple(targets)
        return replace(self, channels=tuple(found))


def successors(world: World, plan: Plan) -> Iterator[World]:
    """Give what may come next: every way in which it can go."""
    if world.restoring is None:
        if world.entered:
            yield from applied(world, plan)
            yield replace(world, restoring=to_restore(world, plan))  # whatever failed
        yield from entered(world, plan)
    elif world.restoring:
        yield from restored(world, plan.names.index(world.restoring[0]))
        # the next one has its turn once all targets were tried; those that are left were stuck
        left = world.channels[plan.names.index(world.restoring[0])]
        stuck = world.stuck or not set(left) <= {OLD, FAILED}
        yield replace(world, restoring=world.restoring[1:], stuck=stuck)
    else:
        yield again(world, plan)


def again(world: World, plan: Plan) -> World:
    """The rollback is over; the first channel that it restored is entered once more."""
    one = plan.definition.rollback_scope is RollbackScope.FAILED_CHANNEL
    channels = tuple(
        targets
        if one and name in world.entered[:-1]
        else tuple(OLD if t == FAILED else t for t in targets)
        for name, targets in zip(plan.names, world.channels, strict=True)
    )
    before = tuple(name for name in plan.names if name in {*world.before, *world.entered})
    return World(channels, world.entered if one else (), before, stuck=world.stuck)


def to_restore(world: World, plan: Plan) -> tuple[str, ...]:
    ledger = a_ledger(*(f"entered {name}" for name in (*world.before, *world.entered)))
    return tuple(channel.name for channel in channels_to_restore(plan, ledger))


def entered(world: World, plan: Plan) -> Iterator[World]:
    wanted = [name for name in plan.names if not plan.is_bypassed(name)]
    done = [world.channels[plan.names.index(name)] for name in world.entered]
    if all(set(targets) <= {NEW, FAILED} for targets in done) and len(done) < len(wanted):
        yield replace(world, entered=tuple(wanted[: len(done) + 1]))


def applied(world: World, plan: Plan) -> Iterator[World]:
    position = plan.names.index(world.entered[-1])
    targets = world.channels[position]
    for number, what in enumerate(targets):
        if what in (OLD, PARTLY):
            yield world.put(position, number, PARTLY)
            yield world.put(position, number, NEW)
        tolerated = plan.channels[position].max_failed
        if what == PARTLY and targets.count(FAILED) < tolerated:
            yield world.put(position, number, FAILED)


def restored(world: World, position: int) -> Iterator[World]:
    for number, what in enumerate(world.channels[position]):
        if what in (NEW, PARTLY):
            yield world.put(position, number, PARTLY)
            yield world.put(position, number, OLD)


def phase_of(targets: Targets) -> Phase:
    if set(targets) == {NEW}:
        return Phase.NEW
    return Phase.OLD if set(targets) <= {OLD, FAILED} else Phase.MIXED


def walked(plan: Plan) -> set[World]:
    found: set[World] = set()
    fresh = [World(tuple((OLD,) * len(channel.targets) for channel in plan.channels))]
    while fresh:
        world = fresh.pop()
        if world not in found:
            found.add(world)
            fresh.extend(successors(world, plan))
    return found


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    names = ["a", "b", "c"][: draw(st.integers(1, 3))]
    sizes = {name: draw(st.integers(1, 2)) for name in names}
    channels = [
        a_channel(name, targets=size, max_failed=draw(st.integers(0, size - 1)))
        for name, size in sizes.items()
    ]
    skipped = tuple(draw(st.sets(st.sampled_from(names), max_size=len(names) - 1)))
    bypass = Bypass(BypassTier.SKIP_CHANNELS, skipped, "urgent") if skipped else None
    scope = draw(st.sampled_from(RollbackScope))
    return a_plan(*channels, bypass=bypass, rollback_scope=scope)


def sides_of(plan: Plan) -> list[Side]:
    return [
        Side(
            channel.name,
            runs=(Running("old", "old"),),
            bypassed=plan.is_bypassed(channel.name),
            tolerates=channel.max_failed > 0,
        )
        for channel in plan.channels
    ]


@settings(deadline=None, max_examples=60)
@given(plans())
def test_the_states_of_two_channels_are_exactly_those_that_the_order_can_produce(
    plan: Plan,
) -> None:
    worlds, sides = walked(plan), sides_of(plan)
    for second in range(1, len(sides)):
        for first in range(second):
            seen: dict[tuple[Phase, Phase], bool] = {}
            for world in worlds:
                pair = phase_of(world.channels[first]), phase_of(world.channels[second])
                seen[pair] = seen.get(pair, True) and world.stuck
            del seen[Phase.OLD, Phase.OLD]
            scope = plan.definition.rollback_scope
            found = states(sides[first], sides[second], scope)
            assert {(s.first, s.second): s.stuck for s in found} == seen


@settings(deadline=None, max_examples=20)
@given(plans())
def test_the_phases_of_one_channel_are_those_that_it_can_be_in(plan: Plan) -> None:
    worlds, sides = walked(plan), sides_of(plan)
    own = {
        (each.user.position, each.user.phase)
        for each in meetings(sides, plan.definition.rollback_scope)
        if each.user.position == each.provider.position
    }
    seen = {(n, phase_of(w.channels[n])) for w in worlds for n in range(len(sides))}
    assert own == {(n, phase) for n, phase in seen if phase is not Phase.OLD}
