"""Each rule of the rollout is seen to fire, and the honest case is seen to pass."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phased_rollout.errors import GuardError
from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.definition import RollbackScope
from phased_rollout.model.guards import (
    channels_to_restore,
    in_flight,
    may_enter,
    may_finish,
    may_judge,
    may_mutate,
    may_restore,
    why_not_passed,
    why_not_unchanged,
)
from phased_rollout.model.ledger import Kind, Ledger
from phased_rollout.model.plan import Plan
from tests.builders import NAMES, a_channel, a_ledger, a_plan, passed


def why(guard: Callable[[], None]) -> str:
    with pytest.raises(GuardError) as refused:
        guard()
    return str(refused.value)


def enter(plan: Plan, ledger: Ledger, channel: str, *, newer: str | None = None) -> None:
    may_enter(plan, ledger, channel=channel, newer=newer, needs_authorization=False)


def test_the_first_channel_may_be_entered_at_once() -> None:
    enter(a_plan(), a_ledger(), "playground")


def test_a_channel_may_be_entered_after_the_graduation_of_the_one_before() -> None:
    enter(a_plan(), a_ledger(*passed("playground")), "test")


def test_applied_but_not_observed_never_advances() -> None:
    ledger = a_ledger("entered playground", "applied playground")
    assert why(lambda: enter(a_plan(), ledger, "test")) == (
        "test is not entered: playground has no recorded health since its last verified apply; "
        "a task that was marked success is no evidence: clear playground.health with downstream "
        "to judge it again"
    )


def test_an_apply_after_the_health_asks_for_a_new_judgement() -> None:
    ledger = a_ledger(*passed("playground"), "applied playground")
    assert "no recorded health since" in why(lambda: enter(a_plan(), ledger, "test"))


def test_a_gate_marked_success_by_hand_is_no_approval() -> None:
    plan = a_plan(a_channel("playground", gate="health+approval"), a_channel("test"))
    ledger = a_ledger(*passed("playground"))
    assert "playground has no recorded approval since it was judged healthy" in why(
        lambda: enter(plan, ledger, "test")
    )


def test_an_approval_before_the_judgement_does_not_count() -> None:
    plan = a_plan(a_channel("playground", gate="approval"), a_channel("test"))
    ledger = a_ledger(
        "entered playground", "applied playground", "approved playground", "healthy playground"
    )
    assert "no recorded approval" in why(lambda: enter(plan, ledger, "test"))


def test_an_approved_channel_lets_the_next_one_in() -> None:
    plan = a_plan(a_channel("playground", gate="approval"), a_channel("test"))
    story = ["entered", "applied", "healthy", "approved", "graduated"]
    enter(plan, a_ledger(*(f"{kind} playground" for kind in story)), "test")


def test_nothing_is_entered_on_top_of_a_rolled_back_channel() -> None:
    ledger = a_ledger(*passed("playground"), "rolled_back playground")
    assert why(lambda: enter(a_plan(), ledger, "test")) == (
        "playground was rolled back after it was entered: "
        "clear playground.enter with downstream to apply it again from there"
    )


def test_a_channel_that_was_entered_again_after_its_rollback_counts_again() -> None:
    ledger = a_ledger(*passed("playground"), "rolled_back playground", *passed("playground"))
    enter(a_plan(), ledger, "test")


def test_a_newer_rollout_ends_this_one() -> None:
    text = "a newer rollout of this definition has begun (manual__2): this one ends"
    assert why(lambda: enter(a_plan(), a_ledger(), "playground", newer="manual__2")) == text
    assert why(lambda: may_restore(newer="manual__2")) == text


def test_a_bypass_lets_the_next_channel_in_only_when_it_was_planned_and_recorded() -> None:
    skip = Bypass(BypassTier.SKIP_CHANNELS, ("playground",), "urgent", "alice")
    enter(a_plan(bypass=skip), a_ledger("bypassed playground"), "test")
    assert "never entered" in why(lambda: enter(a_plan(bypass=skip), a_ledger(), "test"))
    assert "never entered" in why(lambda: enter(a_plan(), a_ledger("bypassed playground"), "test"))


def test_an_authorization_counts_only_after_the_last_preview() -> None:
    def ask(*happened: str) -> None:
        may_enter(
            a_plan(),
            a_ledger(*happened),
            channel="playground",
            newer=None,
            needs_authorization=True,
        )

    ask("previewed", "authorized")
    assert "no authorization is recorded since the last preview" in why(
        lambda: ask("authorized", "previewed")
    )


def test_nothing_is_applied_once_a_rollback_is_armed() -> None:
    ledger = a_ledger("entered playground", "armed")
    assert why(lambda: may_mutate(a_plan(), ledger, channel="playground", newer=None)) == (
        "a rollback is armed since 12:00:02 UTC, playground was entered before: "
        "nothing more is applied"
    )


def test_nothing_is_applied_behind_the_fence_of_a_rollback() -> None:
    ledger = a_ledger("entered playground", "rolling_back playground")
    assert "nothing more is applied" in why(
        lambda: may_mutate(a_plan(), ledger, channel="playground", newer=None)
    )


def test_an_apply_that_is_cleared_after_its_rollback_names_what_to_clear() -> None:
    again = "clear playground.enter with downstream to apply it again from there"
    ledger = a_ledger(
        "entered playground", "entered test", "armed", "rolled_back test", "rolled_back playground"
    )
    for channel in ("test", "playground"):
        assert again in why(
            lambda channel=channel: may_mutate(a_plan(), ledger, channel=channel, newer=None)
        )


def test_entering_again_after_a_rollback_allows_to_apply_again() -> None:
    ledger = a_ledger("entered playground", "armed", "rolled_back playground", "entered playground")
    may_mutate(a_plan(), ledger, channel="playground", newer=None)


def test_nothing_is_applied_in_a_channel_that_was_never_entered() -> None:
    assert why(lambda: may_mutate(a_plan(), a_ledger(), channel="test", newer=None)) == (
        "test was never entered"
    )


def test_a_channel_is_judged_only_when_all_its_targets_were_verified() -> None:
    plan, ledger = a_plan(), a_ledger("entered playground", "applied playground")
    one = a_ledger("previewed", "verified playground/playground-1")
    both = a_ledger(
        "previewed", "verified playground/playground-1", "verified playground/playground-2"
    )
    may_judge(plan, ledger, both, channel="playground", newer=None)
    assert "not verified since it was entered: playground-2" in why(
        lambda: may_judge(plan, ledger, one, channel="playground", newer=None)
    )


def test_a_verification_of_an_earlier_entry_does_not_count() -> None:
    again = ("rolled_back playground", "entered playground", "applied playground")
    ledger = a_ledger(*passed("playground"), *again)
    old = a_ledger("verified playground/playground-1", "verified playground/playground-2")
    assert "not verified since it was entered" in why(
        lambda: may_judge(a_plan(), ledger, old, channel="playground", newer=None)
    )


def test_nothing_is_entered_between_a_failure_and_the_end_of_its_rollback() -> None:
    plan, happened = a_plan(), ["entered playground", "armed"]
    over = a_ledger(*happened, "rolled_back playground", "concluded")
    assert "a rollback is armed and not over yet" in why(
        lambda: enter(plan, a_ledger(*happened), "playground")
    )
    enter(plan, over, "playground")


def test_a_channel_is_not_judged_once_a_newer_rollout_has_begun() -> None:
    both = a_ledger("verified playground/playground-1", "verified playground/playground-2")
    assert "a newer rollout of this definition has begun (manual__2)" in why(
        lambda: may_judge(a_plan(), a_ledger(), both, channel="playground", newer="manual__2")
    )


@pytest.mark.parametrize(
    ("happened", "of_targets", "busy"),
    [
        ([], [], ["a", "b"]),
        ([], ["verified playground/a"], ["b"]),
        ([], ["verified playground/a", "refused playground/b"], []),
        (["rolling_back playground"], ["verified playground/a"], ["a", "b"]),
        (["rolling_back playground"], ["restored playground/a", "left_alone playground/b"], []),
        (["rolling_back playground"], ["restored playground/a", "restore_failed playground/b"], []),
    ],
)
def test_what_is_applied_to_or_restored_is_in_flight(
    happened: list[str], of_targets: list[str], busy: list[str]
) -> None:
    ledger = a_ledger("entered playground", *happened)
    targets = a_ledger("finished", "finished", *of_targets)
    found = in_flight(ledger, targets, channel="playground", captured=["a", "b"])
    assert found == busy


def test_a_channel_without_an_apply_since_its_entry_is_not_judged() -> None:
    both = a_ledger("verified playground/playground-1", "verified playground/playground-2")
    assert "no wave was applied since it was entered" in why(
        lambda: may_judge(
            a_plan(), a_ledger("entered playground"), both, channel="playground", newer=None
        )
    )


def test_a_rollout_is_complete_only_with_every_channel() -> None:
    all_passed = [story for name in NAMES for story in passed(name)]
    may_finish(a_plan(), a_ledger(*all_passed))
    assert why(lambda: may_finish(a_plan(), a_ledger(*all_passed[:8]))) == (
        "the rollout is not complete: production was never entered"
    )


def test_nothing_to_change_is_complete_only_while_nothing_was_entered() -> None:
    may_finish(a_plan(), a_ledger("previewed", "nothing_to_change"))
    with pytest.raises(GuardError):
        may_finish(a_plan(), a_ledger("nothing_to_change", "entered playground"))
    with pytest.raises(GuardError):
        may_finish(a_plan(), a_ledger("nothing_to_change", "previewed"))


@pytest.mark.parametrize("word", ["aborted", "abandoned"])
def test_a_rollout_that_an_operator_aborted_takes_no_step_even_when_it_is_resumed(
    word: str,
) -> None:
    plan, ledger = a_plan(), a_ledger("entered playground", word, "operator_resume")
    for ask in (
        lambda: enter(plan, ledger, "playground"),
        lambda: may_mutate(plan, ledger, channel="playground", newer=None),
        lambda: may_judge(plan, ledger, a_ledger(), channel="playground", newer=None),
        lambda: may_finish(plan, ledger),
    ):
        with pytest.raises(GuardError, match="an operator has aborted this rollout"):
            ask()


def test_what_an_operator_leaves_as_it_is_is_not_restored_unless_asked_for_after_that() -> None:
    left = ["entered playground", "abandoned", "armed", "failed playground"]
    assert channels_to_restore(a_plan(), a_ledger(*left)) == []
    restored = channels_to_restore(a_plan(), a_ledger(*left, "aborted"))
    assert [c.name for c in restored] == ["playground"]


def test_a_rollback_goes_through_the_entered_channels_in_reverse() -> None:
    ledger = a_ledger(*passed("playground"), "entered test")
    assert [c.name for c in channels_to_restore(a_plan(), ledger)] == ["test", "playground"]


def test_a_rollback_of_the_failed_channel_leaves_the_others() -> None:
    plan = a_plan(rollback_scope=RollbackScope.FAILED_CHANNEL)
    ledger = a_ledger(*passed("playground"), "entered test")
    assert [c.name for c in channels_to_restore(plan, ledger)] == ["test"]
    assert channels_to_restore(plan, a_ledger()) == []


def test_a_channel_without_a_change_lets_the_next_one_in() -> None:
    enter(a_plan(), a_ledger("unchanged playground"), "test")
    all_others = [story for name in NAMES[1:] for story in passed(name)]
    may_finish(a_plan(), a_ledger("unchanged playground", *all_others))


@pytest.mark.parametrize(
    ("since", "reason"),
    [
        (["entered playground"], "playground has no recorded health since"),
        (["entered playground", "applied playground"], "playground has no recorded health since"),
        (["entered playground", "rolled_back playground"], "playground was rolled back"),
        (["entered playground", "rolling_back playground"], "playground was rolled back"),
    ],
)
def test_nothing_to_change_is_no_evidence_once_the_channel_was_entered(
    since: list[str], reason: str
) -> None:
    ledger = a_ledger("unchanged playground", *since)
    assert reason in why(lambda: enter(a_plan(), ledger, "test"))


def test_only_a_channel_whose_targets_all_run_the_change_passes_unchanged() -> None:
    def reason(*running: str, happened: tuple[str, ...] = ()) -> str | None:
        ledger = a_ledger("previewed", *happened)
        return why_not_unchanged(a_plan(), ledger, channel="playground", running=running)

    both = ("playground-1", "playground-2")
    assert reason(*both) is None
    assert reason() == (
        "not every target of playground runs the change: playground-1, playground-2"
    )
    assert reason("playground-1", "test-1") == (
        "not every target of playground runs the change: playground-2"
    )
    entered = "this rollout has entered playground: what it applied there is to be observed"
    assert reason(*both, happened=("entered playground",)) == entered
    assert reason(*both, happened=("entered playground", "rolled_back playground")) == entered


def test_a_channel_that_passed_unchanged_is_not_restored() -> None:
    ledger = a_ledger("unchanged playground", "entered test")
    assert [c.name for c in channels_to_restore(a_plan(), ledger)] == ["test"]


KINDS = st.sampled_from(
    [
        *(Kind.ENTERED, Kind.APPLIED, Kind.HEALTHY, Kind.GRADUATED),
        *(Kind.ROLLED_BACK, Kind.BYPASSED, Kind.UNCHANGED),
    ]
)


@given(st.lists(st.tuples(KINDS, st.sampled_from(NAMES)), max_size=30))
def test_no_order_of_events_advances_past_a_channel_without_its_health(
    story: list[tuple[Kind, str]],
) -> None:
    """Whatever users clear, mark or kill: a channel that may be entered follows a judged one."""
    plan = a_plan()
    ledger = a_ledger(*(f"{kind} {channel}" for kind, channel in story))
    for earlier, channel in pairwise(NAMES):
        try:
            enter(plan, ledger, channel)
        except GuardError:
            continue
        entered = ledger.last(Kind.ENTERED, channel=earlier)
        applied = ledger.last(Kind.APPLIED, channel=earlier)
        healthy = ledger.last(Kind.HEALTHY, channel=earlier)
        rolled_back = ledger.last(Kind.ROLLED_BACK, channel=earlier)
        if ledger.last(Kind.UNCHANGED, channel=earlier) > max(entered, rolled_back):
            continue
        assert healthy > applied
        assert healthy > entered > rolled_back


def test_what_nobody_knows_graduates_only_on_a_persons_word() -> None:
    plan = a_plan(a_channel("a"), a_channel("b"))
    asked = ["entered a", "applied a", "inconclusive a"]
    for more, why in (
        ([], "a has no recorded approval since it was found inconclusive"),
        (["graduated a"], "a has no recorded approval since it was found inconclusive"),
        (["approved a"], "a has no recorded graduation"),
        (["approved a", "graduated a"], None),
        (["approved a", "graduated a", "withdrawn a"], "a had its graduation withdrawn"),
    ):
        ledger = a_ledger(*asked, *more)
        assert why_not_passed(plan, ledger, plan.definition.channel("a")) == why


def test_a_withdrawn_graduation_widens_the_rollback_of_the_failed_channel() -> None:
    plan = a_plan(*map(a_channel, "abcd"), rollback_scope=RollbackScope.FAILED_CHANNEL)
    went = [text for name in "abc" for text in passed(name)][:-1]
    assert [c.name for c in channels_to_restore(plan, a_ledger(*went))] == ["c"]
    withdrawn = a_ledger(*went, "withdrawn b")
    assert [c.name for c in channels_to_restore(plan, withdrawn)] == ["c", "b"]
    again = a_ledger(*went, "withdrawn b", "rolled_back b", "entered b")
    assert [c.name for c in channels_to_restore(plan, again)] == ["b"]
