"""Rollouts that are disturbed: what refuses, what a person marks or clears, what was changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from phased_rollout.model.ledger import Kind
from tests.integration.scenarios import THREE, TWO, Ended, change, roll
from tests.integration.world import REFUSED, Json, Scenario, World

ONE = ("playground",)
QUEUE, LOGS = "AWS::SQS::Queue", "AWS::Logs::LogGroup"
HOLD = {"on_failure": "hold"}


@dataclass
class Story:
    """A run to which several things were done: how it was after each, by the name of the deed."""

    run_id: str
    states: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, dict[str, str]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)


def ended_again(world: World, scenario: Scenario, story: Story, deed: str) -> None:
    """Wait until a run that was started again has ended, and keep how."""
    story.states[deed] = world.wait_for_end(scenario, story.run_id)
    story.tasks[deed] = world.states(scenario, story.run_id)


def refuse(world: World, scenario: Scenario, channel: str, *numbers: int) -> list[str]:
    """Let CloudFormation refuse the change on some accounts; gives the denials."""
    accounts = [scenario.account(channel, n) for n in numbers]
    return [world.aws.deny(account=a, resource_type=QUEUE) for a in accounts]


# failures


def one_of_three_refuses(world: World, scenario: Scenario) -> Ended:
    """The second account refuses while the third waits for its turn."""
    refuse(world, scenario, "playground", 2)
    return roll(world, scenario, change=change(REFUSED))


def restore_refused(world: World, scenario: Scenario) -> Story:
    """An alarm goes off, and one of three accounts cannot be restored until that is mended."""
    run_id = world.trigger(scenario)
    world.wait_for_task(scenario, run_id, "playground.soak", "deferred")
    (denial,) = refuse_restore(world, scenario, 2)
    story = Story(run_id)
    ended_again(world, scenario, story, "failed")
    story.seen["running"] = world.running(scenario, "playground")
    story.errors["verdict"] = verdict(world, scenario, run_id)
    story.errors["restore"] = world.operator.last_error(
        scenario.name, run_id, "rollback.playground"
    )
    world.aws.clear_denials(denial)
    world.operator.clear(scenario.name, run_id, ["rollback.playground"])
    ended_again(world, scenario, story, "mended")
    return story


def refuse_restore(world: World, scenario: Scenario, *numbers: int) -> list[str]:
    """Let accounts refuse what puts the earlier template back, then let the alarm go off."""
    denials = [
        world.aws.deny(
            account=scenario.account("playground", number),
            resource_type=LOGS,
            actions=["update"],
        )
        for number in numbers
    ]
    world.alarm(scenario.account("playground", 1), "ALARM")
    return denials


def too_many_restores_fail(answer: str) -> Any:
    """Two of four accounts cannot be restored; a person mends the cause and answers."""

    def act(world: World, scenario: Scenario) -> Story:
        run_id = world.trigger(scenario)
        world.wait_for_task(scenario, run_id, "playground.soak", "deferred")
        denials = refuse_restore(world, scenario, 1, 2)
        world.wait_until_asked(scenario, run_id, "rollback.playground")
        story = Story(run_id, seen={"paused": world.running(scenario, "playground")})
        for denial in denials:
            world.aws.clear_denials(denial)
        world.answer(scenario, run_id, "rollback.playground", answer)
        ended_again(world, scenario, story, answer)
        return story

    return act


def changed_by_hand(world: World, scenario: Scenario) -> Ended:
    """Somebody updates the stack of one account while it soaks."""
    run_id = world.trigger(scenario)
    world.wait_for_task(scenario, run_id, "playground.soak", "deferred")
    client = world.aws.client("cloudformation", scenario.account("playground", 1))
    client.update_stack(
        StackName="baseline",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "LogRetentionDays", "ParameterValue": "7"}],
    )
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def tolerant(*numbers: int) -> Any:
    """Let some of ten accounts refuse."""

    def act(world: World, scenario: Scenario) -> Ended:
        refuse(world, scenario, "playground", *numbers)
        return roll(world, scenario, change=change(REFUSED))

    return act


# what a person does


def held_apply(world: World, scenario: Scenario) -> Ended:
    """Mend the cause, clear `apply` with "only failed", which leaves the question open."""
    (denial,) = refuse(world, scenario, "playground", 2)
    run_id = world.trigger(scenario, change=change(REFUSED))
    world.wait_until_asked(scenario, run_id, "rollback.decide")
    world.aws.clear_denials(denial)
    world.operator.clear(scenario.name, run_id, ["playground.apply"], only_failed=True)
    world.wait_for_record(scenario, run_id, Kind.FINISHED)
    world.answer(scenario, run_id, "rollback.decide", "Keep as it is")
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def alarm_at_health(world: World, scenario: Scenario, run_id: str, *, of: str, at: str) -> None:
    """Let an alarm go off in a channel that has graduated while another one soaks."""
    world.wait_for_record(scenario, run_id, Kind.APPLIED, channel=at)
    world.alarm(scenario.account(of, 1), "ALARM")


def held_health(world: World, scenario: Scenario) -> Ended:
    """An alarm of playground fails `production.health`; it ends, and what was named is cleared."""
    run_id = world.trigger(scenario)
    alarm_at_health(world, scenario, run_id, of="playground", at="production")
    world.wait_until_asked(scenario, run_id, "rollback.decide")
    world.alarm(scenario.account("playground", 1), "OK")
    world.operator.clear(scenario.name, run_id, ["playground.health"])
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def held_soak(world: World, scenario: Scenario) -> Ended:
    """An alarm ends a soak; it was a false one, and `soak` is cleared."""
    run_id = world.trigger(scenario)
    world.wait_for_record(scenario, run_id, Kind.APPLIED, channel="playground")
    world.alarm(scenario.account("playground", 1), "ALARM")
    world.wait_until_asked(scenario, run_id, "rollback.decide")
    world.alarm(scenario.account("playground", 1), "OK")
    world.operator.clear(scenario.name, run_id, ["playground.soak"])
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def fail_in_test(world: World, scenario: Scenario) -> Story:
    """Let `test.health` fail on an alarm of playground, and let all be rolled back."""
    run_id = world.trigger(scenario)
    alarm_at_health(world, scenario, run_id, of="playground", at="test")
    story = Story(run_id)
    ended_again(world, scenario, story, "rolled back")
    world.alarm(scenario.account("playground", 1), "OK")
    return story


def marked_after_rollback(world: World, scenario: Scenario) -> Story:
    """After the rollback, mark one task after the other as success, and at last the run."""
    story = fail_in_test(world, scenario)
    for task in ("test.gate", "test.health", "production.gate", "outcome"):
        world.operator.set_task_state(scenario.name, story.run_id, task, state="success")
        ended_again(world, scenario, story, task)
        story.errors[task] = "; ".join(reasons_of(world, scenario, story.run_id))
    world.operator.set_run_state(scenario.name, story.run_id, state="success")
    ended_again(world, scenario, story, "run")
    return story


def cleared_after_rollback(world: World, scenario: Scenario) -> Story:
    """After the rollback, clear what may not be cleared, then what may."""
    story = fail_in_test(world, scenario)
    for task in ("test.apply", "test.health", "playground.gate", "playground.apply"):
        before = len(reasons_of(world, scenario, story.run_id))
        world.operator.clear(scenario.name, story.run_id, [task])
        ended_again(world, scenario, story, task)
        story.errors[task] = "; ".join(reasons_of(world, scenario, story.run_id)[before:])
    story.seen["executed"] = len(world.executed(*scenario.accounts()))
    world.operator.clear(scenario.name, story.run_id, ["playground.enter"])
    ended_again(world, scenario, story, "playground.enter")
    return story


def reasons_of(world: World, scenario: Scenario, run_id: str) -> list[str]:
    """Give the recorded failures of a run, in words."""
    found = world.records(scenario, run_id).details(Kind.FAILED)
    return [f"{r['task']}: {r['reason']}" for r in found]


def marked_run(state: str) -> Any:
    """A person marks the whole run while playground soaks."""

    def act(world: World, scenario: Scenario) -> Ended:
        run_id = world.trigger(scenario)
        world.wait_for_task(scenario, run_id, "playground.soak", "deferred")
        world.operator.set_run_state(scenario.name, run_id, state=state)
        return Ended(run_id, world.wait_for_rollback(scenario, run_id))

    return act


def second_while_first(world: World, scenario: Scenario) -> list[tuple[Ended, Json]]:
    """A second run is triggered while the first one soaks."""
    first = world.trigger(scenario)
    world.wait_for_record(scenario, first, Kind.APPLIED)
    second = world.trigger(scenario)
    found: list[tuple[Ended, Json]] = []
    for run_id in (first, second):
        state = world.wait_for_end(scenario, run_id)
        found.append((Ended(run_id, state), world.operator.run(scenario.name, run_id)))
    return found


def unreachable_throughout(world: World, scenario: Scenario) -> Ended:
    """An account of production answers nothing from the start until the preview has given up."""
    account = scenario.account("production", 1)
    fault = world.aws.fault("reset", account=account, service="cloudformation", count=None)
    run_id = world.trigger(scenario)
    world.wait_for_task(scenario, run_id, "preview", "up_for_retry")
    world.aws.clear_faults(fault)
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def verdict(world: World, scenario: Scenario, run_id: str) -> str:
    """Give what the log of the verdict's last try says."""
    task = world.operator.task_instance(scenario.name, run_id, "rollback.verdict")
    return world.operator.last_error(
        scenario.name, run_id, "rollback.verdict", attempt=task["try_number"]
    )


