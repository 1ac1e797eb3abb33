"""The target set against the last graduated plan: nothing disappears without a word."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from phased_rollout.model.definition import Channel, Definition, Target
from phased_rollout.model.selection import Hold
from phased_rollout.model.target_guard import Comparison, compare
from tests.builders import a_definition


def a_target(name: str, *, region: str = "eu-central-1", **kwargs: Hold) -> Target:
    return Target(name, {"account": name[-1] * 12, "region": region}, **kwargs)


def of(retired: tuple[str, ...] = (), **channels: str) -> Definition:
    """Build a definition: ``of(test="a1 a2", prod="b3")``."""
    found = [
        Channel(name, tuple(map(a_target, targets.split())), soak=a_definition().channels[0].soak)
        for name, targets in channels.items()
    ]
    return a_definition(*found, retired=retired)


LAST = of(test="a1 a2", prod="b3 b4 b5")


def test_the_same_targets_are_nothing_to_talk_about() -> None:
    assert compare(LAST, LAST) == Comparison()


def test_new_targets_are_noted() -> None:
    assert compare(LAST, of(test="a1 a2 a6", prod="b3 b4 b5")) == Comparison(
        notes=("new since then: a6",)
    )


def test_a_target_that_has_disappeared_stops_the_plan() -> None:
    assert compare(LAST, of(test="a1", prod="b3 b5")).stops == (
        "2 targets of the last graduated plan have disappeared: a2, b4: bring them back, or name "
        "each under retired: if it is meant to be gone",
    )


def test_a_whole_channel_that_has_disappeared_stops_the_plan() -> None:
    assert "a1, a2" in compare(LAST, of(prod="b3 b4 b5")).stops[0]


def test_only_those_that_are_retired_by_name_may_disappear() -> None:
    compared = compare(LAST, of(("a2",), test="a1", prod="b3 b4 b5"))
    assert compared == Comparison(notes=("retired since then: a2",))
    assert (
        compare(LAST, of(("a2",), test="a1", prod="b3 b5"))
        .stops[0]
        .startswith("1 targets of the last graduated plan have disappeared: b4:")
    )


def test_a_target_on_hold_is_still_there() -> None:
    hold = Hold("migration", date(2026, 12, 1))
    (test, prod) = LAST.channels
    held = replace(test, targets=test.targets[:1], on_hold=(a_target("a2", hold=hold),))
    on_hold = replace(LAST, channels=(held, prod))
    assert compare(LAST, on_hold) == Comparison()
    assert compare(on_hold, LAST) == Comparison()
    assert "a2" in compare(on_hold, of(test="a1", prod="b3 b4 b5")).stops[0]


def test_another_address_under_an_old_name_is_another_target() -> None:
    (test, prod) = LAST.channels
    elsewhere = replace(test, targets=(test.targets[0], a_target("a2", region="us-east-1")))
    assert compare(LAST, replace(LAST, channels=(elsewhere, prod))).stops == (
        "a2 was 222222222222 eu-central-1 in the last graduated plan, and is another target now: "
        "give the new one another name, and name a2 under retired: if 222222222222 eu-central-1 "
        "is meant to be gone",
    )


def test_targets_without_an_address_of_their_own_are_told_apart_by_name() -> None:
    (test, prod) = LAST.channels
    several = replace(test, targets=(Target("x", {}), Target("y", {}), Target("z", {})))
    before = replace(LAST, channels=(several, prod))
    assert compare(before, before) == Comparison()
    fewer = replace(LAST, channels=(replace(test, targets=(Target("y", {}),)), prod))
    assert (
        compare(before, fewer)
        .stops[0]
        .startswith("2 targets of the last graduated plan have disappeared: x, z:")
    )


def test_a_target_that_moved_to_another_channel_needs_an_authorization() -> None:
    compared = compare(LAST, of(test="a1 a2 b3 b4", prod="b5"))
    assert compared == Comparison(authorize=("2 targets moved from prod to test: b3, b4",))


def test_channels_in_another_order_need_an_authorization() -> None:
    compared = compare(LAST, of(prod="b3 b4 b5", test="a1 a2"))
    assert compared.authorize == ("the channels were reordered: test → prod is prod → test now",)


def test_a_channel_between_two_others_reorders_nothing() -> None:
    assert compare(LAST, of(test="a1 a2", infra="c7", prod="b3 b4 b5")).authorize == ()


def test_targets_in_another_order_need_an_authorization() -> None:
    assert compare(LAST, of(test="a1 a2", prod="b9 b4 b3 b5")).authorize == (
        "the targets of prod were reordered: b4 comes earlier now",
    )


def test_a_renamed_target_needs_an_authorization() -> None:
    assert compare(LAST, of(test="a1 x2", prod="b3 b4 b5")).authorize == (
        "1 targets were renamed: a2 is x2 now",
    )
