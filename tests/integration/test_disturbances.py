"""What refuses, what a person marks or clears, what somebody else changed: see docs/outcomes.md."""

from __future__ import annotations

import pytest

from phased_rollout.model.ledger import Kind
from tests.integration.disturbances import DISTURBANCES, reasons_of, verdict
from tests.integration.world import (
    GOOD,
    NEW,
    OLD,
    REFUSED,
    RESTORED,
    ROLLED_BACK,
    Scenario,
    World,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2700)]
SCENARIOS = DISTURBANCES
AT_ONCE = 8
BY_NAME = {s.name: s for s in SCENARIOS}
EXECUTE = "ExecuteChangeSet"


@pytest.mark.scenario("one_of_three_refuses")
def test_an_account_that_waits_for_its_turn_when_another_refuses_is_never_touched(
    world: World,
) -> None:
    scenario, run = BY_NAME["one_of_three_refuses"], world.acted("one_of_three_refuses")
    assert run.state == "failed"
    assert world.running(scenario, "playground") == {
        "playground-1": RESTORED,
        "playground-2": ROLLED_BACK,
        "playground-3": OLD,
    }
    one, two, three = scenario.accounts("playground")
    assert world.mutations(one, two) == [(one, EXECUTE), (two, EXECUTE), (one, EXECUTE)]
    assert world.mutations(three, *scenario.accounts("production")) == []
    records = world.records(scenario, run.run_id)
    restored = records.details(Kind.RESTORED, channel="playground", targets=True)
    assert {r["target"] for r in restored} == {"playground-1", "playground-2"}
    text = verdict(world, scenario, run.run_id)
    assert "failed: playground.apply: playground-2:" in text
    assert "playground-3 of playground" not in text


@pytest.mark.scenario("restore_refused")
def test_a_restore_that_fails_does_not_keep_the_others_and_can_be_repeated(world: World) -> None:
    scenario, story = BY_NAME["restore_refused"], world.acted("restore_refused")
    assert story.states == {"failed": "failed", "mended": "failed"}
    broken = f"{GOOD} UPDATE_ROLLBACK_COMPLETE"
    assert story.seen["running"] == {
        "playground-1": RESTORED,
        "playground-2": broken,
        "playground-3": RESTORED,
    }
    text = story.errors["verdict"]
    assert "not restored: playground-2 of playground: " in text
    assert "service control policy" in text
    assert (
        "mend the cause, then clear rollback.playground with downstream"
        in (story.errors["restore"])
    )
    assert world.running(scenario, "playground") == dict.fromkeys(story.seen["running"], RESTORED)
    for number in (1, 3):
        account = scenario.account("playground", number)
        assert world.mutations(account) == [(account, EXECUTE)] * 2


@pytest.mark.scenario("changed_by_hand")
def test_an_account_that_somebody_changed_meanwhile_is_left_alone_and_reported(
    world: World,
) -> None:
    scenario, run = BY_NAME["changed_by_hand"], world.acted("changed_by_hand")
    assert run.state == "failed"
    assert world.running(scenario, "playground") == {
        "playground-1": "something else UPDATE_COMPLETE",
        "playground-2": RESTORED,
    }
    one = scenario.account("playground", 1)
    assert world.mutations(one) == [(one, EXECUTE), (one, "UpdateStack")]
    text = verdict(world, scenario, run.run_id)
    assert "somebody changed it since" in text
    assert "left alone: playground-1 of playground: " in text
    assert "restored: playground-2 of playground: " in text


@pytest.mark.scenario("tolerates_one_of_ten")
def test_one_failure_of_ten_is_an_exception_and_nine_accounts_run_the_change(world: World) -> None:
    scenario, run = BY_NAME["tolerates_one_of_ten"], world.acted("tolerates_one_of_ten")
    assert run.state == "success"
    good = {f"playground-{n}": f"{REFUSED} UPDATE_COMPLETE" for n in range(1, 11)}
    assert world.running(scenario) == good | {"playground-4": ROLLED_BACK}
    outcome = world.operator.xcom(scenario.name, run.run_id, "outcome")
    assert outcome.endswith("graduated with 1 exceptions: playground-4")


@pytest.mark.scenario("two_of_ten_fail")
def test_two_failures_where_one_is_borne_touch_no_more_than_the_claims_allow(world: World) -> None:
    scenario, run = BY_NAME["two_of_ten_fail"], world.acted("two_of_ten_fail")
    assert run.state == "failed"
    found = world.running(scenario)
    assert set(found.values()) <= {OLD, RESTORED, ROLLED_BACK}
    assert {name for name, state in found.items() if state == ROLLED_BACK} == {
        "playground-3",
        "playground-6",
    }
    assert OLD in found.values(), "the circuit breaker left some accounts untouched"
    assert most_at_risk(world, scenario, run.run_id) <= 2


