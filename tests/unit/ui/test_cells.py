"""What has become of each channel and each target."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.definition import Hold
from phased_rollout.model.plan import Plan
from phased_rollout.ui.cells import Stage, cells_of, stage_of
from tests.builders import a_channel, a_plan
from tests.unit.ui.told import applied, facts_of, graduated

ONE = a_plan(a_channel("test"))
BACK = ["rolling_back test", "restored test/test-1"]


def shown(
    *happened: str, touched: str = "", over: bool = False, plan: Plan = ONE
) -> tuple[str, dict[str, str]]:
    facts = facts_of(*happened, plan=plan, touched=touched)
    channel = plan.channels[0]
    stage = stage_of(facts, channel, over=over)
    return stage, {name: cell.state for name, cell in cells_of(facts, channel, stage).items()}


@pytest.mark.parametrize(
    ("happened", "touched", "stage", "states"),
    [
        ([], "", "waiting", "waiting waiting"),
        (["entered test"], "", "applying", "waiting waiting"),
        (["entered test"], "test-1", "applying", "applying waiting"),
        (applied("test")[:2], "test-1 test-2", "applying", "verified applying"),
        (applied("test"), "test-1 test-2", "soaking", "soaking soaking"),
        ([*applied("test"), "healthy test"], "", "approval", "healthy healthy"),
        (graduated("test"), "test-1 test-2", "graduated", "healthy healthy"),
        (["unchanged test"], "", "unchanged", "unchanged unchanged"),
        (["unchanged test", "entered test"], "", "applying", "waiting waiting"),
        (["entered test", "excepting test/test-1"], "test-1", "applying", "failed waiting"),
        (["entered test", "refused test/test-1"], "test-1", "applying", "failed waiting"),
        (["entered test", "refused test/test-1", "failed test"], "", "failed", "failed waiting"),
        (["entered test", "excepted test/test-1"], "test-1", "applying", "excepted waiting"),
        ([*applied("test"), "failed test"], "", "failed", "verified verified"),
        ([*applied("test"), *BACK], "test-1 test-2", "rolling_back", "restored restoring"),
        ([*applied("test")[:2], *BACK], "test-1", "rolling_back", "restored untouched"),
        (
            [*applied("test"), *BACK, "left_alone test/test-2"],
            "",
            "rolling_back",
            "restored left_alone",
        ),
        (
            [*applied("test"), *BACK, "restore_failed test/test-2"],
            "",
            "rolling_back",
            "restored not_restored",
        ),
        (
            [*applied("test")[:2], *BACK, "rolled_back test"],
            "",
            "rolled_back",
            "restored untouched",
        ),
    ],
)
def test_the_newest_record_decides(
    happened: list[str], touched: str, stage: str, states: str
) -> None:
    told = dict(zip(("test-1", "test-2"), states.split(), strict=True))
    assert shown(*happened, touched=touched) == (stage, told)


def test_what_was_entered_again_after_a_rollback_begins_anew() -> None:
    before = [*graduated("test"), *BACK, "restored test/test-2", "rolled_back test"]
    told = shown(*before, "entered test", touched="test-1")
    assert told == (Stage.APPLYING, {"test-1": "applying", "test-2": "waiting"})


def test_a_channel_that_the_run_never_reached_says_so_when_it_is_over() -> None:
    told = shown(over=True)
    assert told == (Stage.NOT_REACHED, {"test-1": "untouched", "test-2": "untouched"})


def test_a_bypassed_channel_and_a_target_on_hold_are_told_apart() -> None:
    target = replace(ONE.channels[0].targets[1], hold=Hold("moves", date(2027, 1, 31)))
    channel = replace(ONE.channels[0], targets=ONE.channels[0].targets[:1], on_hold=(target,))
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("test",), "urgent")
    told = shown(plan=a_plan(channel, bypass=bypass))
    assert told == (Stage.BYPASSED, {"test-1": "bypassed", "test-2": "quarantined"})


def test_a_restored_target_still_tells_that_it_was_the_one_that_failed() -> None:
    facts = facts_of("entered test", "refused test/test-1", *BACK, plan=ONE, touched="test-1")
    stage = stage_of(facts, ONE.channels[0], over=False)
    cells = cells_of(facts, ONE.channels[0], stage)
    assert {name: cell.failed for name, cell in cells.items()} == {"test-1": True, "test-2": False}


def test_a_target_that_was_mended_is_no_culprit_any_more() -> None:
    facts = facts_of("entered test", "refused test/test-1", "verified test/test-1", plan=ONE)
    assert not cells_of(facts, ONE.channels[0], Stage.APPLYING)["test-1"].failed


def test_what_would_be_started_next_is_held_and_what_is_in_flight_is_not() -> None:
    facts = facts_of("entered test", plan=ONE, touched="test-1")
    cells = cells_of(facts, ONE.channels[0], Stage.APPLYING, held=True)
    assert {name: cell.state for name, cell in cells.items()} == {
        "test-1": "applying",
        "test-2": "held",
    }