def parked(number: int, until: str) -> Any:
    """Give a playground of two targets, the second in quarantine."""
    first = {"name": "playground-1", "account": f"7{number:05d}001001"}
    hold = {"reason": "being moved", "until": until}
    second = {"name": "playground-2", "account": f"7{number:05d}001002", "hold": hold}
    return {"playground": {"targets": [first, second]}}


SOAK_8 = {"defaults": {"soak": "8s"}}
TEN = {"defaults": {"soak": "2s", "max_failed": 1, "waves": {"size": 5, "at_once": 2}}}
PAUSING = {
    "defaults": {"soak": "3m", "waves": {"concurrency": "soft"}},
    "rollback": {"pause_after": 2, "waves": {"size": 1}},
}
# The long ones first: they take as long as all the others together.
DISTURBANCES = [
    Scenario("cleared_after_rollback", 201, cleared_after_rollback, THREE, 1, settings=SOAK_8),
    Scenario("marked_after_rollback", 202, marked_after_rollback, THREE, 1, settings=SOAK_8),
    Scenario(
        "restore_refused", 203, restore_refused, TWO, 3, settings={"defaults": {"soak": "3m"}}
    ),
    Scenario("tolerates_one_of_ten", 204, tolerant(4), ONE, 10, settings=TEN),
    Scenario("two_of_ten_fail", 205, tolerant(3, 6), ONE, 10, settings=TEN),
    Scenario("held_apply", 206, held_apply, TWO, 2, settings=HOLD | SOAK_8),
    Scenario("held_health", 207, held_health, TWO, 1, settings=HOLD | SOAK_8),
    # Long enough for a busy machine: the alarm ends it early.
    Scenario("held_soak", 208, held_soak, TWO, 1, HOLD, {"playground": {"soak": "2m"}}),
    Scenario("one_of_three_refuses", 209, one_of_three_refuses, TWO, 3),
    Scenario(
        "changed_by_hand", 210, changed_by_hand, TWO, 2, settings={"defaults": {"soak": "3m"}}
    ),
    Scenario(
        "second_while_first",
        211,
        second_while_first,
        TWO,
        1,
        settings={"defaults": {"soak": "30s"}},
    ),
    Scenario(
        "run_marked_failed",
        212,
        marked_run("failed"),
        TWO,
        1,
        settings={"defaults": {"soak": "3m"}},
    ),
    Scenario(
        "run_marked_success",
        213,
        marked_run("success"),
        TWO,
        1,
        settings={"defaults": {"soak": "3m"}},
    ),
    Scenario("quarantined", 215, roll, TWO, 2, of_channel=parked(215, "2099-12-31")),
    Scenario("quarantine_over", 216, roll, TWO, 2, of_channel=parked(216, "2020-01-31")),
    Scenario("paused_goes_on", 217, too_many_restores_fail("Go on"), TWO, 4, settings=PAUSING),
    Scenario("paused_stops", 218, too_many_restores_fail("Stop"), TWO, 4, settings=PAUSING),
    Scenario("unreachable_throughout", 214, unreachable_throughout, TWO, 1),
]