def most_at_risk(world: World, scenario: Scenario, run_id: str) -> int:
    """Give how many accounts had failed or were being changed at most at the same time."""
    accounts = scenario.accounts()
    records = world.records(scenario, run_id).of_targets("playground")
    begun = {
        call["account"]: call["time"]
        for call in reversed(world.aws.calls(operation="CreateChangeSet"))
        if call["account"] in accounts and "preview" not in call["params"]["ChangeSetName"]
    }
    # The first time: a task that is tried again reads all its targets back once more.
    verified = {
        accounts[int(e.target.rpartition("-")[2]) - 1]: e.at.isoformat(timespec="milliseconds")
        for e in sorted(records.entries, key=lambda entry: entry.at, reverse=True)
        if e.kind is Kind.VERIFIED
    }
    never = "9999"
    return max(
        sum(1 for a in begun if begun[a] <= moment < verified.get(a, never))
        for moment in begun.values()
    )


@pytest.mark.scenario("held_apply")
def test_under_hold_clearing_only_what_failed_of_apply_touches_no_other_account(
    world: World,
) -> None:
    scenario, run = BY_NAME["held_apply"], world.acted("held_apply")
    assert run.state == "success"
    assert world.running(scenario) == {
        f"{c}-{n}": f"{REFUSED} UPDATE_COMPLETE" for c in scenario.channels for n in (1, 2)
    }
    refused = scenario.account("playground", 2)
    executed = [account for account, _ in world.mutations(*scenario.accounts())]
    assert sorted(executed) == sorted([*scenario.accounts(), refused])


@pytest.mark.scenario("held_health")
def test_under_hold_clearing_health_when_the_alarm_is_gone_lets_the_rollout_go_on(
    world: World,
) -> None:
    scenario, run = BY_NAME["held_health"], world.acted("held_health")
    assert run.state == "success"
    assert world.running(scenario) == {"playground-1": NEW, "production-1": NEW}
    assert [a for a, _ in world.mutations(*scenario.accounts())] == scenario.accounts()
    (reason,) = reasons_of(world, scenario, run.run_id)
    assert reason.startswith("production.health: harm in production or before it: playground-1:")
    assert "clear playground.health with downstream before rollback.decide is answered" in reason


@pytest.mark.scenario("held_soak")
def test_under_hold_clearing_soak_after_a_false_alarm_lets_the_rollout_go_on(world: World) -> None:
    scenario, run = BY_NAME["held_soak"], world.acted("held_soak")
    assert run.state == "success"
    assert world.running(scenario) == {"playground-1": NEW, "production-1": NEW}
    assert [a for a, _ in world.mutations(*scenario.accounts())] == scenario.accounts()
    (reason,) = reasons_of(world, scenario, run.run_id)
    assert reason.startswith("playground.soak: harm while playground soaked: playground-1:")
    assert "clear playground.soak with downstream before rollback.decide is answered" in reason


@pytest.mark.scenario("marked_after_rollback")
def test_marking_tasks_as_success_after_a_rollback_promotes_nothing(world: World) -> None:
    scenario, story = BY_NAME["marked_after_rollback"], world.acted("marked_after_rollback")
    marked = ("rolled back", "test.gate", "test.health", "production.gate", "outcome")
    assert {deed: story.states[deed] for deed in marked} == dict.fromkeys(marked, "failed")
    assert world.running(scenario) == {
        "playground-1": RESTORED,
        "test-1": RESTORED,
        "production-1": OLD,
    }
    assert world.mutations(scenario.account("production", 1)) == []
    assert len(world.executed(*scenario.accounts())) == 4
    again = "clear playground.enter with downstream to apply it again from there"
    assert again in story.errors["test.gate"]
    records = world.records(scenario, story.run_id)
    assert not records.ledger().happened(Kind.FINISHED)
    assert not records.ledger().happened(Kind.GRADUATED, channel="test")


@pytest.mark.scenario("marked_after_rollback")
def test_a_run_that_is_painted_green_after_its_rollback_runs_nothing(world: World) -> None:
    scenario, story = BY_NAME["marked_after_rollback"], world.acted("marked_after_rollback")
    assert story.states["run"] == "success", "Airflow itself lets a person do this"
    assert len(world.executed(*scenario.accounts())) == 4
    assert not world.records(scenario, story.run_id).ledger().happened(Kind.FINISHED)


@pytest.mark.scenario("cleared_after_rollback")
def test_after_a_rollback_other_clears_are_refused_and_say_what_to_clear(world: World) -> None:
    story = world.acted("cleared_after_rollback")
    refused = ("test.apply", "test.health", "playground.gate", "playground.apply")
    assert {task: story.states[task] for task in refused} == dict.fromkeys(refused, "failed")
    again = "clear playground.enter with downstream to apply it again from there"
    assert {task: again in story.errors[task] for task in refused} == dict.fromkeys(refused, True)
    assert story.seen["executed"] == 4


@pytest.mark.scenario("cleared_after_rollback")
def test_clearing_the_first_enter_after_a_rollback_applies_everything_again(world: World) -> None:
    scenario, story = BY_NAME["cleared_after_rollback"], world.acted("cleared_after_rollback")
    assert story.states["playground.enter"] == "success"
    assert world.running(scenario) == {"playground-1": NEW, "test-1": NEW, "production-1": NEW}
    again = [account for account, _ in world.executed(*scenario.accounts())][4:]
    assert again == scenario.accounts()
    assert story.tasks["playground.enter"]["rollback.playground"] == "skipped"


