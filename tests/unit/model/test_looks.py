"""When a soak is looked at, and who is compared with whom."""

from __future__ import annotations

from datetime import timedelta

import pytest

from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.ledger import Ledger
from phased_rollout.model.looks import Soak
from phased_rollout.model.sides import sides_of
from tests.builders import START, a_channel, a_ledger, a_plan

MINUTE = timedelta(minutes=1)
HOUR = Soak(START - MINUTE, START, START + 60 * MINUTE)


@pytest.mark.parametrize(
    ("minutes", "due", "ahead"),
    [(0, None, 1), (12, None, 1), (13, 1, 2), (33, 3, 4), (52, 4, 5), (53, 5, None), (99, 5, None)],
)
def test_looks_come_a_little_after_each_sixth_of_the_soak(
    minutes: int, due: int | None, ahead: int | None
) -> None:
    at = START + minutes * MINUTE
    assert (HOUR.due_look(at), HOUR.next_look(at)) == (due, ahead)


def test_a_look_sees_to_its_sixth_whenever_it_is_taken() -> None:
    assert HOUR.seen_at(2) == START + 20 * MINUTE


def test_a_short_soak_is_judged_once() -> None:
    short = Soak(START, START, START + timedelta(seconds=59))
    assert (short.next_look(START), short.due_look(short.end), short.last_look) == (None,) * 3
    assert HOUR.last_look == 6


def test_a_soak_begins_with_the_target_that_was_verified_last() -> None:
    ledger = a_ledger("entered test", "applied test")
    targets = a_ledger("verified test/test-1", "refused test/test-2", "verified test/test-2")
    soak = Soak.of(ledger, targets, channel="test", soak=MINUTE)
    begun = START + timedelta(seconds=3)
    assert soak == Soak(START + timedelta(seconds=1), begun, begun + MINUTE)


PLAN = a_plan(a_channel("playground"), a_channel("test", targets=3), a_channel("production"))
DONE = ("entered playground", "applied playground", "graduated playground")
IN_TEST = a_ledger(*DONE, "entered test")
VERIFIED = [f"verified test/test-{n}" for n in (1, 2, 3)]


def names(targets: object) -> list[str]:
    return [target.name for target in targets]  # type: ignore[attr-defined]


def of_test(*more: str) -> Ledger:
    return a_ledger(*["armed"] * 4, *VERIFIED, *more)


def test_what_was_changed_is_compared_with_what_is_not_reached_yet() -> None:
    sides = sides_of(PLAN, IN_TEST, of_test(), channel="test", had_it=())
    assert names(sides.changed) == ["test-1", "test-2", "test-3"]
    assert names(sides.controls) == ["production-1", "production-2"]
    assert sides.left_out == {}


def test_a_target_that_was_ever_changed_is_no_control() -> None:
    back = a_ledger(*DONE, "entered production", "rolled_back production", "entered test")
    assert sides_of(PLAN, back, of_test(), channel="test", had_it=()).controls == ()


def test_targets_that_ran_the_change_or_failed_within_the_tolerance_are_on_no_side() -> None:
    targets = of_test("excepting test/test-2", "excepted test/test-2")
    had = {"test-3", "production-1"}
    sides = sides_of(PLAN, IN_TEST, targets, channel="test", had_it=had)
    assert (names(sides.changed), names(sides.controls)) == (["test-1"], ["production-2"])
    assert sides.left_out == {
        "test-2": "failed within the tolerance, and was restored",
        "test-3": "ran the change before",
        "production-1": "runs the change already",
    }


def test_a_channel_that_passed_unchanged_gives_no_controls() -> None:
    ledger = a_ledger("unchanged playground", "entered test")
    sides = sides_of(PLAN, ledger, of_test(), channel="test", had_it=())
    assert names(sides.controls) == ["production-1", "production-2"]


def test_a_bypassed_channel_gives_controls() -> None:
    plan = a_plan(
        *PLAN.channels, bypass=Bypass(BypassTier.SKIP_CHANNELS, ("playground",), "urgent")
    )
    ledger = a_ledger("bypassed playground", "entered test")
    sides = sides_of(plan, ledger, of_test(), channel="test", had_it=())
    assert names(sides.controls)[:2] == ["playground-1", "playground-2"]
