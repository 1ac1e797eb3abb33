"""What happens to each rollout; the tests check what came of it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Any

from phased_rollout.model.ledger import Kind
from sandbox.stack import ApiError
from tests.integration.world import (
    CHANGES,
    REFUSED,
    RUNTIME_FAILURE,
    Scenario,
    World,
)

SLOW = 6.0


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    run_id: str
    state: str


def change(name: str) -> str:
    """Name a sample change in the conf of a run."""
    return str(CHANGES / name)


def roll(world: World, scenario: Scenario, **conf: Any) -> Ended:
    """Trigger a run and wait for its end."""
    run_id = world.trigger(scenario, **conf)
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def good(world: World, scenario: Scenario) -> Ended:
    """Roll out the good change, one account of ``test`` slower than the other."""
    world.aws.settings(slow={scenario.account("test", 2): 3.0})
    return roll(world, scenario)


def runtime_failure(world: World, scenario: Scenario) -> Ended:
    """Roll out what only fails when it runs: an alarm goes off while playground soaks."""
    return roll(world, scenario, change=change(RUNTIME_FAILURE))


def refused(world: World, scenario: Scenario) -> Ended:
    """Let CloudFormation refuse the change on one account of ``test``."""
    world.aws.deny(account=scenario.account("test", 2), resource_type="AWS::SQS::Queue")
    return roll(world, scenario, change=change(REFUSED))


def killed(world: World, scenario: Scenario) -> Ended:
    """Kill the process of an apply (SIGKILL) while it waits for the reply of its mutation."""
    account = scenario.account("playground", 1)
    slow = world.aws.fault("slow", account=account, operation="ExecuteChangeSet", seconds=SLOW)
    run_id = world.trigger(scenario)
    world.wait_until_hit(slow)
    task = world.wait_for_task(scenario, run_id, "playground.apply", "running")
    os.kill(world.process_of(scenario, run_id, task), signal.SIGKILL)
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def marked_failed(world: World, scenario: Scenario) -> Ended:
    """A user marks an apply failed while the stack is being updated."""
    account = scenario.account("test", 1)
    world.aws.settings(slow={account: SLOW})
    run_id = world.trigger(scenario)
    world.wait_for_call(account, "ExecuteChangeSet")
    task = world.wait_for_task(scenario, run_id, "test.apply", "running", "deferred")
    world.operator.set_task_state(
        scenario.name, run_id, "test.apply", state="failed", map_index=task["map_index"]
    )
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def approved(world: World, scenario: Scenario) -> Ended:
    """A second user approves the gate."""
    run_id = world.trigger(scenario)
    world.answer(scenario, run_id, "playground.gate", "Approve")
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def rejected(world: World, scenario: Scenario) -> Ended:
    """A second user rejects the gate."""
    run_id = world.trigger(scenario)
    world.answer(scenario, run_id, "playground.gate", "Reject")
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def marked_approved(world: World, scenario: Scenario) -> Ended:
    """A user marks the gate as success instead of answering it."""
    run_id = world.trigger(scenario)
    world.wait_until_asked(scenario, run_id, "playground.gate")
    world.operator.set_task_state(scenario.name, run_id, "playground.gate", state="success")
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def unanswered(world: World, scenario: Scenario) -> Ended:
    """Nobody answers the gate before its deadline."""
    return roll(world, scenario)


def bypassed(world: World, scenario: Scenario) -> Ended:
    """Skip one channel, authorized by a second user."""
    run_id = world.trigger(
        scenario, bypass="skip_channels", bypass_channels=["test"], bypass_reason="CVE-2026-1"
    )
    world.answer(scenario, run_id, "authorize", "Approve")
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def asked_for_too_much(world: World, scenario: Scenario) -> dict[str, Ended | str]:
    """Ask for bypasses and conf keys that are refused, one run after another."""
    every = list(scenario.channels)
    asked: dict[str, dict[str, Any]] = {
        "every channel": {
            "bypass": "skip_channels",
            "bypass_channels": every,
            "bypass_reason": "hurry",
        },
        "no reason": {"bypass": "skip_channels", "bypass_channels": ["test"]},
        "unknown key": {"bypas": "skip_channels"},
        "missing change": {"change": "changes/none"},
    }
    ended: dict[str, Ended | str] = {
        name: roll(world, scenario, **conf) for name, conf in asked.items()
    }
    try:
        world.trigger(scenario, bypass="everything")
    except ApiError as error:
        ended["unknown tier"] = str(error)
    return ended


def twice(world: World, scenario: Scenario) -> list[Ended]:
    """Roll the same change out twice."""
    return [roll(world, scenario), roll(world, scenario)]


def marked_run_failed(world: World, scenario: Scenario) -> Ended:
    """A user marks the whole run failed while playground soaks."""
    run_id = world.trigger(scenario)
    world.wait_for_task(scenario, run_id, "playground.soak", "deferred")
    world.operator.set_run_state(scenario.name, run_id, state="failed")
    return Ended(run_id, world.wait_for_rollback(scenario, run_id))


def held(world: World, scenario: Scenario) -> Ended:
    """Let the rollout hold on a refusal, mend its cause, and clear the apply that failed."""
    denial = world.aws.deny(account=scenario.account("test", 2), resource_type="AWS::SQS::Queue")
    run_id = world.trigger(scenario, change=change(REFUSED))
    world.wait_until_asked(scenario, run_id, "rollback.decide")
    world.aws.clear_denials(denial)
    failed = world.wait_for_task(scenario, run_id, "test.apply", "failed")
    world.operator.clear(scenario.name, run_id, [("test.apply", failed["map_index"])])
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def held_unanswered(world: World, scenario: Scenario) -> Ended:
    """Let the rollout hold on a refusal, and let nobody decide."""
    world.aws.deny(account=scenario.account("playground", 2), resource_type="AWS::SQS::Queue")
    return roll(world, scenario, change=change(REFUSED))


def tolerated(world: World, scenario: Scenario) -> Ended:
    """Let CloudFormation refuse the change on one account of a channel that bears one."""
    world.aws.deny(account=scenario.account("playground", 2), resource_type="AWS::SQS::Queue")
    return roll(world, scenario, change=change(REFUSED))


def unreachable(world: World, scenario: Scenario) -> Ended:
    """Let an account of production not answer, until the rollout holds for it."""
    run_id = world.trigger(scenario)
    world.wait_for_task(scenario, run_id, "playground.soak", "running", "deferred")
    account = scenario.account("production", 1)
    fault = world.aws.fault("reset", account=account, service="cloudformation", count=None)
    world.wait_for_record(scenario, run_id, Kind.HELD)
    world.aws.clear_faults(fault)
    return Ended(run_id, world.wait_for_end(scenario, run_id))


THREE = ("playground", "test", "production")
TWO = ("playground", "production")
ASKING = {"playground": {"gate": ["health", "approval"], "approval": {"approvers": ["approver"]}}}
SCENARIOS = [
    Scenario("all_good", 1, good),
    # Long enough for a busy machine: the alarm ends it early.
    Scenario("runtime_failure", 2, runtime_failure, settings={"defaults": {"soak": "3m"}}),
    Scenario("refused_in_test", 3, refused),
    Scenario("killed", 4, killed, TWO, 1),
    Scenario("marked_failed", 5, marked_failed, THREE, 1),
    Scenario("approved", 6, approved, TWO, 1, of_channel=ASKING),
    Scenario("rejected", 7, rejected, TWO, 1, of_channel=ASKING),
    Scenario("marked_approved", 8, marked_approved, TWO, 1, of_channel=ASKING),
    Scenario(
        "unanswered",
        9,
        unanswered,
        TWO,
        1,
        of_channel={"playground": {"gate": "approval", "approval": {"deadline": "3s"}}},
    ),
    Scenario("bypassed", 10, bypassed, THREE, 1),
    Scenario("asked_for_too_much", 11, asked_for_too_much, THREE, 1),
    Scenario("twice", 12, twice, TWO, 1),
    Scenario(
        "marked_run_failed", 13, marked_run_failed, TWO, 1, settings={"defaults": {"soak": "3m"}}
    ),
    Scenario("unreachable", 17, unreachable, TWO, 1, settings={"defaults": {"soak": "10s"}}),
    Scenario("held", 14, held, THREE, settings={"on_failure": "hold"}),
    Scenario(
        "held_unanswered",
        15,
        held_unanswered,
        TWO,
        settings={"on_failure": "hold", "decide_within": "3s"},
    ),
    Scenario(
        "tolerated",
        16,
        tolerated,
        TWO,
        settings={"defaults": {"soak": "4s", "max_failed": 1, "waves": {"size": 2}}},
    ),
]
