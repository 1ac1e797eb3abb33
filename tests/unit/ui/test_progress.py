"""Where a run is, why it waits, and when it can end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from phased_rollout.model.ledger import Ledger
from phased_rollout.model.plan import Plan
from phased_rollout.model.windows import FreezeWindow
from phased_rollout.ui.ending import End, end_of, pace_of
from phased_rollout.ui.facts import AirflowRun, Facts, Next
from phased_rollout.ui.progress import standing
from phased_rollout.ui.survey import survey
from tests.builders import START, a_channel, a_ledger, a_plan
from tests.unit.ui.told import NOW, Tasks, a_run, applied, facts_of, graduated

BEGUN = ["previewed", *graduated("playground")]
FAILED = ["entered test", "armed", "failed test"]


def told(facts: Facts, run: AirflowRun) -> tuple[str, str]:
    found = standing(facts, run, survey(facts, over=run.is_over, now=NOW))
    return found.title, found.tone


@pytest.mark.parametrize(
    ("happened", "title"),
    [
        ([], "Asks every target what would change"),
        (["previewed"], "playground is entered next"),
        ([*BEGUN, *applied("test")[:2]], "Applies to test: 1 of 2 targets are verified"),
        ([*BEGUN, *applied("test")], "Soaks in test"),
        ([*BEGUN, *applied("test"), "healthy test"], "test is healthy, its gate is next"),
        ([*BEGUN, "entered test", "failed test"], "test has failed"),
        ([*BEGUN, *FAILED], "Rolls back"),
        ([*BEGUN, *FAILED, "rolling_back test"], "Rolls back test"),
        ([*BEGUN, *FAILED, "rolled_back test", "rolling_back playground"], "Rolls back playground"),
        ([*BEGUN, "entered test", "held test"], "Holds"),
        ([*BEGUN, "held test"], "Holds before test"),
        ([*BEGUN, "operator_hold"], "Held by ann before test"),
        ([*BEGUN, *applied("test"), "operator_hold"], "Soaks in test"),
        ([*BEGUN, "operator_hold", "operator_resume"], "test is entered next"),
        ([*BEGUN, "aborted"], "Aborted: its next step ends it"),
        ([*BEGUN, "abandoned"], "Aborted: its next step ends it"),
        ([*BEGUN, "unchanged test"], "production is entered next"),
        (
            [*BEGUN, "entered test", "held test", "verified test/test-1"],
            "Applies to test: 1 of 2 targets are verified",
        ),
        (
            [*BEGUN, *graduated("test"), *graduated("production")],
            "Every channel is passed; the outcome is next",
        ),
    ],
)
def test_a_run_under_way_says_where_it_is(happened: list[str], title: str) -> None:
    assert told(facts_of(*happened), a_run())[0] == title


@pytest.mark.parametrize(
    ("happened", "title", "tone"),
    [
        (["previewed", "nothing_to_change"], "Nothing to change", "done"),
        ([*BEGUN, "finished"], "Graduated from every channel", "done"),
        (BEGUN, "Success without a record", "waits"),
    ],
)
def test_a_run_that_succeeded_says_how(happened: list[str], title: str, tone: str) -> None:
    assert told(facts_of(*happened), a_run("success")) == (title, tone)


@pytest.mark.parametrize(
    ("happened", "title"),
    [
        (["failed"], "Failed; no target was touched"),
        ([*FAILED, "kept"], "Failed; ann decided to keep everything as it is"),
        (
            ["entered test", "abandoned", "failed test"],
            "Aborted by ann; everything is left as it is",
        ),
        (
            [
                "entered test",
                "aborted",
                "failed test",
                "armed",
                "rolling_back test",
                "rolled_back test",
            ],
            "Aborted by ann, and rolled back",
        ),
        (
            [*FAILED, "rolling_back test", "restored test/test-1", "rolled_back test"],
            "Failed, and rolled back",
        ),
        (
            [*FAILED, "rolling_back test", "restore_failed test/test-1"],
            "Failed; 1 target is not restored",
        ),
    ],
)
def test_a_run_that_failed_says_what_became_of_its_targets(happened: list[str], title: str) -> None:
    assert told(facts_of(*happened), a_run("failed")) == (title, "bad")


def test_a_run_that_was_superseded_says_by_which() -> None:
    after = Next("manual__2", emergency=True, supersedes=True)
    facts = facts_of("entered test", "failed test", "rolled_back test", after=after)
    found = standing(facts, a_run("failed"), survey(facts, over=True, now=NOW))
    assert (found.title, found.detail) == (
        "Superseded, and rolled back",
        "manual__2 took over.",
    )


def test_a_hold_of_the_rollback_is_told_beside_why_it_rolls_back() -> None:
    facts = facts_of(*FAILED, "rolling_back test", "held test")
    found = standing(facts, a_run(), survey(facts, over=False, now=NOW))
    assert (found.title, found.detail) == ("Rolls back test", "because\nHolds: because")


@pytest.mark.parametrize(
    ("run", "title"),
    [
        (
            a_run(tasks=(("authorize", "awaiting_input", 1),)),
            "Asks for an authorization of this rollout",
        ),
        (a_run(tasks=(("test.enter", "scheduled", 1),), paused=True), "Paused"),
        (a_run("queued"), "Queued"),
    ],
)
def test_a_run_that_waits_says_for_what(run: AirflowRun, title: str) -> None:
    assert told(facts_of("previewed"), run) == (title, "waits")


@pytest.mark.parametrize(
    ("tasks", "title"),
    [
        ((("test.soak", "deferred", 1),), "Soaks in test"),
        ((("test.soak", "success", 1),), "Judges test"),
    ],
)
def test_a_paused_dag_does_not_hide_what_still_works(tasks: Tasks, title: str) -> None:
    run = a_run(tasks=(*tasks, ("test.health", "running", 1)), paused=True)
    assert told(facts_of(*BEGUN, *applied("test")), run)[0] == title


def test_a_run_without_a_plan_is_planning() -> None:
    assert told(Facts(), a_run()) == ("Plans what to roll out", "busy")


def test_a_run_whose_plan_was_refused_says_that_nothing_was_touched() -> None:
    refused = replace(facts_of("failed"), plan=None)
    assert told(refused, a_run("failed"))[0] == "Failed; no target was touched"


def end(*happened: str, pace: float | None = None, plan: Plan | None = None) -> End | None:
    facts = facts_of(*happened, plan=plan)
    return end_of(facts, survey(facts, over=False, now=NOW), pace=pace, now=NOW)


def test_no_rollout_ends_sooner_than_the_soaks_that_are_left() -> None:
    assert end("previewed") == End(None, 30.0, None)
    assert end(*BEGUN) == End(None, 20.0, None)


def test_a_soak_that_runs_counts_from_the_last_verified_target() -> None:
    verified = START + timedelta(seconds=len(BEGUN) + 4)
    assert end(*BEGUN, *applied("test")) == End(verified + timedelta(seconds=10), 10.0, None)


def test_work_that_is_left_is_told_when_something_tells_how_long_a_target_takes() -> None:
    assert end(*BEGUN, *applied("test")[:2], pace=7.0) == End(None, 20.0, 21)


def test_a_person_who_has_to_approve_is_named_by_the_channel() -> None:
    plan = a_plan(a_channel("playground"), a_channel("test", gate="approval+health"))
    assert end("previewed", plan=plan) == End(None, 20.0, None, ("test",))


def test_a_run_that_rolls_back_has_no_end_of_its_way() -> None:
    assert end(*BEGUN, *FAILED, "rolling_back test") is None


def test_the_pace_is_what_targets_took_without_the_soaks() -> None:
    plan = a_plan(a_channel("playground"), a_channel("test"))
    happened = ["entered playground", *["previewed"] * 15, "healthy playground", "entered test"]
    assert pace_of(plan, a_ledger(*happened)) == 3.0
    assert pace_of(plan, Ledger()) is None


def test_no_rollout_ends_before_the_freeze_windows_on_its_way() -> None:
    begins = START.replace(tzinfo=None)
    window = FreezeWindow("year end", "books", "UTC", begins, timedelta(hours=2))
    plan = a_plan(a_channel("playground"), a_channel("test", freeze=(window,)))
    found = end("previewed", plan=plan)
    opens = START + timedelta(hours=2)
    assert found == End(None, 20.0, None, (), not_before=opens + timedelta(seconds=10))


def test_a_run_that_an_operator_aborted_has_no_end_of_its_way() -> None:
    assert end(*BEGUN, "aborted") is None