@pytest.mark.scenario("run_marked_failed")
@pytest.mark.scenario("run_marked_success")
@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_that_a_person_marks_while_it_soaks_is_rolled_back(world: World, state: str) -> None:
    scenario = BY_NAME[f"run_marked_{state}"]
    run = world.acted(scenario.name)
    assert run.state == "failed"
    assert world.running(scenario) == {"playground-1": RESTORED, "production-1": OLD}
    account = scenario.account("playground", 1)
    assert world.mutations(*scenario.accounts()) == [(account, EXECUTE)] * 2
    text = verdict(world, scenario, run.run_id)
    assert "restored: playground-1 of playground" in text


@pytest.mark.scenario("second_while_first")
def test_a_second_run_waits_for_the_first_and_finds_nothing_to_do(world: World) -> None:
    scenario = BY_NAME["second_while_first"]
    (first, was_first), (second, was_second) = world.acted(scenario.name)
    assert (first.state, second.state) == ("success", "success")
    assert was_second["queued_at"] < was_first["end_date"] <= was_second["start_date"]
    assert world.running(scenario) == {"playground-1": NEW, "production-1": NEW}
    assert [a for a, _ in world.mutations(*scenario.accounts())] == scenario.accounts()
    found = world.records(scenario, second.run_id).details(Kind.NOTHING_TO_CHANGE)
    assert len(found) == 1


@pytest.mark.scenario("unreachable_throughout")
def test_an_account_that_does_not_answer_the_preview_is_asked_again(world: World) -> None:
    scenario, run = BY_NAME["unreachable_throughout"], world.acted("unreachable_throughout")
    assert run.state == "success"
    assert world.running(scenario) == {"playground-1": NEW, "production-1": NEW}
    assert sorted(a for a, _ in world.mutations(*scenario.accounts())) == scenario.accounts()


@pytest.mark.scenario("paused_goes_on")
def test_a_rollback_pauses_when_too_many_restores_fail_and_goes_on_when_told(world: World) -> None:
    scenario, story = BY_NAME["paused_goes_on"], world.acted("paused_goes_on")
    assert story.seen["paused"] == paused()
    assert story.states == {"Go on": "failed"}
    assert world.running(scenario, "playground") == dict.fromkeys(story.seen["paused"], RESTORED)
    records = world.records(scenario, story.run_id)
    assert [r["user"] for r in records.details(Kind.RESUMED)] == ["approver"]
    assert records.details(Kind.STOPPED) == []


@pytest.mark.scenario("paused_stops")
def test_a_rollback_that_a_person_stops_leaves_the_rest_as_it_is_and_says_so(world: World) -> None:
    scenario, story = BY_NAME["paused_stops"], world.acted("paused_stops")
    assert story.states == {"Stop": "failed"}
    assert world.running(scenario, "playground") == paused()
    records = world.records(scenario, story.run_id)
    assert [r["user"] for r in records.details(Kind.STOPPED)] == ["approver"]
    assert records.details(Kind.RESUMED) == []
    (reason,) = reasons_of(world, scenario, story.run_id)[1:2]
    assert "approver stopped the rollback: what is not restored stays as it is" in reason
    assert "clear rollback.playground with downstream" in reason
    assert "the rollback paused: 2 restores failed" in verdict(world, scenario, story.run_id)


def paused() -> dict[str, str]:
    """Say what four accounts run while the restore of the first two has failed."""
    tried = dict.fromkeys(("playground-1", "playground-2"), f"{GOOD} UPDATE_ROLLBACK_COMPLETE")
    return tried | dict.fromkeys(("playground-3", "playground-4"), NEW)


@pytest.mark.scenario("quarantined")
def test_a_target_in_quarantine_is_left_out_and_named_in_plan_and_outcome(world: World) -> None:
    scenario, run = BY_NAME["quarantined"], world.acted("quarantined")
    assert run.state == "success"
    assert world.running(scenario) == {
        "playground-1": NEW,
        "playground-2": OLD,
        "production-1": NEW,
        "production-2": NEW,
    }
    parked = scenario.account("playground", 2)
    assert [c for c in world.aws.calls(account=parked) if "phased-rollout" in c["caller"]] == []
    words = "on hold: playground-2 until 2099-12-31: being moved"
    assert words in world.operator.log(scenario.name, run.run_id, "plan")
    assert words in world.operator.xcom(scenario.name, run.run_id, "outcome")


@pytest.mark.scenario("quarantine_over")
def test_a_quarantine_that_has_expired_stops_the_plan(world: World) -> None:
    scenario, run = BY_NAME["quarantine_over"], world.acted("quarantine_over")
    assert run.state == "failed"
    assert (
        "playground-2 until 2020-01-31: being moved: the hold has expired: remove it, or set a "
        "later day" in world.operator.last_error(scenario.name, run.run_id, "plan")
    )
    assert world.mutations(*scenario.accounts()) == []
