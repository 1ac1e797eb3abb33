"""What targets consist of: nothing of two targets, and fewer only with a word."""

from __future__ import annotations

from dataclasses import replace

from phased_rollout.model.definition import Channel, Definition
from phased_rollout.model.members import compare, shared
from phased_rollout.model.target_guard import Comparison
from tests.builders import a_channel, a_definition


def of(**members: str) -> Definition:
    """Build a definition of a channel for each word, with the hosts that it lists."""

    def channel(name: str, listed: str) -> Channel:
        plain = a_channel(name, targets=1)
        target = replace(plain.targets[0], members=tuple(listed.split()))
        return replace(plain, targets=(target,))

    return a_definition(*(channel(name, listed) for name, listed in members.items()))


TEN = " ".join(f"h{n}" for n in range(10))


def test_a_member_of_two_targets_is_named() -> None:
    assert shared(of(canary="a b", main="c")) == []
    assert shared(of(canary="a b", main="b c a")) == [
        "2 are of canary-1 and of main-1: b, a: each has to be of one target"
    ]


def test_what_came_and_went_is_told() -> None:
    now = of(main=f"{TEN} new".replace("h0 ", ""))
    assert compare(of(main=TEN), now) == Comparison(
        notes=("main-1: gone since then: h0", "main-1: new since then: new")
    )


def test_what_lost_more_than_a_tenth_has_to_be_authorized() -> None:
    found = compare(of(main=TEN), of(main="h0 h1 h2 h3 h4 h5 h6 h7"))
    assert found == Comparison(
        authorize=("main-1 has 8 members, and had 10 in the last graduated plan; gone: h8, h9",)
    )


def test_what_moved_between_channels_has_to_be_authorized() -> None:
    found = compare(of(canary="a", main=TEN), of(canary="a h0", main=TEN.removeprefix("h0 ")))
    assert found.authorize == ("1 members moved from main to canary: h0",)


def test_a_channel_that_is_left_out_and_targets_of_one_thing_are_not_compared() -> None:
    assert compare(of(canary="a", main=TEN), of(canary="a", main="")) == Comparison()
    assert compare(a_definition(), a_definition()) == Comparison()
