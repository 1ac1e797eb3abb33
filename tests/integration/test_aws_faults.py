"""What AWS does wrong: nothing is applied twice, nothing is lost. See docs/outcomes.md."""

from __future__ import annotations

import pytest

from phased_rollout.model.ledger import Kind
from tests.integration.aws_faults import (
    AWAY,
    AWS_FAULTS,
    CREATE,
    DELETE,
    EXECUTE,
    FAULTS,
    OPERATIONS,
    regions_executed_in,
)
from tests.integration.world import (
    REFUSED,
    REGION,
    RESTORED,
    Json,
    World,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2700)]
SCENARIOS = AWS_FAULTS
BY_NAME = {s.name: s for s in SCENARIOS}
APPLIED = f"{REFUSED} UPDATE_COMPLETE"


def met(world: World, account: str, *, operation: str, fault: str) -> list[Json]:
    """Give the calls of an account that ran into a fault."""
    return world.aws.calls(account=account, operation=operation, fault=fault)


def created(world: World, account: str) -> list[str]:
    """Name the ChangeSets that were created to be executed, a lost reply counting as one."""
    return [
        call["params"]["ChangeSetName"]
        for call in world.aws.calls(account=account, operation=CREATE)
        if world.took_effect(call) and "preview" not in call["params"]["ChangeSetName"]
    ]


@pytest.mark.scenario("create_fails")
@pytest.mark.scenario("execute_fails")
@pytest.mark.scenario("reads_fail")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_fault_of_aws_in_apply_and_in_restore_neither_repeats_nor_loses_a_change(
    world: World, name: str, fault: str
) -> None:
    scenario, story = BY_NAME[name], world.acted(name)
    number = FAULTS.index(fault) + 1
    account, target = scenario.account("playground", number), f"playground-{number}"
    hit = met(world, account, operation=OPERATIONS[name], fault=fault)
    assert len(hit) >= 2, "the fault was to be met in apply and in restore"
    assert story.seen["applied"][target] == APPLIED
    assert story.seen["restored"][target] == RESTORED
    attempts = [attempt for _, attempt in world.executed(account)]
    assert len(attempts) == len(set(attempts)) == 2
    assert created(world, account) == attempts
    assert world.change_sets(account) == []


@pytest.mark.scenario("create_fails")
@pytest.mark.scenario("execute_fails")
@pytest.mark.scenario("reads_fail")
@pytest.mark.parametrize("name", OPERATIONS)
def test_faults_of_aws_are_no_failure_of_the_change_only_the_alarm_is(
    world: World, name: str
) -> None:
    scenario, story = BY_NAME[name], world.acted(name)
    assert story.states == {"restored": "failed"}
    (failure,) = world.records(scenario, story.run_id).details(Kind.FAILED)[:1]
    assert failure["task"] == "playground.soak"
    assert "playground-9: alarm baseline-by-hand: ALARM" in failure["reason"]
    assert story.tasks["restored"]["playground.apply"] == "success"
    assert story.tasks["restored"]["rollback.playground"] == "success"


@pytest.mark.scenario("deletion_fails")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_while_a_created_stack_is_deleted_again_leaves_nothing_behind(
    world: World, fault: str
) -> None:
    scenario, story = BY_NAME["deletion_fails"], world.acted("deletion_fails")
    number = FAULTS.index(fault)
    account = scenario.accounts()[number]
    assert len(met(world, account, operation=DELETE, fault=fault)) == 1
    assert story.seen["applied"][number] == "CREATE_COMPLETE"
    assert story.seen["restored"][number] == "none"
    assert len(world.executed(account)) == 1


@pytest.mark.scenario("denied")
def test_an_account_that_forbids_the_change_holds_until_it_is_permitted(world: World) -> None:
    scenario, run = BY_NAME["denied"], world.acted("denied")
    records = world.records(scenario, run.run_id)
    held = " ".join(str(detail) for detail in records.details(Kind.HELD))
    assert "needs cloudformation:ExecuteChangeSet" in held
    assert (run.state, records.details(Kind.FAILED)) == ("success", [])
    assert len(world.executed(*scenario.accounts())) == 2
    assert world.change_sets(scenario.account("playground", 1)) == []
    assert len(met(world, scenario.account("playground", 1), operation=EXECUTE, fault="denied")) > 0


@pytest.mark.scenario("region_cut_off")
def test_a_region_that_cannot_be_reached_holds_the_rollout_and_rolls_nothing_back(
    world: World,
) -> None:
    scenario, story = BY_NAME["region_cut_off"], world.acted("region_cut_off")
    records = world.records(scenario, story.run_id)
    reasons = [held["reason"] for held in records.details(Kind.HELD)]
    assert reasons[0].startswith(f"playground-1-{AWAY} cannot be reached, which is no failure")
    assert f"({AWAY})" in reasons[0]
    assert story.seen["executed"] == [REGION], "the other region was to be done, and no more"
    assert story.states == {"ended": "success"}
    assert records.details(Kind.FAILED) == records.details(Kind.ARMED) == []
    assert regions_executed_in(world, scenario) == [REGION, AWAY] * 2
