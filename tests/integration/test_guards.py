"""What may be rolled out, when, and who may bypass: each guard fires on real Airflow."""

from __future__ import annotations

import statistics

import pytest

from phased_rollout.model.ledger import Kind
from tests.integration.guards import GUARDED, POLICIES
from tests.integration.listener import Listener
from tests.integration.world import NEW, OLD, REFUSED, RESTORED, Scenario, World

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2700)]
SCENARIOS = GUARDED
FILE = {"policies": POLICIES}
LISTENER = Listener()
BY_NAME = {s.name: s for s in SCENARIOS}
FIXED = f"{REFUSED} UPDATE_COMPLETE"
"""What an account runs that has the urgent fix."""


def everywhere(scenario: Scenario, state: str) -> dict[str, str]:
    """Say that all targets run the same."""
    names = [f"{c}-{n}" for c in scenario.channels for n in range(1, scenario.targets + 1)]
    return dict.fromkeys(names, state)


@pytest.mark.scenario("held_by_operator")
def test_an_operators_hold_keeps_the_change_out_of_the_next_channel_until_resumed(
    world: World,
) -> None:
    scenario, story = BY_NAME["held_by_operator"], world.acted("held_by_operator")
    assert story.seen["running"] == {"playground-1": NEW, "production-1": OLD}
    assert story.states == {"resumed": "success"}
    assert world.running(scenario) == everywhere(scenario, NEW)
    records = world.records(scenario, story.run_id)
    for kind in (Kind.OPERATOR_HOLD, Kind.OPERATOR_RESUME):
        [word] = records.details(kind)
        assert (word["user"], word["reason"]) == ("operator", "the phone rang")
    held = records.details(Kind.HELD, channel="production")[0]["reason"]
    assert held.startswith("held by operator: the phone rang; to go on, trigger held_by_operator_c")


@pytest.mark.scenario("aborted_back")
def test_an_abort_ends_a_long_soak_at_once_and_rolls_back(world: World) -> None:
    scenario, story = BY_NAME["aborted_back"], world.acted("aborted_back")
    assert story.states == {"abort_and_roll_back": "failed"}
    assert world.running(scenario) == {"playground-1": RESTORED, "production-1": OLD}
    assert "restored: playground-1 of playground" in story.errors["abort_and_roll_back"]


@pytest.mark.scenario("aborted_left")
def test_an_abort_can_leave_everything_as_it_is_and_be_rolled_back_later(world: World) -> None:
    story = world.acted("aborted_left")
    assert story.states == {"abort_and_leave": "failed", "rolled back later": "failed"}
    assert story.seen["abort_and_leave"] == {"playground-1": NEW, "production-1": OLD}
    assert story.seen["rolled back later"] == {"playground-1": RESTORED, "production-1": OLD}


@pytest.mark.scenario("superseded")
def test_an_emergency_supersedes_the_rollout_under_way_which_stands_down(world: World) -> None:
    scenario, story = BY_NAME["superseded"], world.acted("superseded")
    assert (story.states["fix"], story.states["regular"]) == ("success", "failed")
    assert story.seen["running"] == everywhere(scenario, FIXED)
    fix = world.records(scenario, story.seen["fix"])
    assert [r["run"] for r in fix.details(Kind.SUPERSEDES)] == [story.run_id]
    regular = world.records(scenario, story.run_id)
    assert not regular.ledger().happened(Kind.ROLLED_BACK, channel="playground")
    assert "a newer rollout" in str(regular.details(Kind.FAILED))


@pytest.mark.scenario("superseded")
def test_what_a_bypass_left_out_is_owed_blocks_another_change_and_is_paid_in_full(
    world: World,
) -> None:
    scenario, story = BY_NAME["superseded"], world.acted("superseded")
    status, said = story.seen["owed"]
    assert status == 1
    assert "CVE-2026-1" in said
    assert story.states["another change"] == "failed"
    assert "nothing was touched:\na bypass is owed: " in story.errors["another change"]
    assert len(story.seen["executed"]) == 3, "playground twice, production once"
    assert story.states["in full"] == "success"
    assert world.executed(*scenario.accounts()) == story.seen["executed"]
    assert story.seen["paid"][0] == 0


