"""The plan: what it refuses, and what it tells a person."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from phased_rollout.errors import GuardError
from phased_rollout.model.bypass import Bypass, BypassTier, make_bypass
from phased_rollout.model.definition import OnFailure, RollbackScope, Target
from phased_rollout.model.plan import describe, how_to_retry, refuse_expired_holds
from phased_rollout.model.selection import Hold
from tests.builders import NAMES, a_channel, a_plan


def refused(**kwargs: object) -> str:
    asked = {"tier": "none", "channels": [], "reason": "", "requested_by": None, "known": NAMES}
    with pytest.raises(GuardError) as error:
        make_bypass(**{**asked, **kwargs})  # type: ignore[arg-type]
    return str(error.value)


def test_a_bypass_of_every_channel_is_refused() -> None:
    assert refused(tier="skip_channels", channels=list(NAMES), reason="urgent") == (
        "bypass_channels: every channel would be skipped, which is a rollout of nothing; "
        "leave at least one"
    )


def test_a_bypass_without_a_reason_is_refused() -> None:
    assert refused(tier="skip_channels", channels=["test"], reason="  ") == (
        "bypass_reason: a bypass needs a reason; it is recorded"
    )


def test_channels_named_without_the_tier_are_refused_instead_of_ignored() -> None:
    assert refused(channels=["test"]) == (
        "bypass_channels: needs bypass 'skip_channels'; nothing was bypassed"
    )


def test_all_problems_of_a_bypass_are_named_at_once() -> None:
    assert refused(tier="skip_channels", channels=["tset"]) == (
        "bypass_channels: unknown channel 'tset'; "
        "the channels are: playground, test, production\n"
        "bypass_reason: a bypass needs a reason; it is recorded"
    )


def test_a_good_bypass_keeps_who_asked_for_it() -> None:
    bypass = make_bypass(
        tier="skip_channels",
        channels=["test", "test"],
        reason=" urgent ",
        requested_by="alice",
        known=NAMES,
    )
    assert bypass == Bypass(BypassTier.SKIP_CHANNELS, ("test",), "urgent", "alice")


def test_a_channel_without_targets_is_no_plan() -> None:
    with pytest.raises(GuardError, match="a channel without targets is never rolled out"):
        a_plan(a_channel("playground", targets=0))


def test_the_shortest_duration_leaves_out_bypassed_soaks() -> None:
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("test",), "urgent")
    assert a_plan().shortest_duration == timedelta(seconds=30)
    assert a_plan(bypass=bypass).shortest_duration == timedelta(seconds=20)


def test_a_plan_is_described_channel_by_channel() -> None:
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("test",), "urgent")
    assert describe(a_plan(bypass=bypass)) == (
        "rollout accounts: change change (cccccccccccc)\n"
        "shortest duration: 0:00:20 (sum of the soaks)\n"
        "BYPASS: bypasses test: urgent\n"
        "1. playground: 2 targets, 2 waves, soak 0:00:10, gate timer\n"
        "2. test: 2 targets, BYPASSED: urgent\n"
        "3. production: 2 targets, 2 waves, soak 0:00:10, gate timer"
    )


HELD = a_channel("test", on_hold=(Target("old", {}, Hold("migration", date(2026, 11, 30))),))


def test_a_target_on_hold_is_left_out_and_named() -> None:
    assert describe(a_plan(HELD)).splitlines()[2:] == [
        "1. test: 2 targets, 2 waves, soak 0:00:10, gate timer",
        "   on hold: old until 2026-11-30: migration",
    ]
    assert [t.name for wave in HELD.handed_out() for t in wave] == ["test-1", "test-2"]


def test_a_hold_lasts_until_the_end_of_its_day_and_then_stops_the_plan() -> None:
    definition = a_plan(HELD).definition
    refuse_expired_holds(definition, today=date(2026, 11, 30))
    with pytest.raises(GuardError) as refused:
        refuse_expired_holds(definition, today=date(2026, 12, 1))
    assert str(refused.value) == (
        "old until 2026-11-30: migration: the hold has expired: remove it, or set a later day"
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {},
            "to try again: after the rollback, clear playground.enter with downstream to apply it "
            "again from there",
        ),
        (
            {"rollback_scope": RollbackScope.FAILED_CHANNEL},
            "to try again: after the rollback, clear test.enter with downstream to apply it again "
            "from there",
        ),
        (
            {"on_failure": OnFailure.HOLD},
            "to try again, clear test.apply with downstream before rollback.decide is answered; "
            "after the rollback, clear playground.enter with downstream to apply it again from "
            "there",
        ),
    ],
)
def test_a_failure_tells_what_to_clear(settings: dict[str, Any], words: str) -> None:
    assert how_to_retry(a_plan(**settings), task="test.apply") == words


def test_what_to_clear_is_never_a_bypassed_channel() -> None:
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("playground",), "urgent")
    assert "clear test.enter" in how_to_retry(a_plan(bypass=bypass), task="production.apply")
