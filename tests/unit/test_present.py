"""What targets run at present, as far as earlier rollouts tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from phased_rollout.model.boundaries import UNKNOWN, Running
from phased_rollout.model.bypass import NO_BYPASS, Bypass, BypassTier
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Definition, Target
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import TargetState
from phased_rollout.present import boundaries_of, running_now
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from tests.builders import START, a_channel, a_definition, a_plan

PLAYGROUND, TEST = a_channel("playground", targets=1), a_channel("test", targets=2)
DEFINITION = a_definition(PLAYGROUND, TEST)
CHANGES = {
    number: Change(f"change {number}", {"a": str(number)}, provides={"api": (str(number),)})
    for number in range(1, 5)
}
ONE, TWO, THREE = (Running.of(CHANGES[number]) for number in (1, 2, 3))
ALL_VERIFIED = ["verified playground/playground-1", "verified test/test-1", "verified test/test-2"]


def a_run(number: int, *happened: str, bypass: Bypass = NO_BYPASS) -> RolloutRecords:
    """Record a rollout of the change of that number; entering a channel touches its targets."""
    begun = START + timedelta(days=number)
    records = Rollout.open("accounts", f"run {number}").records
    plan = a_plan(PLAYGROUND, TEST, bypass=bypass)
    records.freeze(replace(plan, run_id=f"run {number}", made_at=begun), CHANGES[number])
    for second, text in enumerate(happened, start=1):
        kind, _, where = text.partition(" ")
        channel, _, target = where.partition("/")
        at = begun + timedelta(seconds=second)
        if kind == "touched":
            records.capture(TargetState(None), channel=channel, target=target, at=at)
        else:
            details = {"reason": ""} if target else {}
            records.add(Kind(kind), at=at, channel=channel, target=target, **details)
    return records


def now(definition: Definition = DEFINITION) -> Mapping[str, Running]:
    found = running_now(Rollout.open("accounts", "now").records, definition)
    names = [t.name for c in definition.channels for t in (*c.targets, *c.on_hold)]
    return {name: found.get(name, UNKNOWN) for name in names}


def test_without_a_rollout_nothing_is_known(store: Path) -> None:
    assert list(now().values()) == [UNKNOWN, UNKNOWN, UNKNOWN]


def test_a_target_runs_what_was_last_verified_on_it(store: Path) -> None:
    a_run(1, "entered playground", "entered test", *ALL_VERIFIED)
    a_run(2, "entered playground", ALL_VERIFIED[0])
    assert now() == {"playground-1": TWO, "test-1": ONE, "test-2": ONE}


@pytest.mark.parametrize("kind", ["restored", "excepted"])
def test_a_target_that_was_given_back_runs_what_it_ran_before(store: Path, kind: str) -> None:
    a_run(1, "entered playground", "entered test", *ALL_VERIFIED)
    a_run(2, "entered test", "touched test/test-1", f"{kind} test/test-1")
    assert now()["test-1"] == ONE


@pytest.mark.parametrize("kind", ["left_alone", "refused", "restore_failed"])
def test_a_target_that_was_left_half_way_or_to_somebody_else_runs_what_is_not_known(
    store: Path, kind: str
) -> None:
    a_run(1, "entered playground", "entered test", *ALL_VERIFIED)
    a_run(2, "entered test", "touched test/test-1", f"{kind} test/test-1")
    assert now() == {"playground-1": ONE, "test-1": UNKNOWN, "test-2": ONE}


def test_a_target_on_which_a_process_died_runs_what_is_not_known(store: Path) -> None:
    a_run(1, "entered playground", "entered test", *ALL_VERIFIED)
    a_run(2, "entered test", "touched test/test-2")
    assert now()["test-2"] == UNKNOWN


def test_a_rollback_that_was_cut_off_leaves_what_is_not_known(store: Path) -> None:
    happened = ["entered test", "touched test/test-1", "touched test/test-2", *ALL_VERIFIED[1:]]
    a_run(2, *happened, "rolling_back test", "restored test/test-1")
    assert now()["test-2"] == UNKNOWN


def test_a_rollout_that_found_its_change_everywhere_says_so(store: Path) -> None:
    a_run(1, "entered playground", "entered test", *ALL_VERIFIED)
    a_run(2, "previewed", "nothing_to_change")
    assert list(now().values()) == [TWO, TWO, TWO]
    a_run(3, "previewed", "nothing_to_change", "previewed", "entered playground", ALL_VERIFIED[0])
    assert now() == {"playground-1": THREE, "test-1": TWO, "test-2": TWO}


def test_a_channel_that_passed_unchanged_runs_the_change(store: Path) -> None:
    a_run(2, "unchanged test")
    assert now() == {"playground-1": UNKNOWN, "test-1": TWO, "test-2": TWO}


def test_a_bypassed_channel_runs_what_it_ran(store: Path) -> None:
    a_run(1, "entered playground", "entered test", *ALL_VERIFIED)
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("test",), "urgent")
    a_run(2, "previewed", "nothing_to_change", bypass=bypass)
    assert now() == {"playground-1": TWO, "test-1": ONE, "test-2": ONE}


def test_a_target_at_another_address_is_another_one_and_one_in_another_channel_the_same(
    store: Path,
) -> None:
    a_run(1, "entered playground", "entered test", *ALL_VERIFIED)
    moved = replace(PLAYGROUND, targets=(*PLAYGROUND.targets, TEST.targets[0]))
    elsewhere = Target("test-2", {"account": "999999999999", "region": "eu-central-1"})
    definition = a_definition(moved, replace(TEST, targets=(elsewhere,)))
    assert now(definition) == {"playground-1": ONE, "test-1": ONE, "test-2": UNKNOWN}


@pytest.mark.parametrize("damaged", ["{", "{}", '{"plan": {}, "change": "x"}', '{"plan": 1}'])
def test_a_record_that_cannot_be_read_hides_what_was_before_it(store: Path, damaged: str) -> None:
    a_run(1, "entered playground", "entered test", *ALL_VERIFIED)
    records = a_run(2)
    Path(records.folder.path, "plan.json").write_text(damaged)
    a_run(3, "entered playground", ALL_VERIFIED[0])
    assert now() == {"playground-1": THREE, "test-1": UNKNOWN, "test-2": UNKNOWN}


def test_a_later_rollout_says_nothing_of_what_was_when_this_one_began(store: Path) -> None:
    a_run(1, "entered playground", "entered test", *ALL_VERIFIED)
    this = a_run(2)
    a_run(3, "entered playground", ALL_VERIFIED[0])
    assert set(running_now(this, DEFINITION)) == {"playground-1", "test-1", "test-2"}
    assert running_now(this, DEFINITION)["playground-1"] == ONE


def test_targets_on_hold_and_bypassed_channels_are_checked_as_what_they_are(store: Path) -> None:
    a_run(1, "entered playground", "entered test", *ALL_VERIFIED)
    records = Rollout.open("accounts", "now").records
    needs = replace(CHANGES[2], provides={"api": ("1", "2")}, requires={"api": "==2"})
    held = replace(TEST, targets=TEST.targets[:1], on_hold=TEST.targets[1:], talks_to=())
    playground = replace(PLAYGROUND, talks_to=("test",))
    after = a_definition(held, playground)  # test comes first here
    found = boundaries_of(records, after, NO_BYPASS, needs)
    assert found is not None
    assert "while playground is changed" in found.stops[0]
    assert "test (on hold) runs change 1" in found.stops[0]
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("test",), "urgent")
    found = boundaries_of(records, replace(after, channels=(TEST, playground)), bypass, needs)
    assert found is not None
    assert "test (bypassed) runs change 1" in found.stops[0]
