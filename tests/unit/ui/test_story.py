"""What has happened to a run, in words."""

from __future__ import annotations

from phased_rollout.ui.facts import Next
from phased_rollout.ui.story import decisions, exceptions, notices, rollback
from phased_rollout.ui.survey import survey
from tests.unit.ui.told import NOW, applied, facts_of


def test_every_word_of_a_person_is_told_with_its_reason() -> None:
    facts = facts_of(
        "operator_hold", "operator_resume", "confirmed test", "stopped test", "abandoned"
    )
    assert [(d["who"], d["what"], d["why"]) for d in decisions(facts)] == [
        ("ann", "held the rollout", "because"),
        ("ann", "resumed the rollout", "because"),
        ("ann", "let the change, as it is now, into test", "because"),
        ("ann", "stopped the rollback at test", "because"),
        ("ann", "aborted the rollout, to be left as it is", "because"),
    ]


def test_a_target_within_the_tolerance_is_told_with_why_it_failed() -> None:
    facts = facts_of(
        "entered test", "refused test/test-1", "excepted test/test-1", "refused test/test-2"
    )
    found = exceptions(facts, survey(facts, over=False, now=NOW))
    assert [(e["channel"], e["target"], e["reason"]) for e in found] == [
        ("test", "test-1", "because")
    ]


def test_a_rollback_that_paused_and_was_stopped_is_told_as_it_happened() -> None:
    back = ["rolling_back test", "restore_failed test/test-1", "stopped test", "concluded"]
    told = rollback(facts_of(*applied("test"), "aborted", *back))
    assert [(step["what"], step["targets"]) for step in told] == [
        ("Aborted by ann", []),
        ("Restores test", ["not restored: test-1: because"]),
        ("Paused, and was stopped at test by ann", []),
        ("Over", []),
    ]


def test_each_of_two_rollbacks_of_a_channel_tells_its_own_restores() -> None:
    first = [*applied("test"), "armed", "rolling_back test", "restored test/test-1"]
    second = [*applied("test"), "armed", "rolling_back test", "restored test/test-2"]
    told = rollback(facts_of(*first, "rolled_back test", *second))
    assert [step["targets"] for step in told if step["targets"]] == [
        ["restored: test-1"],
        ["restored: test-2"],
    ]


def test_a_run_that_failed_before_any_target_tells_no_rollback() -> None:
    assert rollback(facts_of("failed", "concluded")) == []


def test_an_emergency_and_what_it_superseded_lead_to_each_other() -> None:
    taken = notices(facts_of("supersedes", run="manual__0"), "accounts")
    assert taken == [
        {"text": "Supersedes manual__0.", "run": {"dag": "accounts", "run": "manual__0"}}
    ]
    facts = facts_of("previewed", after=Next("manual__2", emergency=True, supersedes=True))
    assert [told["run"] for told in notices(facts, "accounts")] == [
        {"dag": "accounts_emergency", "run": "manual__2"}
    ]


def test_the_next_rollout_in_turn_supersedes_nothing() -> None:
    facts = facts_of("finished", after=Next("manual__2", emergency=False, supersedes=False))
    assert notices(facts, "accounts") == []


def test_a_run_that_is_overdue_says_so_until_it_is_over() -> None:
    assert [told["text"] for told in notices(facts_of("stuck"), "accounts")] == ["Overdue: because"]
    assert notices(facts_of("stuck", "finished"), "accounts") == []
