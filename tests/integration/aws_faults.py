"""An AWS that goes wrong: each account meets another fault, in apply and in restore."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phased_rollout.model.ledger import Kind
from sandbox.aws.seed import seed
from sandbox.stack import wait_until
from tests.integration.disturbances import ONE, TWO, Story, ended_again
from tests.integration.scenarios import Ended, change
from tests.integration.world import GOOD, PATIENCE, REFUSED, REGION, Scenario, World

FAULTS = (
    "throttle",
    "error_500",
    "error_503",
    "timeout",
    "reset",
    "lost_reply",
    "lost_503",
    "slow",
)
"""The fault of the n-th account; one more account has none, and an alarm."""
CREATE, EXECUTE, DELETE = "CreateChangeSet", "ExecuteChangeSet", "DeleteStack"
READ = "DescribeStacks"
SECONDS = 3.0


def inject(
    world: World, scenario: Scenario, operation: str, *, count: int | None
) -> dict[str, str]:
    """Let the n-th account meet the n-th fault; gives the ids of the faults by account."""
    return {
        account: world.aws.fault(
            kind, account=account, operation=operation, count=count, seconds=SECONDS
        )
        for account, kind in zip(scenario.accounts(), FAULTS, strict=False)
    }


def begin(world: World, scenario: Scenario) -> str:
    """Trigger a run and wait until it has previewed, but not applied."""
    run_id = world.trigger(scenario, change=change(REFUSED))
    world.wait_for_record(scenario, run_id, Kind.PREVIEWED)
    return run_id


def roll_back(world: World, scenario: Scenario, run_id: str) -> None:
    """Let the alarm of the account without a fault go off while the channel soaks."""
    world.alarm(scenario.account("playground", scenario.targets), "ALARM")


def mutation_fails(operation: str) -> Callable[[World, Scenario], Story]:
    """Let the first call of an operation go wrong in each account, in apply and in restore."""

    def act(world: World, scenario: Scenario) -> Story:
        run_id = begin(world, scenario)
        inject(world, scenario, operation, count=1)
        world.wait_for_record(scenario, run_id, Kind.APPLIED)
        story = Story(run_id, seen={"applied": world.running(scenario)})
        inject(world, scenario, operation, count=1)
        roll_back(world, scenario, run_id)
        ended_again(world, scenario, story, "restored")
        story.seen["restored"] = world.running(scenario)
        return story

    return act


def reads_fail(world: World, scenario: Scenario) -> Story:
    """Let each account not be read, in apply and in restore, until the rollout holds for it."""
    run_id = begin(world, scenario)
    records = world.records(scenario, run_id)

    def until_held(held_before: int) -> None:
        faults = inject(world, scenario, READ, count=None)
        if not wait_until(
            lambda: len(records.details(Kind.HELD)) > held_before, timeout=PATIENCE, interval=0.3
        ):
            raise TimeoutError(f"{scenario.name} never held")
        for fault in faults.values():
            world.aws.clear_faults(fault)

    until_held(0)
    world.wait_for_record(scenario, run_id, Kind.APPLIED)
    story = Story(run_id, seen={"applied": world.running(scenario)})
    roll_back(world, scenario, run_id)
    world.wait_for_record(scenario, run_id, Kind.ARMED)
    until_held(len(records.details(Kind.HELD)))
    ended_again(world, scenario, story, "restored")
    story.seen["restored"] = world.running(scenario)
    return story


def deletion_fails(world: World, scenario: Scenario) -> Story:
    """Create stacks where none were; let the deletion go wrong that restores that."""
    for account in scenario.accounts():
        world.aws.client("cloudformation", account, region=REGION).delete_stack(
            StackName="baseline"
        )
    if not wait_until(
        lambda: all(status(world, a) == "none" for a in scenario.accounts()), timeout=60
    ):
        raise TimeoutError("the stacks were not deleted")
    for account in scenario.accounts():  # what the template retains would be in the way
        logs = world.aws.client("logs", account, region=REGION)
        for group in logs.describe_log_groups()["logGroups"]:
            logs.delete_log_group(logGroupName=group["logGroupName"])
    run_id = begin(world, scenario)
    world.answer(scenario, run_id, "authorize", "Approve")  # a resource would be retained
    world.wait_for_record(scenario, run_id, Kind.APPLIED)
    story = Story(run_id, seen={"applied": statuses(world, scenario)})
    inject(world, scenario, DELETE, count=1)
    roll_back(world, scenario, run_id)
    ended_again(world, scenario, story, "restored")
    story.seen["restored"] = statuses(world, scenario)
    return story


def status(world: World, account: str) -> str:
    """Give the status of the stack in an account, or "none"."""
    client = world.aws.client("cloudformation", account, region=REGION)
    found = client.describe_stacks()["Stacks"]
    return str(found[0]["StackStatus"]) if found else "none"


def statuses(world: World, scenario: Scenario) -> list[str]:
    """Give the status of the stack in each account."""
    return [status(world, account) for account in scenario.accounts()]


def denied(world: World, scenario: Scenario) -> Ended:
    """Let an account forbid the execution, but not the look, until the rollout holds for it."""
    account = scenario.account("playground", 1)
    fault = world.aws.fault("denied", account=account, operation=EXECUTE, count=None)
    run_id = world.trigger(scenario, change=change(REFUSED))
    records = world.records(scenario, run_id)
    if not wait_until(lambda: bool(records.details(Kind.HELD)), timeout=PATIENCE, interval=0.3):
        raise TimeoutError(f"{scenario.name} never held")
    world.aws.clear_faults(fault)
    return Ended(run_id, world.wait_for_end(scenario, run_id))


AWAY = "us-east-1"


def region_cut_off(world: World, scenario: Scenario) -> Story:
    """Let nothing reach a region once it was previewed, until the rollout holds for it."""
    seed(world.aws, scenario.accounts(), AWAY)
    run_id = world.trigger(scenario, change=change(GOOD))
    world.wait_for_record(scenario, run_id, Kind.PREVIEWED)
    fault = world.aws.fault("reset", region=AWAY, count=None)
    records = world.records(scenario, run_id)
    if not wait_until(lambda: bool(records.details(Kind.HELD)), timeout=PATIENCE, interval=0.3):
        raise TimeoutError(f"{scenario.name} never held")
    story = Story(run_id, seen={"executed": regions_executed_in(world, scenario)})
    world.aws.clear_faults(fault)
    ended_again(world, scenario, story, "ended")
    return story


def regions_executed_in(world: World, scenario: Scenario) -> list[str]:
    """Give the region of each execution that took effect, in order."""
    calls = world.aws.calls(service="cloudformation", operation=EXECUTE)
    accounts = scenario.accounts()
    return [c["region"] for c in calls if c["account"] in accounts and world.took_effect(c)]


ALL_AT_ONCE: dict[str, Any] = {
    "defaults": {"soak": "3m", "waves": {"size": 20, "concurrency": "soft"}},
}
IN_TWO_REGIONS: dict[str, Any] = {
    "substrate": {
        "kind": "cloudformation",
        "connection": "aws_rollout",
        "role": "phased-rollout",
        "stack": "baseline",
        "regions": [REGION, AWAY],
    },
}
OPERATIONS = {"create_fails": CREATE, "execute_fails": EXECUTE, "reads_fail": READ}
AWS_FAULTS = [
    Scenario("reads_fail", 304, reads_fail, ONE, 9, settings=ALL_AT_ONCE),
    Scenario("create_fails", 301, mutation_fails(CREATE), ONE, 9, settings=ALL_AT_ONCE),
    Scenario("execute_fails", 302, mutation_fails(EXECUTE), ONE, 9, settings=ALL_AT_ONCE),
    Scenario("deletion_fails", 303, deletion_fails, ONE, 9, settings=ALL_AT_ONCE),
    Scenario("denied", 305, denied, TWO, 1),
    Scenario("region_cut_off", 306, region_cut_off, TWO, 1, settings=IN_TWO_REGIONS),
]