@pytest.mark.scenario("fleet_wide")
def test_a_fleet_wide_fix_needs_a_second_person_and_then_waits_for_nothing(world: World) -> None:
    scenario, story = BY_NAME["fleet_wide"], world.acted("fleet_wide")
    assert story.seen["mutations"] == []
    assert story.states == {"fix": "success"}
    assert world.running(scenario) == everywhere(scenario, FIXED)
    records = world.records(scenario, story.run_id)
    assert [r["user"] for r in records.details(Kind.AUTHORIZED)] == ["approver"]
    assert [account for account, _ in world.executed(*scenario.accounts())] == scenario.accounts()


@pytest.mark.scenario("fleet_wide_refused")
def test_a_fleet_wide_fix_that_fails_is_rolled_back_everywhere(world: World) -> None:
    scenario, story = BY_NAME["fleet_wide_refused"], world.acted("fleet_wide_refused")
    assert story.states == {"fix": "failed"}
    running = world.running(scenario)
    assert running.pop("production-1").startswith("initial ")
    assert running == {"playground-1": RESTORED, "test-1": RESTORED}


@pytest.mark.scenario("frozen")
def test_a_frozen_channel_is_entered_when_its_window_has_passed(world: World) -> None:
    scenario, story = BY_NAME["frozen"], world.acted("frozen")
    records = world.records(scenario, story.run_id)
    reason = records.details(Kind.HELD, channel="production")[0]["reason"]
    assert reason.startswith("frozen by books (the year is closed) until ")
    assert story.states == {"opened": "success"}
    assert world.running(scenario) == everywhere(scenario, NEW)
    [window] = records.plan().definition.channel("production").freeze
    entered = records.ledger().last(Kind.ENTERED, channel="production")
    assert entered.replace(tzinfo=None) >= window.start + window.duration


@pytest.mark.scenario("emergency_in_a_freeze")
def test_an_emergency_and_its_rollback_pass_a_freeze_that_holds_the_regular_rollout(
    world: World,
) -> None:
    scenario, story = BY_NAME["emergency_in_a_freeze"], world.acted("emergency_in_a_freeze")
    assert story.seen["frozen"] == []
    assert story.seen["applied"] == everywhere(scenario, FIXED)
    assert (story.states["fix"], story.states["regular"]) == ("failed", "failed")
    assert world.running(scenario) == {"playground-1": NEW, "production-1": RESTORED}


@pytest.mark.scenario("nightly")
def test_a_schedule_rolls_the_configured_change_out_and_never_overlaps(world: World) -> None:
    scenario, (first, second) = BY_NAME["nightly"], world.acted("nightly")
    assert (first["state"], second["state"]) == ("success", "success")
    assert first["end_date"] <= second["start_date"]
    assert world.running(scenario) == everywhere(scenario, NEW)
    assert [account for account, _ in world.executed(*scenario.accounts())] == scenario.accounts()


@pytest.mark.scenario("nothing_new")
def test_nothing_new_on_twelve_accounts_ends_green_in_seconds_and_touches_none(
    world: World,
) -> None:
    scenario, found = BY_NAME["nothing_new"], world.acted("nothing_new")
    assert {state for state, _ in found} == {"success"}
    assert len(world.executed(*scenario.accounts())) == 12
    assert statistics.median(seconds for _, seconds in found[1:]) < 10


@pytest.mark.scenario("failing_nights")
def test_a_schedule_that_keeps_failing_is_paused(world: World) -> None:
    assert world.acted("failing_nights") == [False, True]
    assert world.mutations(*BY_NAME["failing_nights"].accounts()) == []


@pytest.mark.scenario("stuck")
def test_a_rollout_that_is_not_done_in_time_is_told_of(world: World) -> None:
    scenario, run = BY_NAME["stuck"], world.acted("stuck")
    [told] = world.records(scenario, run.run_id).details(Kind.STUCK)
    assert told["reason"].startswith("not done in time: in playground since ")


