"""Airflow itself fails: scheduler and triggerer are killed, or an answer meets no scheduler."""

from __future__ import annotations

from collections.abc import Callable

from phased_rollout.model.ledger import Kind
from sandbox.stack import wait_until
from tests.integration.disturbances import TWO
from tests.integration.scenarios import ASKING, Ended
from tests.integration.world import PATIENCE, Scenario, World

SLOW = 4.0
"""Seconds of one phase of CloudFormation, long enough to be killed in."""


def kill_and_restart(world: World) -> Callable[[], None]:
    """Kill scheduler and triggerer with all that they run, and start them again."""

    def act() -> None:
        world.stack.kill("scheduler")
        world.stack.kill("triggerer")
        world.stack.restart("scheduler", "triggerer")

    return act


def killed_in_soak(world: World, scenario: Scenario) -> Ended:
    """Airflow dies while playground soaks."""
    run_id = world.trigger(scenario)
    world.wait_for_record(scenario, run_id, Kind.APPLIED, channel="playground")
    world.wait_for_task(scenario, run_id, "playground.soak", "deferred")
    world.together(kill_and_restart(world))
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def killed_in_apply(world: World, scenario: Scenario) -> Ended:
    """Airflow dies while CloudFormation is at the change."""
    account = scenario.account("playground", 1)
    world.aws.settings(slow={account: SLOW})
    run_id = world.trigger(scenario)
    world.wait_for_call(account, "ExecuteChangeSet")
    with world.aws.held(account):
        world.together(kill_and_restart(world))
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def killed_in_rollback(world: World, scenario: Scenario) -> Ended:
    """Airflow dies while CloudFormation is at the first of two restores."""
    first = scenario.account("playground", 1)
    run_id = world.trigger(scenario)
    world.wait_for_task(scenario, run_id, "playground.soak", "deferred")
    world.aws.settings(slow={first: SLOW})
    world.alarm(first, "ALARM")
    if not wait_until(lambda: len(world.executed(first)) == 2, timeout=PATIENCE, interval=0.3):
        raise TimeoutError(f"{scenario.name}: no restore has begun")
    with world.aws.held(first):
        world.together(kill_and_restart(world))
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def answer_lost(world: World, scenario: Scenario) -> Ended:
    """A person approves while there is no scheduler, and the gate is cleared."""
    world.together(kill_and_restart(world))
    world.wait_for_others(scenario)
    run_id = world.trigger(scenario)
    world.wait_until_asked(scenario, run_id, "playground.gate")
    # One that is only stopped may hold the lock on the run that clearing waits for.
    world.stack.kill("scheduler")
    try:
        world.approver.answer(scenario.name, run_id, "playground.gate", options=["Approve"])
        world.operator.clear(scenario.name, run_id, ["playground.gate"])
    finally:
        world.stack.restart("scheduler")
    return Ended(run_id, world.wait_for_end(scenario, run_id))


RESTARTS = [
    Scenario("killed_in_soak", 401, killed_in_soak, TWO, 1, settings={"defaults": {"soak": "90s"}}),
    Scenario("killed_in_apply", 402, killed_in_apply, TWO, 1),
    Scenario(
        "killed_in_rollback",
        403,
        killed_in_rollback,
        TWO,
        2,
        settings={"defaults": {"soak": "120s"}, "rollback": {"waves": {"size": 1}}},
    ),
    Scenario("answer_lost", 404, answer_lost, TWO, 1, of_channel=ASKING),
]
