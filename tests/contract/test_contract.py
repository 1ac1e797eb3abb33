"""The contract of ``phased_rollout.substrates.Substrate``. Knows nothing of any kind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from phased_rollout.errors import DriftedError, GuardError, RefusedError, UnreachableError
from phased_rollout.model.definition import Target
from phased_rollout.model.representativeness import kinds_of
from phased_rollout.model.target_state import Outcome, Preview, Progress
from phased_rollout.rollout import AT_ONCE, for_each
from tests.contract.drive import AGAIN, APPLY, PREVIEW, Driver, Guard, KilledError, patiently
from tests.contract.harness import Harness

MOST_MUTATIONS = 12
"""More than an operation on one or two things needs."""


@pytest.fixture
def one(harness: Harness) -> Driver:
    """A target that runs nothing yet."""
    return Driver(harness)


@pytest.fixture
def running(one: Driver) -> Driver:
    """A target that runs the value ``first``."""
    assert one.apply(one.harness.change("first")).outcome is Outcome.DONE
    return one


def previewed(driver: Driver, value: str, *, extra: bool = False) -> Preview:
    artifact = driver.artifact(driver.harness.change(value, extra=extra))
    return driver.substrate.preview(driver.target, artifact, token=PREVIEW)


# reading


def test_a_target_that_runs_nothing_reads_so(one: Driver) -> None:
    state = one.read()
    assert (state.running, state.digest, state.settled, state.healthy) == (None, None, True, True)


def test_reading_changes_nothing_and_reads_the_same_again(running: Driver) -> None:
    before = running.harness.trace(running.target)
    assert running.read() == running.read()
    assert running.harness.trace(running.target) == before


def test_what_runs_is_named_by_the_digest_of_the_change(running: Driver) -> None:
    assert running.read().digest == running.artifact(running.harness.change("first")).digest
    assert running.read().digest != running.artifact(running.harness.change("second")).digest


def test_rendering_needs_no_target_and_is_the_same_each_time(harness: Harness) -> None:
    nowhere = Target("nowhere", dict(harness.target().address))
    change = harness.change("first")
    found = [
        harness.substrate().render(change, channel="test", target=nowhere).digest for _ in range(2)
    ]
    assert found[0] == found[1]


# previews


def test_a_preview_leaves_nothing_where_nothing_runs(one: Driver) -> None:
    before = one.harness.trace(one.target)
    assert previewed(one, "first").differences
    assert one.harness.trace(one.target) == before
    assert one.read().running is None


def test_a_preview_leaves_nothing_where_something_runs(running: Driver) -> None:
    before, state = running.harness.trace(running.target), running.read()
    assert previewed(running, "second", extra=True).differences
    assert running.harness.trace(running.target) == before
    assert running.read() == state


def test_a_preview_of_what_runs_is_empty(running: Driver) -> None:
    assert previewed(running, "first").differences == ()


def test_what_would_be_removed_is_called_destructive(one: Driver) -> None:
    one.apply(one.harness.change("first", extra=True))
    assert [d.destructive for d in previewed(one, "first").differences] == [True]


def test_two_previews_of_the_same_are_the_same_and_of_another_are_not(running: Driver) -> None:
    assert previewed(running, "second").digest == previewed(running, "second").digest
    assert previewed(running, "second").digest != previewed(running, "first", extra=True).digest


def test_a_kind_of_change_names_no_target(harness: Harness) -> None:
    one, other = Driver(harness), Driver(harness)
    assert one.target.address != other.target.address
    kinds = kinds_of(previewed(one, "first"))
    assert kinds
    assert kinds == kinds_of(previewed(other, "first"))


# applying


def test_an_apply_shows_and_is_verified(one: Driver) -> None:
    change = one.harness.change("first", extra=True)
    assert one.apply(change).outcome is Outcome.DONE
    assert one.harness.shown(one.target) == ("first", True)
    state = one.substrate.verify(one.target, one.artifact(change))
    assert (state.digest, state.settled, state.healthy) == (one.artifact(change).digest, True, True)
    assert one.substrate.settled(one.target, token=APPLY)


@pytest.mark.parametrize("token", [APPLY, AGAIN])
def test_an_apply_of_what_runs_changes_nothing(running: Driver, token: str) -> None:
    before, guard = running.harness.trace(running.target), Guard()
    again = running.apply(running.harness.change("first"), token=token, guard=guard)
    assert (again.outcome, guard.entered) == (Outcome.DONE, 0)
    assert running.harness.trace(running.target) == before


def test_what_the_change_has_no_more_is_removed(one: Driver) -> None:
    one.apply(one.harness.change("first", extra=True))
    one.apply(one.harness.change("second"), token=AGAIN)
    assert one.harness.shown(one.target) == ("second", False)


def test_another_change_does_not_verify(running: Driver) -> None:
    other = running.artifact(running.harness.change("second"))
    with pytest.raises(RefusedError):
        running.substrate.verify(running.target, other)


def test_nothing_is_changed_past_the_guard(running: Driver) -> None:
    before = running.read()
    with pytest.raises(GuardError, match="a rollback is armed"):
        running.apply(running.harness.change("second"), token=AGAIN, guard=Guard(refuses_after=0))
    assert running.read() == before
    assert running.harness.shown(running.target) == ("first", False)


def test_no_mutation_is_done_past_the_guard(harness: Harness) -> None:
    for number in range(1, MOST_MUTATIONS):
        one = Driver(harness)
        one.apply(harness.change("first", extra=True))
        looks = partial(harness.trace, one.target)
        guard = Guard(refuses_after=number, looks=looks)
        try:
            one.apply(harness.change("second"), token=AGAIN, guard=guard)
        except GuardError:
            assert looks() == guard.last_look
        else:
            return
    raise AssertionError(f"more than {MOST_MUTATIONS} mutations")


def test_what_was_previewed_is_applied(running: Driver) -> None:
    expected = previewed(running, "second").digest
    done = running.apply(running.harness.change("second"), token=AGAIN, expected=expected)
    assert done.outcome is Outcome.DONE
    assert running.harness.shown(running.target) == ("second", False)


def test_what_would_change_otherwise_now_is_not_applied(one: Driver) -> None:
    expected = previewed(one, "second").digest
    one.apply(one.harness.change("first", extra=True))
    with pytest.raises(DriftedError):
        one.apply(one.harness.change("second"), token=AGAIN, expected=expected)
    assert one.harness.shown(one.target) == ("first", True)


# what goes wrong


def test_a_refusal_says_what_the_system_said_and_is_not_sent_again(running: Driver) -> None:
    before = running.read()
    with running.harness.refusal(running.target) as (change, words):
        with pytest.raises(RefusedError, match=words):
            running.apply(change, token=AGAIN)
        refused = running.harness.trace(running.target)
        with pytest.raises(RefusedError, match=words):
            running.apply(change, token=AGAIN)
        assert running.harness.trace(running.target) == refused
        with pytest.raises(RefusedError):
            running.substrate.verify(running.target, running.artifact(change))
        assert running.restore(before, change).outcome is Outcome.DONE
    assert running.read().digest == before.digest
    assert running.harness.shown(running.target) == ("first", False)


def test_a_target_that_does_not_answer_is_no_refusal(running: Driver) -> None:
    change = running.harness.change("second")
    artifact, substrate, target = running.artifact(change), running.substrate, running.target
    asked: list[Callable[[], object]] = [
        lambda: substrate.read(target),
        lambda: substrate.preview(target, artifact, token=PREVIEW),
        lambda: substrate.apply(target, artifact, token=AGAIN, mutation=Guard()),
        lambda: substrate.verify(target, artifact),
    ]
    with running.harness.silence(target):
        for ask in asked:
            with pytest.raises(UnreachableError):
                ask()
    assert running.harness.shown(target) == ("first", False)


@pytest.mark.parametrize("skip", range(4))
def test_a_lost_reply_is_reconciled(one: Driver, skip: int) -> None:
    change = one.harness.change("first", extra=True)
    with one.harness.lost_replies(one.target, skip=skip):
        assert patiently(lambda: one.apply(change)).outcome is Outcome.DONE
    assert one.harness.shown(one.target) == ("first", True)
    assert one.read().digest == one.artifact(change).digest
    settled = one.harness.trace(one.target)
    assert one.apply(change).outcome is Outcome.DONE
    assert one.harness.trace(one.target) == settled


def test_a_process_that_is_killed_after_any_mutation_is_resumed(harness: Harness) -> None:
    for number in range(1, MOST_MUTATIONS):
        one = Driver(harness)
        one.apply(harness.change("first", extra=True))
        try:
            one.apply(harness.change("second"), token=AGAIN, guard=Guard(kills_after=number))
        except KilledError:
            one.apply(harness.change("second"), token=AGAIN)
            assert harness.shown(one.target) == ("second", False)
        else:
            assert number > 1
            return
    raise AssertionError(f"more than {MOST_MUTATIONS} mutations")


# restoring


def test_a_restore_gives_back_what_was(running: Driver) -> None:
    before = running.read()
    running.apply(running.harness.change("second", extra=True), token=AGAIN)
    done = running.restore(before, running.harness.change("second", extra=True))
    assert done.outcome is Outcome.DONE
    assert running.harness.shown(running.target) == ("first", False)
    assert running.read() == replace(before, detail=running.read().detail)


def test_a_restore_brings_back_what_was_removed(one: Driver) -> None:
    one.apply(one.harness.change("first", extra=True))
    before = one.read()
    one.apply(one.harness.change("second"), token=AGAIN)
    assert one.restore(before, one.harness.change("second")).outcome is Outcome.DONE
    assert one.harness.shown(one.target) == ("first", True)
    assert one.read().digest == before.digest


def test_what_was_created_is_removed(one: Driver) -> None:
    before, empty = one.read(), one.harness.shown(one.target)
    one.apply(one.harness.change("first", extra=True))
    assert one.restore(before, one.harness.change("first", extra=True)).outcome is Outcome.DONE
    assert one.harness.shown(one.target) == empty
    assert one.read().running is None


def test_a_restore_of_what_runs_already_changes_nothing(running: Driver) -> None:
    before, trace = running.read(), running.harness.trace(running.target)
    done = running.restore(before, running.harness.change("second"))
    assert done.outcome is Outcome.DONE
    assert running.harness.trace(running.target) == trace


@pytest.mark.parametrize("with_earlier", [True, False])
def test_what_somebody_else_changed_since_is_left_alone(one: Driver, *, with_earlier: bool) -> None:
    if with_earlier:
        one.apply(one.harness.change("first"))
    before = one.read()
    one.apply(one.harness.change("second"), token=AGAIN)
    one.harness.by_hand(one.target, "theirs")
    trace = one.harness.trace(one.target)
    left = one.restore(before, one.harness.change("second"))
    assert left.outcome is Outcome.LEFT_ALONE
    assert one.harness.shown(one.target) == ("theirs", False)
    assert one.harness.trace(one.target) == trace


def test_an_apply_that_was_killed_is_taken_back(harness: Harness) -> None:
    for number in range(1, MOST_MUTATIONS):
        one = Driver(harness)
        one.apply(harness.change("first"))
        before = one.read()
        change = harness.change("second", extra=True)
        try:
            one.apply(change, token=AGAIN, guard=Guard(kills_after=number))
        except KilledError:
            assert one.restore(before, change).outcome is Outcome.DONE
            assert harness.shown(one.target) == ("first", False)
            assert one.read().digest == before.digest
        else:
            return
    raise AssertionError(f"more than {MOST_MUTATIONS} mutations")


def test_a_restore_that_was_killed_is_resumed(harness: Harness) -> None:
    for number in range(1, MOST_MUTATIONS):
        one = Driver(harness)
        one.apply(harness.change("first"))
        before = one.read()
        change = harness.change("second", extra=True)
        one.apply(change, token=AGAIN)
        try:
            one.restore(before, change, guard=Guard(kills_after=number))
        except KilledError:
            assert one.restore(before, change).outcome is Outcome.DONE
            assert harness.shown(one.target) == ("first", False)
            assert one.read().digest == before.digest
        else:
            return
    raise AssertionError(f"more than {MOST_MUTATIONS} mutations")


# many


def test_hundreds_of_targets_are_changed_at_once_and_no_more_than_allowed(harness: Harness) -> None:
    targets = [harness.target() for _ in range(harness.many)]
    change, substrate = harness.change("first"), harness.substrate()
    lock, inside, most = threading.Lock(), [0], [0]

    def step(target: Target) -> Progress:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        try:
            artifact = substrate.render(change, channel="playground", target=target)
            while True:
                done = substrate.apply(target, artifact, token=APPLY, mutation=Guard())
                if done.outcome is not Outcome.WAITING:
                    return done
        finally:
            with lock:
                inside[0] -= 1

    found = for_each(targets, step)
    assert {getattr(answer, "outcome", answer) for answer in found.values()} == {Outcome.DONE}
    assert len(found) == harness.many
    assert 1 < most[0] <= AT_ONCE
    assert {harness.shown(target) for target in targets} == {("first", False)}