@pytest.mark.scenario("chosen_policy")
def test_a_run_may_choose_a_policy_that_the_file_allows_and_no_other(world: World) -> None:
    scenario, (run, refusal) = BY_NAME["chosen_policy"], world.acted("chosen_policy")
    assert "policy" in refusal
    assert run.state == "success"
    assert world.running(scenario) == everywhere(scenario, NEW)
    assert world.records(scenario, run.run_id).plan().definition.policy == "light"


@pytest.mark.scenario("from_object_storage")
def test_a_change_in_object_storage_is_read_once_by_plan(world: World) -> None:
    scenario, run = BY_NAME["from_object_storage"], world.acted("from_object_storage")
    assert run.state == "success"
    assert world.running(scenario) == everywhere(scenario, NEW)


@pytest.mark.scenario("partly_unchanged")
def test_a_channel_without_a_change_passes_at_once_and_says_why(world: World) -> None:
    scenario, (first, second) = BY_NAME["partly_unchanged"], world.acted("partly_unchanged")
    assert (first.state, second.state) == ("success", "success")
    assert world.running(scenario) == everywhere(scenario, NEW)
    records = world.records(scenario, second.run_id)
    [unchanged] = records.details(Kind.UNCHANGED, channel="playground")
    assert unchanged["reason"].startswith("all 1 target of playground run the change already")
    assert not records.ledger().happened(Kind.ENTERED, channel="playground")
    executed = [account for account, _ in world.executed(*scenario.accounts())]
    assert executed == [*scenario.accounts(), *scenario.accounts("production")]


@pytest.mark.scenario("drifted")
def test_what_would_do_something_else_than_was_previewed_is_not_applied_but_asked(
    world: World,
) -> None:
    scenario, story = BY_NAME["drifted"], world.acted("drifted")
    assert story.seen["held"] == [(scenario.account("production", 1), "UpdateStack")]
    assert "AccessLog" in story.seen["asked"]
    assert "the change would do something else" in story.seen["asked"]
    assert story.states == {"confirmed": "success"}
    assert world.running(scenario) == everywhere(scenario, NEW)
    records = world.records(scenario, story.run_id)
    assert [r["user"] for r in records.details(Kind.CONFIRMED)] == ["approver"]


@pytest.mark.scenario("flipped")
def test_a_flipped_condition_that_deletes_a_resource_waits_for_an_authorization(
    world: World,
) -> None:
    scenario, story = BY_NAME["flipped"], world.acted("flipped")
    assert story.states == {"kept": "success", "dropped": "failed"}
    assert story.seen["mutations"] == []
    [preview] = world.records(scenario, story.run_id).details(Kind.PREVIEWED)
    assert any("AccessLog" in reason for reason in preview["differences"])


@pytest.mark.scenario("flipped_capped")
def test_a_cap_on_destructive_changes_refuses_what_nobody_may_authorize(world: World) -> None:
    scenario, story = BY_NAME["flipped_capped"], world.acted("flipped_capped")
    assert story.states == {"kept": "success", "dropped": "failed"}
    assert story.seen["mutations"] == []
    assert "max_destructive" in world.operator.last_error(scenario.name, story.run_id, "preview")


@pytest.mark.scenario("told")
def test_whoever_the_file_names_is_told_once_of_what_failed_and_what_to_do(world: World) -> None:
    run = world.acted("told")
    assert run.state == "failed"
    heard = [one for one in LISTENER.heard if one["run"] == run.run_id]
    events = [(one["event"], one["channel"]) for one in heard]
    assert events == [
        ("started", ""),
        ("graduated", "playground"),
        ("failed", "production"),
        ("rolled_back", ""),
    ]
    failed, rolled_back = heard[2]["message"], heard[3]["message"]
    assert "production-1" in failed
    assert "service control policy" in failed
    assert "playground-1" in rolled_back
    assert "clear playground.enter with downstream" in rolled_back
