"""What a bypass leaves out, and what it never does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.definition import Concurrency, Emergency, GateKind, Waves
from tests.builders import a_channel, a_definition

DEFINITION = a_definition(
    a_channel("playground", gate="health"),
    a_channel("production", targets=9, gate="health+approval", waves=Waves(size=2, at_once=4)),
    emergency=Emergency(soak=timedelta(seconds=4)),
)


@pytest.mark.parametrize("tier", [BypassTier.NONE, BypassTier.SKIP_CHANNELS])
def test_channels_that_are_not_skipped_keep_everything(tier: BypassTier) -> None:
    bypass = Bypass(tier, ("playground",), "urgent")
    assert bypass.applied_to(DEFINITION) == DEFINITION


def test_shorter_soaks_keep_every_channel_wave_and_gate() -> None:
    shortened = Bypass(BypassTier.SHORTEN_SOAK, (), "urgent").applied_to(DEFINITION)
    assert [c.soak for c in shortened.channels] == [timedelta(seconds=4)] * 2
    assert [(c.targets, c.gate, c.waves, c.max_failed) for c in shortened.channels] == [
        (c.targets, c.gate, c.waves, c.max_failed) for c in DEFINITION.channels
    ]


def test_a_soak_is_never_lengthened() -> None:
    long = a_definition(*DEFINITION.channels, emergency=Emergency(soak=timedelta(days=1)))
    assert Bypass(BypassTier.SHORTEN_SOAK, (), "urgent").applied_to(long) == long


def test_fleet_wide_goes_to_every_target_channel_by_channel_without_waiting() -> None:
    unhindered = Bypass(BypassTier.FLEET_WIDE, (), "urgent").applied_to(DEFINITION)
    assert [(c.name, c.soak, c.gate, c.waves) for c in unhindered.channels] == [
        (name, timedelta(), frozenset({GateKind.TIMER}), Waves(size, 4, Concurrency.SOFT))
        for name, size in (("playground", 1), ("production", 3))
    ]
    assert [c.targets for c in unhindered.channels] == [c.targets for c in DEFINITION.channels]


def test_only_a_shorter_soak_needs_no_second_person() -> None:
    assert [tier for tier in BypassTier if tier.needs_second_person] == [
        BypassTier.SKIP_CHANNELS,
        BypassTier.FLEET_WIDE,
    ]


def test_what_cannot_wait_holds_for_no_longer_than_it_soaks() -> None:
    definition = a_definition(emergency=Emergency(soak=timedelta(minutes=2)))
    urgent = Bypass(BypassTier.SHORTEN_SOAK, (), "urgent").applied_to(definition)
    assert {c.on_inconclusive.hold_for for c in urgent.channels} == {timedelta(minutes=2)}
